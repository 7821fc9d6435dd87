"""Writes an ONNX file in a peer's own format:  python convert.py ncnn|mnn|litert MODEL.onnx FOLDER

ncnn and mnn run in the peers' environment, litert in the converter's. The result is FOLDER/model.param and .bin,
model.mnn or model.tflite.
"""
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys


def to_ncnn(model, folder):
    # The program that the package carries; importing the package itself would ask for PyTorch.
    program = pathlib.Path(importlib.util.find_spec("pnnx").submodule_search_locations[0]) / "pnnx"
    shutil.copy(model, folder / "source.onnx")
    subprocess.run([program, "source.onnx", "fp16=0"], cwd=folder, check=True, stdout=sys.stderr)
    (folder / "source.ncnn.param").rename(folder / "model.param")
    (folder / "source.ncnn.bin").rename(folder / "model.bin")


def to_mnn(model, folder):
    # The extension module: MNN's command around it would install a telemetry package into the first Python it finds.
    import _tools
    _tools.mnnconvert(["", "-f", "ONNX", "--modelFile", str(model), "--MNNModel", str(folder / "model.mnn"), "--bizCode", "bench"])


def to_litert(model, folder):
    import numpy
    import onnx
    import onnx2tf
    import onnxsim
    # Pictures that it checks its work on, and would download. Noise of the same size serves.
    os.chdir(folder)
    numpy.save("calibration_image_sample_data_20x128x128x3_float32.npy", numpy.random.default_rng(1).random((20, 128, 128, 3), numpy.float32))
    graph, _ = onnxsim.simplify(onnx.load(model))
    give_pools_explicit_padding(graph.graph)
    onnx.save(graph, folder / "source.onnx")
    onnx2tf.convert(input_onnx_file_path=str(folder / "source.onnx"), output_folder_path=str(folder / "tf"), output_signaturedefs=True, non_verbose=True)
    shutil.move(folder / "tf" / "source_float32.tflite", folder / "model.tflite")
    shutil.rmtree(folder / "tf")


def give_pools_explicit_padding(graph):
    """A padded max pool of values that are never negative may as well be padded with zeros. TFLite has such a Pad and
    XNNPACK runs it; what onnx2tf writes for a pool's own padding (PADV2 with the lowest float) XNNPACK leaves out."""
    from onnx import helper, numpy_helper
    import numpy as np
    sizes = {}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        sizes[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim]
    positive = set()
    rewritten = []
    for node in graph.node:
        if node.op_type == "Relu" or node.op_type in ("MaxPool", "Concat", "Pad") and all(name in positive for name in node.input[:1 if node.op_type != "Concat" else None]):
            positive.update(node.output)
        options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "MaxPool" and node.input[0] in positive and (any(options.get("pads", [])) or options.get("ceil_mode")):
            before = options.get("pads", [0, 0, 0, 0])[:2]
            spans = zip(sizes[node.input[0]][2:], sizes[node.output[0]][2:], options["kernel_shape"], options.get("strides", [1, 1]), before)
            after = [max(0, (out - 1) * stride + kernel - size - first) for size, out, kernel, stride, first in spans]
            amounts = f"{node.output[0]}.amounts"
            graph.initializer.append(numpy_helper.from_array(np.array([0, 0, *before, 0, 0, *after], np.int64), amounts))
            rewritten.append(helper.make_node("Pad", [node.input[0], amounts], [f"{node.output[0]}.padded"]))
            del node.attribute[:]
            node.attribute.extend(helper.make_attribute(key, options[key]) for key in ("kernel_shape", "strides") if key in options)
            node.input[0] = rewritten[-1].output[0]
        rewritten.append(node)
    nodes = [helper.make_node(n.op_type, n.input, n.output, n.name, domain=n.domain, **{a.name: helper.get_attribute_value(a) for a in n.attribute}) for n in rewritten]
    del graph.node[:]
    graph.node.extend(nodes)


if __name__ == "__main__":
    peer, source, target = sys.argv[1:]
    {"ncnn": to_ncnn, "mnn": to_mnn, "litert": to_litert}[peer](pathlib.Path(source).resolve(), pathlib.Path(target).resolve())

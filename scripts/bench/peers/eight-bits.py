"""Quantises a float network as a peer's users do:  python eight-bits.py onnxruntime|litert|mnn SOURCE FOLDER

onnxruntime: SOURCE is an ONNX file. FOLDER/model.onnx is its static quantisation with QuantizeLinear and DequantizeLinear,
activations uint8, weights int8 per channel. gapcam and OpenVINO read the same file.
litert: SOURCE is a .tflite file. FOLDER/model.tflite is what AI Edge Quantizer makes of it, both int8.
mnn: SOURCE is a .mnn file. FOLDER/model.mnn is what MNN's own quantiser makes of it.

They are calibrated on noise, mnn's on the shipped photographs: the files serve to time, not to classify.
"""
import json
import pathlib
import sys
import tempfile

import numpy as np

SAMPLES = 16


def batch_of(shape):
    return np.random.default_rng(2).standard_normal((SAMPLES, *shape[1:])).astype(np.float32)


def onnx_in_bytes(source, folder):
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    given = onnx.load(source).graph.input[0]

    class Samples(CalibrationDataReader):
        def __init__(self):
            shape = [axis.dim_value or (1 if at == 0 else 224) for at, axis in enumerate(given.type.tensor_type.shape.dim)]
            self.left = iter([{given.name: one[None]} for one in batch_of(shape)])

        def get_next(self):
            return next(self.left, None)

    with tempfile.TemporaryDirectory() as scratch:
        ready = pathlib.Path(scratch, "ready.onnx")
        quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready), str(folder / "model.onnx"), Samples(), quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True,
        )


def litert_in_bytes(source, folder):
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    interpreter = Interpreter(str(source))
    signature, names = next(iter(interpreter.get_signature_list().items()))
    batch = batch_of(interpreter.get_input_details()[0]["shape"])
    tool = quantizer.Quantizer(str(source))
    tool.load_quantization_recipe(recipe.static_wi8_ai8())
    ranges = tool.calibrate({signature: [{names["inputs"][0]: one[None]} for one in batch]})
    tool.quantize(ranges).export_model(str(folder / "model.tflite"))


def mnn_in_bytes(source, folder):
    import _tools

    photographs = pathlib.Path(__file__).resolve().parents[3] / "models/photos"  # it calibrates on files of pictures
    recipe = {
        "format": "RGB", "mean": [127.5] * 3, "normal": [1 / 64] * 3, "width": 224, "height": 224,
        "path": f"{photographs}/", "used_image_num": len(list(photographs.glob("*.jpg"))),
        "feature_quantize_method": "KL", "weight_quantize_method": "MAX_ABS",
    }
    (folder / "recipe.json").write_text(json.dumps(recipe))
    _tools.mnnquant(["", str(source), str(folder / "model.mnn"), str(folder / "recipe.json")])


if __name__ == "__main__":
    tool, given, target = sys.argv[1:]
    {"onnxruntime": onnx_in_bytes, "litert": litert_in_bytes, "mnn": mnn_in_bytes}[tool](
        pathlib.Path(given).resolve(), pathlib.Path(target).resolve()
    )

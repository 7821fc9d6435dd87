"""One Python peer in a process of its own, driven over stdin and stdout by scripts/bench/peers.mjs.

    python worker.py PEER MODEL THREADS INPUT SHAPE TYPE

INPUT: a file of float32 values, SHAPE: 1,3,224,224, TYPE of the network's input: float32 or uint8

Prints {"output": [...]} once it is open and has run, then for each line {"warm": n, "runs": n} the milliseconds of
every run: {"ms": [...], "cpuMs": [...]}. A run begins with the picture, of the input's type, in this process's memory, in the
order that the runtime prefers, and ends with scores that can be read.
"""
import json
import os
import sys
import time

import numpy as np


def open_onnxruntime(model, threads, picture):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feeds = {session.get_inputs()[0].name: picture}
    return lambda: session.run(None, feeds)[0]


def open_ncnn(model, threads, picture):
    import ncnn
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    if net.load_param(f"{model}.param") != 0 or net.load_model(f"{model}.bin") != 0:
        raise RuntimeError("the model does not load")
    source = ncnn.Mat(picture[0]).clone()  # its own memory, each channel aligned as its kernels want it

    def run(net=net):
        extractor = net.create_extractor()
        extractor.input("in0", source)
        status, scores = extractor.extract("out0")
        if status != 0:
            raise RuntimeError(f"extract ends with {status}")
        return scores
    return run


def open_mnn(model, threads, picture):
    import MNN
    interpreter = MNN.Interpreter(model)
    session = interpreter.createSession({"backend": "CPU", "numThread": threads, "precision": "high"})
    inside, outside = interpreter.getSessionInput(session), interpreter.getSessionOutput(session)
    size = outside.getShape()
    scores = np.zeros(size, np.float32)
    given = MNN.Tensor(picture.shape, MNN.Halide_Type_Float, picture, MNN.Tensor_DimensionType_Caffe)
    taken = MNN.Tensor(size, MNN.Halide_Type_Float, scores, MNN.Tensor_DimensionType_Caffe)

    def run(keep=interpreter):
        inside.copyFrom(given)
        keep.runSession(session)
        outside.copyToHostTensor(taken)
        return taken
    run.read = lambda tensor: np.array(tensor.getData(), np.float32)
    return run


def open_litert(model, threads, picture):
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(model_path=model, num_threads=threads)  # XNNPACK is its default
    interpreter.allocate_tensors()
    source, scores = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if tuple(source["shape"]) != picture.shape:
        picture = np.ascontiguousarray(np.moveaxis(picture, 1, -1))
    if picture.dtype != source["dtype"]:  # its own quantiser's file takes bytes
        scale, zero = source["quantization"]
        limits = np.iinfo(source["dtype"])
        picture = np.clip(np.rint(picture / scale) + zero, limits.min, limits.max).astype(source["dtype"])

    def run():
        interpreter.set_tensor(source["index"], picture)
        interpreter.invoke()
        return interpreter.get_tensor(scores["index"])
    return run


def open_openvino(model, threads, picture):
    import openvino
    compiled = openvino.Core().compile_model(model, "CPU", {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1})
    request = compiled.create_infer_request()
    return lambda: request.infer([picture], share_inputs=True, share_outputs=True)[0]


def timed(run, runs):
    wall, busy = [], []
    for _ in range(runs):
        cpu, start = time.process_time_ns(), time.perf_counter_ns()
        run()
        wall.append((time.perf_counter_ns() - start) / 1e6)
        busy.append((time.process_time_ns() - cpu) / 1e6)
    return {"ms": wall, "cpuMs": busy}


def main():
    peer, model, threads, source, shape, kind = sys.argv[1:]
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # some runtimes print on stdout
    picture = np.fromfile(source, np.float32).astype(kind).reshape([int(size) for size in shape.split(",")])
    run = {"onnxruntime": open_onnxruntime, "ncnn": open_ncnn, "mnn": open_mnn, "litert": open_litert, "openvino": open_openvino}[peer](model, int(threads), picture)
    scores = getattr(run, "read", np.array)(run())
    print(json.dumps({"output": np.asarray(scores, np.float32).ravel().tolist()}), file=replies)
    for line in sys.stdin:
        order = json.loads(line)
        for _ in range(order["warm"]):
            run()
        print(json.dumps(timed(run, order["runs"])), file=replies)


if __name__ == "__main__":
    main()

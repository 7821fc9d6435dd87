#!/usr/bin/env python3
"""Quantises with onnxruntime on the pictures that quantize.mjs wrote, and prints the same figures:

    node scripts/bench/quantize.mjs MODEL.onnx --write FOLDER
    python scripts/bench/peers/quantise.py MODEL.onnx FOLDER [minmax|percentile|entropy]

Needs onnx, onnxruntime and numpy from PyPI.
"""
import pathlib
import sys
import tempfile

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

METHODS = {"minmax": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile, "entropy": CalibrationMethod.Entropy}


class Pictures(CalibrationDataReader):
    def __init__(self, name, pictures):
        self.left = iter([{name: picture} for picture in pictures])

    def get_next(self):
        return next(self.left, None)


def outputs(path, pictures):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Without it, processors without VNNI saturate sums of products.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(path), options)
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: picture})[0] for picture in pictures])


def figures(real, other):
    a, b = real - real.mean(1, keepdims=True), other - other.mean(1, keepdims=True)
    return (real.argmax(1) == other.argmax(1)).mean() * 100, 10 * np.log10((a**2).sum() / ((a - b) ** 2).sum())


def main():
    source, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    method = sys.argv[3] if len(sys.argv) > 3 else "minmax"
    side = 224
    sets = {
        kind: np.fromfile(folder / f"{source.stem}.{kind}.f32", np.float32).reshape(-1, 1, 3, side, side)
        for kind in ("calibrating", "photographs", "scenes")
    }
    with tempfile.TemporaryDirectory() as scratch:
        ready, quantised = pathlib.Path(scratch, "ready.onnx"), pathlib.Path(scratch, "quantised.onnx")
        quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
        name = onnxruntime.InferenceSession(str(ready)).get_inputs()[0].name
        quantize_static(
            str(ready), str(quantised), Pictures(name, sets["calibrating"]), quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True,
            calibrate_method=METHODS[method],
        )
        print(f"{source.name}: onnxruntime, {method}, {len(sets['calibrating'])} pictures calibrated")
        for kind in ("photographs", "scenes"):
            same, noise = figures(outputs(source, sets[kind]), outputs(quantised, sets[kind]))
            print(f"{kind} ({len(sets[kind])}): the same best class on {same:.2f} %, {noise:.1f} dB")
        written = folder / f"{source.stem}.gapcam.onnx"
        if written.exists():
            for kind in ("photographs", "scenes"):
                same, noise = figures(outputs(source, sets[kind]), outputs(written, sets[kind]))
                print(f"gapcam's file in onnxruntime, {kind}: {same:.2f} %, {noise:.1f} dB")


if __name__ == "__main__":
    main()

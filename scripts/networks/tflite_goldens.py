#!/usr/bin/env python3
"""Runs .tflite files with LiteRT and prints test/fixtures/tflite.json.

    GAPCAM_WRITE_TFLITE=FOLDER npx vitest run test/model/tflite/golden.test.ts test/task/post-processing.test.ts   (writes the files; fails while the fixture is old)
    python scripts/networks/tflite_goldens.py FOLDER > test/fixtures/tflite.json

Needs ai-edge-litert and numpy from PyPI.
"""
import hashlib
import json
import pathlib
import sys

import numpy
from ai_edge_litert.interpreter import Interpreter

goldens = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.tflite")):
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    values = numpy.fromfile(path.with_suffix(".input"), given["dtype"]).reshape(given["shape"])
    interpreter.set_tensor(given["index"], values)
    interpreter.invoke()
    outputs = [
        [float(f"{value:.7g}") for value in interpreter.get_tensor(detail["index"]).ravel().tolist()]
        for detail in interpreter.get_output_details()
    ]
    goldens[path.stem] = {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        **({"outputs": outputs} if path.stem == "post-processing" else {"output": outputs[0]}),
    }
print("{")
print(",\n".join(f'  "{name}": {json.dumps(golden)}' for name, golden in goldens.items()))
print("}")

#!/usr/bin/env python3
"""Trains the little ConvNet of the documentation on real handwritten digits, once with global average pooling and once
with a flattened fully connected head on the same features, and writes both as ONNX beside a table of what they do.

    python3 -m venv venv && venv/bin/pip install numpy scikit-learn onnx
    venv/bin/python scripts/networks/train-convnet.py models

The data are scikit-learn's 1,797 digits of 8 by 8 pixels (UCI Optical Recognition of Handwritten Digits, CC BY 4.0),
enlarged to 32 by 32 by bilinear interpolation, grey repeated in three channels. Plain numpy, seeded: about three minutes.
Network: 3→16→32→64 channels, kernel 3, padding 1, ReLU, 2×2 max pooling after the first two, then the head to 10.
"""
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

CHANNELS = [3, 16, 32, 64]
EPOCHS, BATCH, RATE = 40, 32, 2e-3


def enlarge(images, height, width):
    """Half-pixel bilinear, as the pixel path does; images [n, h, w]."""
    def taps(size_in, size_out):
        centre = np.clip((np.arange(size_out) + 0.5) * size_in / size_out - 0.5, 0, size_in - 1)
        low = np.floor(centre).astype(int)
        return low, np.minimum(low + 1, size_in - 1), (centre - low).astype(np.float32)
    y0, y1, fy = taps(images.shape[1], height)
    x0, x1, fx = taps(images.shape[2], width)
    rows = images[:, y0] * (1 - fy)[None, :, None] + images[:, y1] * fy[None, :, None]
    return rows[:, :, x0] * (1 - fx) + rows[:, :, x1] * fx


def prepare(images, height, width):
    grey = np.round(enlarge(images * (255 / 16), height, width))
    return ((grey - 127.5) / 127.5).astype(np.float32)[..., None].repeat(3, axis=3)


def columns(x):
    """[n, h, w, c] → [n·h·w, 9·c] for a 3×3 kernel with padding 1."""
    n, h, w, c = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return np.concatenate([padded[:, i:i + h, j:j + w] for i in range(3) for j in range(3)], axis=3).reshape(n * h * w, 9 * c)


def spread(grad, shape):
    """The transpose of `columns`."""
    n, h, w, c = shape
    grad = grad.reshape(n, h, w, 9, c)
    padded = np.zeros((n, h + 2, w + 2, c), np.float32)
    for k in range(9):
        padded[:, k // 3:k // 3 + h, k % 3:k % 3 + w] += grad[:, :, :, k]
    return padded[:, 1:-1, 1:-1]


def forward(params, x, head):
    """Logits, and what `backward` needs."""
    trail = []
    for i in range(3):
        cols = columns(x)
        y = (cols @ params[f"w{i}"] + params[f"b{i}"]).reshape(*x.shape[:3], -1)
        y = np.maximum(y, 0)
        winner = None
        shape = x.shape
        x = y
        if i < 2:
            n, h, w, c = y.shape
            blocks = y.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, c, 4)
            winner = blocks.argmax(axis=4)
            x = blocks.max(axis=4)
        trail.append((cols, y, winner, shape))
    features = x.mean(axis=(1, 2)) if head == "gap" else x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    return features @ params["w3"] + params["b3"], (trail, features, x.shape)


def backward(params, state, grad, head):
    trail, features, shape = state
    grads = {"w3": features.T @ grad, "b3": grad.sum(axis=0)}
    grad = grad @ params["w3"].T
    n, h, w, c = shape
    grad = (np.broadcast_to(grad[:, None, None] / (h * w), shape) if head == "gap" else grad.reshape(n, c, h, w).transpose(0, 2, 3, 1))
    for i in (2, 1, 0):
        cols, y, winner, shape = trail[i]
        if winner is not None:
            n, h, w, c = grad.shape
            blocks = np.zeros((n, h, w, c, 4), np.float32)
            np.put_along_axis(blocks, winner[..., None], grad[..., None], axis=4)
            grad = blocks.reshape(n, h, w, c, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(y.shape)
        grad = (grad * (y > 0)).reshape(-1, y.shape[3])
        grads[f"w{i}"], grads[f"b{i}"] = cols.T @ grad, grad.sum(axis=0)
        grad = spread(grad @ params[f"w{i}"].T, shape)
    return grads


def train(x, y, head, seed):
    rng = np.random.default_rng(seed)
    features = 64 if head == "gap" else 64 * 8 * 8
    sizes = [(9 * a, b) for a, b in zip(CHANNELS, CHANNELS[1:])] + [(features, 10)]
    params = {}
    for i, (rows, cols) in enumerate(sizes):
        params[f"w{i}"] = (rng.standard_normal((rows, cols)) * np.sqrt(2 / rows)).astype(np.float32)
        params[f"b{i}"] = np.zeros(cols, np.float32)
    first, second, step = {k: 0 * v for k, v in params.items()}, {k: 0 * v for k, v in params.items()}, 0
    for epoch in range(EPOCHS):
        order = rng.permutation(len(x))
        for at in range(0, len(x), BATCH):
            batch = order[at:at + BATCH]
            logits, state = forward(params, x[batch], head)
            p = np.exp(logits - logits.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            p[np.arange(len(batch)), y[batch]] -= 1
            grads = backward(params, state, (p / len(batch)).astype(np.float32), head)
            step += 1
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / (EPOCHS * np.ceil(len(x) / BATCH))))
            for k, g in grads.items():
                first[k] = 0.9 * first[k] + 0.1 * g
                second[k] = 0.999 * second[k] + 0.001 * g * g
                params[k] -= (rate * (first[k] / (1 - 0.9 ** step)) / (np.sqrt(second[k] / (1 - 0.999 ** step)) + 1e-8)).astype(np.float32)
        print(f"{head} epoch {epoch + 1}: train {accuracy(params, x, y, head):.4f}", file=sys.stderr)
    return params


def accuracy(params, x, y, head):
    hits = sum(int((forward(params, x[i:i + 200], head)[0].argmax(axis=1) == y[i:i + 200]).sum()) for i in range(0, len(x), 200))
    return hits / len(x)


def export(params, head, path):
    nodes, weights, x = [], [], "input"
    for i in range(3):
        kernel = params[f"w{i}"].reshape(3, 3, CHANNELS[i], CHANNELS[i + 1]).transpose(3, 2, 0, 1)
        weights += [numpy_helper.from_array(np.ascontiguousarray(kernel), f"conv{i}.weight"), numpy_helper.from_array(params[f"b{i}"], f"conv{i}.bias")]
        nodes.append(helper.make_node("Conv", [x, f"conv{i}.weight", f"conv{i}.bias"], [f"conv{i}"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"conv{i}"], [f"relu{i}"]))
        x = f"relu{i}"
        if i < 2:
            nodes.append(helper.make_node("MaxPool", [x], [f"pool{i}"], kernel_shape=[2, 2], strides=[2, 2]))
            x = f"pool{i}"
    if head == "gap":
        nodes.append(helper.make_node("GlobalAveragePool", [x], ["gap"]))
        x = "gap"
    nodes.append(helper.make_node("Flatten", [x], ["features"]))
    weights += [numpy_helper.from_array(np.ascontiguousarray(params["w3"].T), "head.weight"), numpy_helper.from_array(params["b3"], "head.bias")]
    nodes.append(helper.make_node("Gemm", ["features", "head.weight", "head.bias"], ["logits"], transB=1))
    size = ["height", "width"] if head == "gap" else [32, 32]
    graph = helper.make_graph(nodes, f"convnet_{head}", [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *size])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="gapcam scripts/networks/train-convnet.py")
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "models")
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    split = len(order) * 4 // 5
    parts = {"train": order[:split], "test": order[split:]}
    data = {size: {k: (prepare(digits.images[v], *size), digits.target[v]) for k, v in parts.items()} for size in [(32, 32), (48, 40)]}
    report = {"data": {k: len(v) for k, v in parts.items()}}
    for head in ("gap", "flatten"):
        params = train(*data[32, 32]["train"], head, seed=1)
        export(params, head, folder / f"convnet-{head}.onnx")
        row = {"parameters": int(sum(v.size for v in params.values())), "headParameters": int(params["w3"].size + params["b3"].size)}
        for size, sets in data.items():
            name = "x".join(map(str, size))
            row[name] = {k: round(accuracy(params, *v, head), 4) for k, v in sets.items()} if head == "gap" or size == (32, 32) else None
        report[head] = row
    (folder / "convnet.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

"""What the detectors of MediaPipe find in pictures, by LiteRT and a plain decoder, as the reference for detectors.mjs.

    python3 -m venv venv && venv/bin/pip install ai-edge-litert==2.3.0 numpy pillow && venv/bin/pip download --no-deps mediapipe==0.10.14
    unzip mediapipe-0.10.14-*.whl 'mediapipe/modules/*.tflite' -d WHEEL
    venv/bin/python scripts/networks/mediapipe_boxes.py WHEEL/mediapipe/modules FOLDER PICTURE.jpg...

For each network and picture FOLDER gets NETWORK-PICTURE.png (the picture squeezed to the network's input) and .json with the
boxes, best first. The decoder follows MediaPipe's graphs: anchors of the size 1 on grids, boxes in pixels relative to them; the sigmoid of a clipped score; the weighted suppression.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

# File, levels of the pixels, strides of the grids in pixels, anchors of each place, digest.
NETWORKS = {
    "face": ("face_detection/face_detection_short_range.tflite", (-1.0, 1.0), (8, 16, 16, 16), 2,
             "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8"),
    "far-face": ("face_detection/face_detection_full_range_sparse.tflite", (-1.0, 1.0), (4,), 1,
                 "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1"),
    "palm": ("palm_detection/palm_detection_lite.tflite", (0.0, 1.0), (8, 16, 16, 16), 2,
             "e9a4aaddf90dda56a87235303cf00e4c2d3fb28725f68fd88772997dac905c18"),
    "person": ("pose_detection/pose_detection.tflite", (-1.0, 1.0), (8, 16, 32, 32, 32), 2,
               "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c"),
}
LEAST_SCORE = 0.1
OVERLAP = 0.3


def anchors(side, strides, per_place):
    """Centres of the anchors in shares; layers of one grid lie interleaved."""
    centres = []
    layer = 0
    while layer < len(strides):
        same = layer
        while same < len(strides) and strides[same] == strides[layer]:
            same += 1
        cells = -(-side // strides[layer])
        for y in range(cells):
            for x in range(cells):
                centres += [((x + 0.5) / cells, (y + 0.5) / cells)] * (per_place * (same - layer))
        layer = same
    return np.array(centres)


def area(box):
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def overlap(a, b):
    inter = area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
    both = area(a) + area(b) - inter
    return inter / both if both > 0 else 0.0


def suppressed(found):
    """Weighted: each box is the mean of those that it stands for, by their scores."""
    rest = sorted(found, key=lambda each: -each[0])
    kept = []
    while rest:
        score, box = rest[0]
        same = [each for each in rest if overlap(box, each[1]) > OVERLAP]
        if not same:
            same = [rest[0]]
        weight = sum(each[0] for each in same)
        mean = [sum(each[0] * each[1][k] for each in same) / weight for k in range(4)]
        kept.append((score, mean))
        rest = [each for each in rest if each not in same]
    return kept


def boxes(interpreter, pixels, levels, grid):
    """[left, top, right, bottom] in pixels of the input, best first."""
    side = pixels.shape[0]
    low, high = levels
    source = interpreter.get_input_details()[0]
    interpreter.set_tensor(source["index"], (pixels / 255.0 * (high - low) + low).astype(np.float32)[None])
    interpreter.invoke()
    outputs = [interpreter.get_tensor(each["index"])[0] for each in interpreter.get_output_details()]
    raw, logits = sorted(outputs, key=lambda each: -each.shape[-1])
    scores = 1 / (1 + np.exp(-np.clip(logits[:, 0].astype(np.float64), -100, 100)))
    found = []
    for (x, y), (dx, dy, w, h), score in zip(anchors(side, *grid), raw[:, :4].astype(np.float64), scores):
        if score < LEAST_SCORE:
            continue
        cx, cy = dx + x * side, dy + y * side
        found.append((float(score), [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]))
    return suppressed(found)


def scaled(levels):
    """How a level becomes a number of the input, for a manifest."""
    low, high = levels
    std = 255 / (high - low)
    return f"mean: [{-low * std}, {-low * std}, {-low * std}]\nstd: [{std}, {std}, {std}]\n"


modules, folder = Path(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
for name, (file, levels, *grid, digest) in NETWORKS.items():
    found = hashlib.sha256((modules / file).read_bytes()).hexdigest()
    if found != digest:
        raise SystemExit(f"{modules / file} has the digest {found} instead of {digest}: it is of another version")
    shutil.copy(modules / file, folder / f"{name}.tflite")
    (folder / f"{name}.yaml").write_text(
        f"labels: [{name}]\nresize: stretch\n" + scaled(levels) + f"detect: {{ minScore: {LEAST_SCORE} }}\n")
    interpreter = Interpreter(model_path=str(modules / file))
    interpreter.allocate_tensors()
    side = int(interpreter.get_input_details()[0]["shape"][1])
    for picture in map(Path, sys.argv[3:]):
        sized = Image.open(picture).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
        sized.save(folder / f"{name}-{picture.stem}.png")
        kept = boxes(interpreter, np.asarray(sized, dtype=np.float64), levels, grid)
        (folder / f"{name}-{picture.stem}.json").write_text(json.dumps({
            "network": f"{name}.tflite", "side": side, "boxes": [box for _, box in kept],
            "scores": [score for score, _ in kept], "labels": [name for _ in kept]}))
        print(f"{name} {picture.stem}: {len(kept)} boxes" + (f", best {kept[0][0]:.4f}" if kept else ""))

"""Writes torchvision's detectors with seeded weights as ONNX, and what torch finds on a picture, for detectors.mjs.

    python3 -m venv venv && venv/bin/pip install torch==2.4.1 torchvision==0.19.1 onnx numpy==1.26.4
    venv/bin/python scripts/networks/detectors.py PICTURE.jpg FOLDER

The weights are random, so the boxes mean nothing; what matters is that they are the same. The score threshold is 0, since
random scores lie close together.
"""

import json
import sys
from pathlib import Path

import torch
import torchvision
from torchvision.models import detection

picture, folder = Path(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
pixels = torchvision.io.read_image(str(picture)).float() / 255


def spread(model):
    """Random weights with scores that differ: the last layers are scaled."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("cls_score.weight"):
                value.mul_(200)
            elif "classification_head" in name and name.endswith(".1.weight"):
                value.mul_(8)
    return model.eval()


def write(name, model, side):
    sized = torch.nn.functional.interpolate(pixels[None], (side, side), mode="bilinear")[0]
    with torch.no_grad():
        (found,) = model([sized])
    torch.onnx.export(model, ([sized],), str(folder / f"{name}.onnx"), opset_version=13, input_names=["image"],
                      output_names=["boxes", "scores", "labels"] if name.startswith("ssd") else ["boxes", "labels", "scores"])
    labels = "\n".join(f"class {i}" for i in range(1, 91))
    (folder / f"{name}.labels.txt").write_text(labels + "\n")
    sized.numpy().astype("float32").tofile(folder / f"{name}.f32")
    (folder / f"{name}.json").write_text(json.dumps({
        "side": side,
        "boxes": found["boxes"].tolist(),
        "scores": found["scores"].tolist(),
        "labels": found["labels"].tolist(),
    }))
    print(name, found["boxes"].shape[0], "boxes, best score", float(found["scores"].max()) if len(found["scores"]) else None)


torch.manual_seed(22)
write("fasterrcnn", spread(detection.fasterrcnn_mobilenet_v3_large_320_fpn(
    weights=None, weights_backbone=None, num_classes=91, box_score_thresh=0.0)), 320)
torch.manual_seed(22)
write("ssdlite", spread(detection.ssdlite320_mobilenet_v3_large(
    weights=None, weights_backbone=None, num_classes=91, score_thresh=0.0)), 320)

"""Writes torchvision's detectors and segmenters with seeded weights as ONNX, and what torch finds on a picture, for detectors.mjs.

    python3 -m venv venv && venv/bin/pip install torch==2.4.1 torchvision==0.19.1 onnx numpy==1.26.4
    venv/bin/python scripts/networks/detectors.py PICTURE.jpg FOLDER [NETWORK...]

The weights are random, so what is found means nothing; what matters is that it is the same. The score threshold of the detectors is
0, since random scores lie close together.
"""

import json
import sys
from pathlib import Path

import torch
import torchvision
from torchvision.models import detection, segmentation

picture, folder = Path(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
pixels = torchvision.io.read_image(str(picture))[None]


def settled(model, run):
    """Normalisations that fit the picture, so that random weights give numbers that differ from place to place."""
    norms = [each for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    for each in norms:
        each.reset_running_stats()
        each.momentum = None
        each.train()
    with torch.no_grad():
        run()
    return model.eval()


def spread(model):
    """The last layers are scaled, so that scores differ, too."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("cls_score.weight"):
                value.mul_(20)
            elif "classification_head" in name and name.endswith(".1.weight"):
                value.mul_(3)
    return model


def sized(name, side):
    """The picture at the size of the network's input, in levels; the file has these very pixels."""
    levels = torch.nn.functional.interpolate(pixels.float(), (side, side), mode="bilinear").round().byte()[0]
    torchvision.io.write_png(levels, str(folder / f"{name}.png"))
    return levels.float() / 255


def note(name, manifest, reference):
    (folder / f"{name}.yaml").write_text("resize: stretch\n" + manifest)
    (folder / f"{name}.json").write_text(json.dumps({"network": f"{name}.onnx", **reference}))


def detector(name, model, side):
    image = sized(name, side)
    spread(model).eval()
    batch = torch.stack([image, image.flip(-1)])
    normed, _ = model.transform([*batch])
    head = getattr(model, "head", lambda maps: None)
    settled(model, lambda: head(list(model.backbone(normed.tensors).values())))
    with torch.no_grad():
        (found,) = model([image])
    torch.onnx.export(model, ([image],), str(folder / f"{name}.onnx"), opset_version=13, input_names=["image"],
                      output_names=["boxes", "scores", "labels"] if name.startswith("ssd") else ["boxes", "labels", "scores"])
    names = ", ".join(f"thing {i}" for i in range(1, 91))
    note(name, f"labels: [{names}]\ndetect: {{ minScore: 0, most: 1000 }}\n", {
        "side": side,
        "boxes": found["boxes"].tolist(),
        "scores": found["scores"].tolist(),
        "labels": [f"thing {i}" for i in found["labels"].tolist()],
    })
    print(name, len(found["boxes"]), "boxes, best score", float(found["scores"].max()))


def segmenter(name, model, side):
    model.eval()
    image = sized(name, side)[None]
    # torchvision's mean and deviation, which gapcam takes too.
    mean, std = torch.tensor([123.675, 116.28, 103.53]) / 255, torch.tensor([58.395, 57.12, 57.375]) / 255
    image = (image - mean[:, None, None]) / std[:, None, None]
    settled(model, lambda: model(torch.cat([image, image.flip(-1)])))
    with torch.no_grad():
        found = model(image)["out"]
    torch.onnx.export(model, (image,), str(folder / f"{name}.onnx"), opset_version=13, input_names=["image"],
                      output_names=["out"])
    found.numpy().astype("float32").tofile(folder / f"{name}.f32")
    names = ", ".join(f"thing {i}" for i in range(found.shape[1]))
    note(name, f"labels: [{names}]\nmean: [123.675, 116.28, 103.53]\nstd: [58.395, 57.12, 57.375]\n",
         {"output": "out", "values": f"{name}.f32", "shape": list(found.shape)})
    print(name, list(found.shape), "greatest", float(found.abs().max()))


bare = {"weights": None, "weights_backbone": None}
networks = {
    "fasterrcnn": lambda: detector("fasterrcnn", detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        **bare, num_classes=91, box_score_thresh=0.0), 320),
    "ssdlite": lambda: detector("ssdlite", detection.ssdlite320_mobilenet_v3_large(
        **bare, num_classes=91, score_thresh=0.0), 320),
    "deeplabv3": lambda: segmenter("deeplabv3", segmentation.deeplabv3_mobilenet_v3_large(
        **bare, num_classes=21, aux_loss=False), 256),
    "lraspp": lambda: segmenter("lraspp", segmentation.lraspp_mobilenet_v3_large(**bare, num_classes=21), 256),
}
for each in sys.argv[3:] or networks:
    torch.manual_seed(22)
    networks[each]()

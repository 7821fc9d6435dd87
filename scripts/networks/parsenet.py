"""Trains a small segmenter with and without ParseNet's block (Liu et al. 2015: the global mean of the features, brought to length 1,
spread over the map and put beside the features of length 1), and prints what the global context adds.

    python3 -m venv venv && venv/bin/pip install torch==2.4.1 onnx numpy==1.26.4 pillow
    venv/bin/python scripts/networks/parsenet.py models/photos FOLDER

The scenes: a piece of one of the photographs on a background of smooth noise; each place is to be named after its photograph, or
`none`. Training sees the left two thirds of each photograph, the test the right third. FOLDER gets parsenet.onnx and plain.onnx
with their manifests. Seeded; some minutes on two cores.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

SIDE, STEPS, BATCH, SCENES, SEEDS = 64, 400, 24, 400, 3
NAMES = ["bird", "cat", "dragonfly", "hot-dog", "parrot", "sunflower"]

photographs, folder = Path(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
pictures = [np.asarray(Image.open(photographs / f"{name}.jpg").convert("RGB").resize((192, 128))) for name in NAMES]


def scene(random, is_test):
    """The picture [3, side, side], 0 to 1, and the class of each place of a map of a quarter of the side."""
    coarse = random.uniform(0, 255, (6, 6, 3)).astype(np.uint8)
    canvas = np.array(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(np.float32)
    canvas += random.normal(0, 12, canvas.shape)
    target = np.full((SIDE, SIDE), len(NAMES))
    label = int(random.integers(len(NAMES)))
    picture = pictures[label]
    height, width = random.integers(28, 52, 2)
    top = int(random.integers(0, 128 - height))
    left = int(random.integers(128, 193 - width) if is_test and width < 64 else random.integers(0, 128 - width))
    y, x = (int(random.integers(0, SIDE - size + 1)) for size in (height, width))
    piece = picture[top:top + height, left:left + width]
    canvas[y:y + height, x:x + width] = piece[:, ::-1] if random.random() < 0.5 else piece
    target[y:y + height, x:x + width] = label
    return np.clip(canvas, 0, 255).transpose(2, 0, 1) / 255, target[2::4, 2::4]


def scenes(random, count, is_test=False):
    made = [scene(random, is_test) for _ in range(count)]
    return (torch.tensor(np.stack([picture for picture, _ in made]), dtype=torch.float32),
            torch.tensor(np.stack([target for _, target in made])))


class Segmenter(nn.Module):
    def __init__(self, has_context):
        super().__init__()
        self.has_context = has_context
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 1, 1), nn.ReLU())
        self.scale = nn.Parameter(torch.full((1, 128 if has_context else 64, 1, 1), 10.0))
        self.head = nn.Conv2d(128 if has_context else 64, len(NAMES) + 1, 1)

    def forward(self, image):
        local = self.body(image)
        features = functional.normalize(local, dim=1)
        if self.has_context:
            context = functional.normalize(local.mean((2, 3), keepdim=True), dim=1)
            features = torch.cat([features, context.expand(-1, -1, local.shape[2], local.shape[3])], dim=1)
        return self.head(features * self.scale)


def trained(has_context, seed):
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = Segmenter(has_context)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        images, targets = scenes(random, BATCH)
        optimizer.zero_grad()
        functional.cross_entropy(model(images), targets).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def measured(model, images, targets):
    """Share of right places, of right places on things, and mean intersection over union of the classes."""
    with torch.no_grad():
        found = model(images).argmax(1)
    things = targets < len(NAMES)
    unions = []
    for label in range(len(NAMES) + 1):
        both = ((found == label) & (targets == label)).sum().item()
        unions.append(both / max(1, ((found == label) | (targets == label)).sum().item()))
    right = (found == targets).float()
    return right.mean().item(), right[things].mean().item(), sum(unions) / len(unions)


images, targets = scenes(np.random.default_rng(1000), SCENES, True)
print("| head | right places | right places on things | mean intersection over union |\n| --- | --- | --- | --- |")
for has_context, name in ((False, "plain"), (True, "parsenet")):
    results = []
    for seed in range(SEEDS):
        model = trained(has_context, seed)
        results.append(measured(model, images, targets))
    numbers = " | ".join(f"{100 * value:.1f} %" for value in np.mean(results, axis=0))
    print(f"| {'with' if has_context else 'without'} the global context | {numbers} |", flush=True)
    torch.onnx.export(model, (images[:1],), str(folder / f"{name}.onnx"), opset_version=13, input_names=["image"],
                      output_names=["scores"])
    (folder / f"{name}.yaml").write_text(
        f"labels: [{', '.join([*NAMES, 'none'])}]\nmean: [0, 0, 0]\nstd: [255, 255, 255]\ntask: segment\n")

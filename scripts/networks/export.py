#!/usr/bin/env python3
"""Exports networks of timm and torchvision through torch's exporters, for scripts/bench/compare-networks.mjs.

    python3 -m venv venv && venv/bin/pip install torch torchvision timm onnx onnxscript
    venv/bin/python scripts/networks/export.py FOLDER
    node scripts/bench/compare-networks.mjs FOLDER > docs/networks.md

Weights are random and seeded. Factors that begin at 0 or 1 are moved, and batch norms see noise once, so that every
layer has a part in the result and folding one wrongly shows.
"""
import contextlib
import io
import pathlib
import sys
import warnings

import timm
import torch
import torchvision

TIMM = {
    160: '''mobilenetv1_100 mobilenetv2_100 mobilenetv3_small_100 mobilenetv3_large_100 mobilenetv4_conv_small mobilenetv4_hybrid_medium
        efficientnet_b0 efficientnet_lite0 tf_efficientnetv2_b0 efficientnet_es mnasnet_100 semnasnet_075 spnasnet_100 fbnetc_100 fbnetv3_b hardcorenas_a
        tinynet_e lcnet_050 mixnet_s rexnet_100 ghostnet_100 mobileone_s0 repvgg_a0 repghostnet_050
        resnet18 resnet18d resnetv2_50 resnet50_gn resnext50_32x4d seresnet18 ecaresnet26t skresnet18 res2net50_26w_4s resnest14d gernet_s regnetx_002 regnety_002 regnetz_b16
        densenet121 dla34 dpn48b cspresnet50 cspdarknet53 ese_vovnet19b_slim hrnet_w18_small hgnetv2_b0 selecsls42 xception41 nf_regnet_b1
        convnext_atto convnextv2_atto inception_next_atto poolformer_s12 starnet_s1 fasternet_t0 efficientvit_b0 rdnet_tiny''',
    224: '''repvit_m0_9 efficientformer_l1 efficientformerv2_s0 efficientvit_m0 shvit_s1 swiftformer_xs levit_128s tiny_vit_5m_224
        deit_tiny_patch16_224 swin_tiny_patch4_window7_224 coatnet_pico_rw_224 pvt_v2_b0 resmlp_12_224''',
    256: 'fastvit_t8 edgenext_xx_small mobilevit_xxs mobilevitv2_050 maxvit_rmlp_pico_rw_256',
    299: 'inception_v3 inception_v4',
}
# The default exporter takes ten times as long, so it exports one network of each kind.
BOTH = set('''mobilenetv2_100 mobilenetv3_small_100 mobilenetv4_conv_small efficientnet_lite0 tf_efficientnetv2_b0 resnet18 regnety_002 ecaresnet26t
    ghostnet_100 lcnet_050 repvgg_a0 convnext_atto fastvit_t8 mobilevit_xxs deit_tiny_patch16_224 swin_tiny_patch4_window7_224 shufflenet_v2_x1_0'''.split())
TORCHVISION = {160: 'shufflenet_v2_x1_0 squeezenet1_1 mnasnet0_5 googlenet efficientnet_v2_s alexnet swin_t'}


def settle(model, size):
    """Calibrates batch norms on noise, and perturbs parameters that are constant over a tensor."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.numel() > 1 and parameter.std() == 0:
                first = float(parameter.flatten()[0])
                parameter.data.copy_((first if first > 0.01 else 0) + 0.2 * torch.randn(parameter.shape, generator=generator).clamp(-2, 2))
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.momentum = None
            module.reset_running_stats()
    model.train()
    with torch.no_grad():
        model(torch.randn(4, 3, size, size, generator=generator))
    return model.eval()


def export(model, size, name, folder):
    picture = torch.zeros(1, 3, size, size)
    exporters = [('script', {'dynamo': False, 'opset_version': 17})] + ([('default', {'dynamo': True})] if name.split('.')[1] in BOTH else [])
    for exporter, options in exporters:
        path = folder / f'{name}.{exporter}.onnx'
        try:
            with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
                torch.onnx.export(model, (picture,), str(path), input_names=['input'], **options)
        except Exception as error:  # an exporter that cannot do it is none of gapcam's business
            path.unlink(missing_ok=True)
            print(f'{path.name}: {type(error).__name__}', file=sys.stderr)


def build(library, name):
    torch.manual_seed(1)
    if library is timm:
        return timm.create_model(name, pretrained=False)
    more = {'init_weights': False, 'aux_logits': False} if name == 'googlenet' else {}
    return getattr(torchvision.models, name)(weights=None, **more)


if __name__ == '__main__':
    warnings.filterwarnings('ignore')
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for library, sizes in [(timm, TIMM), (torchvision, TORCHVISION)]:
        for size, names in sizes.items():
            for name in names.split():
                export(settle(build(library, name), size), size, f'{library.__name__}.{name}', folder)

#!/usr/bin/env python3
"""Writes the small networks of test/fixtures/exporters through common exporters.

    python3 -m venv venv && venv/bin/pip install torch==2.9.1 onnx==1.19.1 onnxscript timm
    venv/bin/python scripts/networks/exporter-fixtures.py torch test/fixtures/exporters
    python3 -m venv venv-tf && venv-tf/bin/pip install tensorflow-cpu tf2onnx
    venv-tf/bin/python scripts/networks/exporter-fixtures.py tf test/fixtures/exporters

Weights are random and seeded; batch norms get statistics of their own, so that folding them wrongly shows.
"""
import pathlib
import sys


def settle(model):
    """Gives statistics and factors values as after training: none is neutral."""
    import torch
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.7, 1.3)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.6, 1.4)
    return model.eval()


def torch_network():
    """Residual, squeeze-excite, padding that depends on the size, a channel shuffle, GAP."""
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, stride=2, bias=False), nn.BatchNorm2d(12), nn.Hardswish())
            self.inner = nn.Sequential(nn.Conv2d(12, 12, 3, padding=1, groups=3, bias=False), nn.BatchNorm2d(12), nn.ReLU6())
            self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, 4, 1), nn.SiLU(), nn.Conv2d(4, 12, 1), nn.Sigmoid())
            self.last = nn.Sequential(nn.Conv2d(12, 30, 1), nn.GELU())
            self.head = nn.Linear(30, 7)

        def forward(self, x):
            height, width = x.shape[-2:]
            x = self.stem(nn.functional.pad(x, (0, 1 + width % 2, 0, 1 + height % 2)))
            y = self.inner(x)
            x = x + y * self.gate(y)
            n, c, h, w = x.shape
            x = x.view(n, 3, c // 3, h, w).transpose(1, 2).reshape(n, c, h, w)
            return self.head(self.last(nn.functional.max_pool2d(x, 2)).mean((2, 3)))

    torch.manual_seed(1)
    return settle(Network())


def timm_network():
    """An EfficientNet from timm's builder with TensorFlow padding, like the tf_* models."""
    import torch
    from timm.models._efficientnet_builder import decode_arch_def
    from timm.models.efficientnet import EfficientNet
    torch.manual_seed(2)
    stages = decode_arch_def([['ds_r1_k3_s1_e1_c8_se0.25'], ['ir_r2_k3_s2_e4_c12_se0.25'], ['ir_r1_k5_s2_e4_c20_se0.25']])
    return settle(EfficientNet(stages, num_features=48, stem_size=8, num_classes=7, pad_type='same', act_layer=torch.nn.SiLU))


def write_torch(folder):
    import torch
    picture = torch.randn(1, 3, 40, 48)
    for name, model, options in [
        ('torch-default', torch_network(), {'dynamo': True}),
        ('torch-script', torch_network(), {'dynamo': False, 'opset_version': 17}),
        ('timm-default', timm_network(), {'dynamo': True}),
        ('timm-script', timm_network(), {'dynamo': False, 'opset_version': 11}),
    ]:
        torch.onnx.export(model, (picture,), str(folder / f'{name}.onnx'), input_names=['input'], output_names=['logits'], **options)
        without_traces(folder / f'{name}.onnx')


def without_traces(path):
    """Removes the stack traces of the default exporter, which name files of the exporting machine."""
    import onnx
    model = onnx.load(str(path), load_external_data=False)
    for node in model.graph.node:
        del node.metadata_props[:]
    path.write_bytes(model.SerializeToString())


def write_tf(folder):
    """Channels last, SAME padding at stride 2, separable convolution, ReLU6, mean over places, softmax."""
    import numpy as np
    import tensorflow as tf
    import tf2onnx
    rng = np.random.default_rng(3)

    def weight(*shape):
        return rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape).astype(np.float32)

    stem, deep, point, dense = weight(3, 3, 3, 12), weight(3, 3, 12, 1), weight(1, 1, 12, 22), weight(22, 7)
    scale, offset, mean = (rng.normal(m, 0.1, 12).astype(np.float32) for m in (1, 0, 0))
    variance = rng.uniform(0.6, 1.4, 12).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec([1, 40, 48, 3], tf.float32, name='input')])
    def network(x):
        x = tf.nn.conv2d(x, stem, 2, 'SAME')
        x = tf.nn.relu6(tf.nn.batch_normalization(x, mean, variance, offset, scale, 1e-3))
        x = tf.nn.relu6(tf.nn.depthwise_conv2d(x, deep, [1, 2, 2, 1], 'SAME'))
        x = tf.nn.avg_pool2d(tf.nn.relu(tf.nn.conv2d(x, point, 1, 'VALID')), 3, 1, 'SAME')
        return tf.nn.softmax(tf.matmul(tf.reduce_mean(x, [1, 2]), dense))

    tf2onnx.convert.from_function(network, input_signature=network.input_signature, opset=15, output_path=str(folder / 'tf2onnx.onnx'))


if __name__ == '__main__':
    {'torch': write_torch, 'tf': write_tf}[sys.argv[1]](pathlib.Path(sys.argv[2]))

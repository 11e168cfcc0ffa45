"""Ready-made models, which can be written to a file as a description and built from it without running its code."""

from __future__ import annotations

from gyaku.models.autoencoder import Autoencoder
from gyaku.models.conv_autoencoder import ConvAutoencoder
from gyaku.models.dispatch import KINDS, NAMES, build, in_words, split_name, weight_shapes
from gyaku.models.lenet import LeNet
from gyaku.models.mlp import ACTIVATIONS, INITS, MLP, NORMS
from gyaku.models.mnist_net import MyMnistNet
from gyaku.models.resnet import BLOCKS, Block, ResNet
from gyaku.models.stacked import StackedAutoencoder
from gyaku.models.unet import UNet

__all__ = [
    "ACTIVATIONS",
    "BLOCKS",
    "INITS",
    "KINDS",
    "MLP",
    "NAMES",
    "NORMS",
    "Autoencoder",
    "Block",
    "ConvAutoencoder",
    "LeNet",
    "MyMnistNet",
    "ResNet",
    "StackedAutoencoder",
    "UNet",
    "build",
    "in_words",
    "split_name",
    "weight_shapes",
]

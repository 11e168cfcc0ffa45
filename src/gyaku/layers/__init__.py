"""The lectures' layer classes and optimizers on plain NumPy arrays (S1 §5 to §9, S3).

They are thin: every derivative and every update is the one of ``gyaku.ops`` and ``gyaku.optim.rules``.

>>> import numpy as np
>>> layer = Affine(np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 4.0]]), np.zeros(2))
>>> layer.forward(np.array([[2.0, -1.0, 1.0]]))
array([[3., 3.]])
>>> layer.backward(np.array([[2.0, 1.0]]))
array([[4., 3., 4.]])
>>> layer.dW
array([[ 4.,  2.],
       [-2., -1.],
       [ 2.,  1.]])
"""

from gyaku.layers.activations import LeakyReLU, ReLU, Sigmoid, Tanh
from gyaku.layers.affine import Affine, BatchNorm, Dropout
from gyaku.layers.base import Layer, LossLayer
from gyaku.layers.losses import RegressionLoss, SigmoidWithLoss, SoftmaxWithLoss
from gyaku.layers.network import Network
from gyaku.layers.optimizers import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSProp

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "Affine",
    "BatchNorm",
    "Dropout",
    "Layer",
    "LeakyReLU",
    "LossLayer",
    "Momentum",
    "Nesterov",
    "Network",
    "RMSProp",
    "ReLU",
    "RegressionLoss",
    "Sigmoid",
    "SigmoidWithLoss",
    "SoftmaxWithLoss",
    "Tanh",
]

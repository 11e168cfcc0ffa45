"""Right layers made of several: skip blocks, two-layer networks, and layers that gather, scale or join."""

from __future__ import annotations

import numpy as np


class SkipBlock:
    """y = relu(x W1 + b1) W2 + b2 + x."""

    def __init__(self, W1, b1, W2, b2):
        self.W1, self.b1, self.W2, self.b2 = W1, b1, W2, b2

    def forward(self, x):
        self.x = x
        self.a = x @ self.W1 + self.b1
        self.h = np.maximum(0, self.a)
        return self.h @ self.W2 + self.b2 + x

    def backward(self, dout):
        self.dW2 = self.h.T @ dout
        self.db2 = dout.sum(axis=0)
        dh = dout @ self.W2.T
        da = dh * (self.a > 0)
        self.dW1 = self.x.T @ da
        self.db1 = da.sum(axis=0)
        return da @ self.W1.T + dout


class SkipTanh:
    """y = x + tanh(x W1 + b1)."""

    def __init__(self, W1, b1):
        self.W1, self.b1 = W1, b1

    def forward(self, x):
        self.x = x
        self.h = np.tanh(x @ self.W1 + self.b1)
        return x + self.h

    def backward(self, dout):
        da = dout * (1 - self.h**2)
        self.dW1 = self.x.T @ da
        self.db1 = da.sum(axis=0)
        dx = dout.copy()
        dx += da @ self.W1.T
        return dx


class TwoLayerRegression:
    """sigmoid hidden layer, linear output, E = 1/(2N) sum (y - t)^2."""

    def __init__(self, W1, b1, W2, b2):
        self.W1, self.b1, self.W2, self.b2 = W1, b1, W2, b2

    def forward(self, x, t):
        self.x, self.t = x, t
        self.h = 1 / (1 + np.exp(-(x @ self.W1 + self.b1)))
        self.y = self.h @ self.W2 + self.b2
        return 0.5 * np.sum((self.y - t) ** 2) / len(x)

    def backward(self, dout=1):
        delta2 = dout * (self.y - self.t) / len(self.x)
        self.dW2 = self.h.T @ delta2
        self.db2 = delta2.sum(axis=0)
        dh = delta2 @ self.W2.T
        delta1 = dh * self.h * (1 - self.h)
        self.dW1 = self.x.T @ delta1
        self.db1 = delta1.sum(axis=0)
        return delta1 @ self.W1.T


class TwoLayerClasses:
    """tanh hidden layer, softmax output, cross-entropy of one-hot targets."""

    def __init__(self, W1, b1, W2, b2):
        self.W1, self.b1, self.W2, self.b2 = W1, b1, W2, b2

    def forward(self, x, t):
        self.x, self.t = x, t
        self.h = np.tanh(np.dot(x, self.W1) + self.b1)
        a = np.dot(self.h, self.W2) + self.b2
        e = np.exp(a - a.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        return -np.sum(t * np.log(self.y)) / x.shape[0]

    def backward(self, dout=1):
        dy = dout * (self.y - self.t) / self.x.shape[0]
        self.dW2 = np.dot(self.h.T, dy)
        self.db2 = np.sum(dy, axis=0)
        dz = np.dot(dy, self.W2.T)
        da = (1 - self.h**2) * dz
        self.dW1 = np.dot(self.x.T, da)
        self.db1 = np.sum(da, axis=0)
        return np.dot(da, self.W1.T)


class TwoLayerBinary:
    """ReLU hidden layer, one logit, binary cross-entropy."""

    def __init__(self, W1, b1, W2, b2):
        self.W1, self.b1, self.W2, self.b2 = W1, b1, W2, b2

    def forward(self, x, t):
        self.x, self.t, self.N = x, t, len(x)
        self.mask = (x @ self.W1 + self.b1) > 0
        self.h = (x @ self.W1 + self.b1) * self.mask
        self.y = 1 / (1 + np.exp(-(self.h @ self.W2 + self.b2)))
        return -np.sum(t * np.log(self.y) + (1 - t) * np.log(1 - self.y)) / self.N

    def backward(self, dout=1):
        d2 = (self.y - self.t) / self.N * dout
        self.dW2, self.db2 = self.h.T @ d2, d2.sum(axis=0)
        d1 = (d2 @ self.W2.T) * self.mask
        self.dW1, self.db1 = self.x.T @ d1, d1.sum(axis=0)
        return d1 @ self.W1.T


class Embedding:
    """Rows of W by number; takes whole numbers, so there is no dx."""

    def __init__(self, W):
        self.W = W

    def forward(self, index):
        self.index = index
        return self.W[index]

    def backward(self, dout):
        self.dW = np.zeros_like(self.W)
        np.add.at(self.dW, self.index, dout)


class EmbeddingLoop:
    def __init__(self, W):
        self.W = W

    def forward(self, index):
        self.index = index
        return self.W[index]

    def backward(self, dout):
        dW = np.zeros_like(self.W)
        for i, row in enumerate(self.index):
            dW[row] += dout[i]
        self.dW = dW


class Scale:
    """y = gamma x + beta, per column."""

    def __init__(self, gamma, beta):
        self.gamma, self.beta = gamma, beta

    def forward(self, x):
        self.x = x
        return self.gamma * x + self.beta

    def backward(self, dout):
        self.dgamma = (self.x * dout).sum(axis=0)
        self.dbeta = dout.sum(axis=0)
        return self.gamma * dout


class PReLU:
    """One learned slope for all units."""

    def __init__(self, a):
        self.a = a

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.a * x)

    def backward(self, dout):
        self.da = np.sum(dout * np.minimum(self.x, 0)).reshape(self.a.shape)
        return dout * np.where(self.x > 0, 1, self.a)


class Normalize:
    """Rows of length one."""

    def forward(self, x):
        self.r = np.sqrt((x * x).sum(axis=1, keepdims=True))
        self.y = x / self.r
        return self.y

    def backward(self, dout):
        s = (dout * self.y).sum(axis=1, keepdims=True)
        return (dout - self.y * s) / self.r


class MeanPool:
    """(N, T, D) to (N, D): the mean over the places."""

    def forward(self, x):
        self.T = x.shape[1]
        return x.mean(axis=1)

    def backward(self, dout):
        return np.repeat(dout[:, None, :], self.T, axis=1) / self.T


class Center:
    """x minus the mean of its column."""

    def forward(self, x):
        return x - x.mean(axis=0)

    def backward(self, dout):
        return dout - dout.mean(axis=0)


class Flatten:
    def forward(self, x):
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dout):
        return dout.reshape(self.shape)


class Identity:
    def forward(self, x):
        return x

    def backward(self, dout):
        return dout

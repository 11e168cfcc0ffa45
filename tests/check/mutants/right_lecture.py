"""Right layers as students write them: the lecture's classes, each in several hands. Mutants are edits of this text."""

# ruff: noqa: RET504  students name what they return
from __future__ import annotations

import numpy as np

# --- Affine -----------------------------------------------------------------------------------------------------------


class Affine:
    def __init__(self, W, b):
        self.W = W
        self.b = b

    def forward(self, x):
        self.x = x
        return np.dot(x, self.W) + self.b

    def backward(self, dout):
        dx = np.dot(dout, self.W.T)
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return dx


class AffineEinsum:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return np.einsum("nk,kl->nl", x, self.W) + self.b

    def backward(self, dout):
        self.dW = np.einsum("nk,nl->kl", self.x, dout)
        self.db = np.einsum("nl->l", dout)
        return np.einsum("nl,kl->nk", dout, self.W)


class AffineLoop:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = np.zeros_like(self.W)
        self.db = np.zeros_like(self.b)
        dx = np.zeros_like(self.x)
        for n in range(len(dout)):
            self.dW += np.outer(self.x[n], dout[n])
            self.db += dout[n]
            dx[n] = self.W @ dout[n]
        return dx


class AffineBuffers:
    def __init__(self, W, b):
        self.W, self.b = W, b
        self.dW, self.db = np.zeros_like(W), np.zeros_like(b)

    def forward(self, x):
        self.x = x.copy()
        return self.x @ self.W + self.b

    def backward(self, dout):
        self.dW = (dout.T @ self.x).T
        ones = np.ones(len(dout))
        self.db = ones @ dout
        return (self.W @ dout.T).T


class AffineAnyShape:
    """Takes x of any shape (N, ...) and flattens it."""

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.shape = x.shape
        self.x = x.reshape(len(x), -1)
        return self.x @ self.W + self.b

    def backward(self, dout):
        dx = dout @ self.W.T
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        return dx.reshape(self.shape)


class Linear:
    """PyTorch's layout: W (L, K)."""

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return x @ self.W.T + self.b

    def backward(self, dout):
        self.dW = dout.T @ self.x
        self.db = dout.sum(0)
        return dout @ self.W


# --- activations ------------------------------------------------------------------------------------------------------


class Sigmoid:
    def forward(self, x):
        self.y = 1 / (1 + np.exp(-x))
        return self.y

    def backward(self, dout):
        return dout * self.y * (1.0 - self.y)


class SigmoidOfX:
    def forward(self, x):
        self.x = x
        return 1 / (1 + np.exp(-x))

    def backward(self, dout):
        e = np.exp(-self.x)
        return dout * e / (1 + e) ** 2


class SigmoidTanh:
    def forward(self, x):
        self.s = 0.5 * (1 + np.tanh(x / 2))
        return self.s

    def backward(self, dout):
        dx = self.s - self.s**2
        dx *= dout
        return dx


class ReLU:
    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] = 0
        return dx


class ReLUMaximum:
    def forward(self, x):
        self.y = np.maximum(0, x)
        return self.y

    def backward(self, dout):
        return dout * (self.y > 0)


class ReLUWhere:
    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, 0)

    def backward(self, dout):
        return np.where(self.x > 0, dout, 0)


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dout):
        return dout * (1 - self.y**2)


class TanhOfX:
    def forward(self, x):
        self.x = x
        return np.tanh(x)

    def backward(self, dout):
        return dout / np.cosh(self.x) ** 2


class TanhExp:
    def forward(self, x):
        self.p, self.m = np.exp(x), np.exp(-x)
        return (self.p - self.m) / (self.p + self.m)

    def backward(self, dout):
        return 4 * dout / (self.p + self.m) ** 2


class LeakyReLU:
    def __init__(self, slope=0.1):
        self.slope = slope

    def forward(self, x):
        self.mask = x > 0
        return np.where(self.mask, x, self.slope * x)

    def backward(self, dout):
        return np.where(self.mask, dout, self.slope * dout)


class LeakyReLUFactor:
    def __init__(self, slope=0.1):
        self.slope = slope

    def forward(self, x):
        self.factor = np.ones_like(x)
        self.factor[x <= 0] = self.slope
        return x * self.factor

    def backward(self, dout):
        return dout * self.factor


class ELU:
    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def forward(self, x):
        self.x = x
        self.y = np.where(x > 0, x, self.alpha * (np.exp(x) - 1))
        return self.y

    def backward(self, dout):
        return dout * np.where(self.x > 0, 1, self.y + self.alpha)


class Swish:
    def forward(self, x):
        self.x = x
        self.s = 1 / (1 + np.exp(-x))
        return x * self.s

    def backward(self, dout):
        return dout * (self.s + self.x * self.s * (1 - self.s))


class Softplus:
    def forward(self, x):
        self.x = x
        return np.log(1 + np.exp(x))

    def backward(self, dout):
        return dout / (1 + np.exp(-self.x))


# --- softmax ----------------------------------------------------------------------------------------------------------


class Softmax:
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        return self.y

    def backward(self, dout):
        s = (dout * self.y).sum(axis=1, keepdims=True)
        return self.y * (dout - s)


class SoftmaxJacobian:
    def forward(self, x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        self.y = e / e.sum(axis=-1, keepdims=True)
        return self.y

    def backward(self, dout):
        dx = np.empty_like(dout)
        for n, y in enumerate(self.y):
            J = np.diag(y) - np.outer(y, y)
            dx[n] = J @ dout[n]
        return dx


class LogSoftmax:
    def forward(self, x):
        x = x - x.max(axis=1, keepdims=True)
        self.y = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
        return self.y

    def backward(self, dout):
        return dout - np.exp(self.y) * dout.sum(axis=1, keepdims=True)


# --- losses -----------------------------------------------------------------------------------------------------------


class RegressionLoss:
    def forward(self, y, t):
        self.y, self.t = y, t
        return 0.5 * np.sum((y - t) ** 2) / y.shape[0]

    def backward(self, dout=1):
        return dout * (self.y - self.t) / self.y.shape[0]


class RegressionLossKeepsDifference:
    def forward(self, y, t):
        self.d = y - t
        self.N = len(y)
        return (self.d * self.d).sum() / (2 * self.N)

    def backward(self, dout=1):
        dx = self.d.copy()
        dx *= dout / self.N
        return dx


class MeanSquaredError:
    """PyTorch's: the mean over all elements, without one half."""

    def forward(self, y, t):
        self.y, self.t = y, t
        return np.mean((y - t) ** 2)

    def backward(self, dout=1):
        return dout * 2 * (self.y - self.t) / self.y.size


class HuberLoss:
    def forward(self, y, t):
        self.d = y - t
        a = np.abs(self.d)
        return np.where(a < 1, 0.5 * a**2, a - 0.5).sum() / len(y)

    def backward(self, dout=1):
        return dout * np.clip(self.d, -1, 1) / len(self.d)


class SigmoidWithLoss:
    def forward(self, x, t):
        self.t = t
        self.y = 1 / (1 + np.exp(-x))
        return -np.sum(t * np.log(self.y) + (1 - t) * np.log(1 - self.y)) / len(x)

    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        return dout * (self.y - self.t) / batch_size


class SigmoidWithLossStable:
    def forward(self, x, t):
        self.x, self.t = x, t
        return np.sum(np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))) / len(x)

    def backward(self, dout=1):
        y = np.where(self.x > 0, 1, np.exp(np.minimum(self.x, 0))) / (1 + np.exp(-np.abs(self.x)))
        return (y - self.t) * (dout / len(self.x))


class SigmoidWithLossSteps:
    """The chain rule step by step, without the short form y - t."""

    def forward(self, x, t):
        self.t = t
        self.y = 1 / (1 + np.exp(-x))
        self.N = len(x)
        return -(t * np.log(self.y) + (1 - t) * np.log(1 - self.y)).sum() / self.N

    def backward(self, dout=1):
        dy = -(self.t / self.y - (1 - self.t) / (1 - self.y)) / self.N
        dx = dy * self.y * (1 - self.y)
        return dout * dx


class SoftmaxWithLoss:
    def forward(self, x, t):
        self.t = t
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        return -np.sum(t * np.log(self.y + 1e-15)) / len(x)

    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        dx = (self.y - self.t) * dout / batch_size
        return dx


class SoftmaxWithLossNumbers:
    """Targets are class numbers."""

    def forward(self, x, t):
        self.t = t
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        return -np.log(self.y[np.arange(len(t)), t]).mean()

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dx * dout / len(self.t)


class SoftmaxWithLossLog:
    def forward(self, x, t):
        self.t = t
        x = x - np.max(x, axis=1, keepdims=True)
        self.log_y = x - np.log(np.sum(np.exp(x), axis=1, keepdims=True))
        return -np.mean(np.sum(t * self.log_y, axis=1))

    def backward(self, dout=1):
        dlog = -self.t * dout / len(self.t)
        return dlog - np.exp(self.log_y) * dlog.sum(axis=1, keepdims=True)


class HingeLoss:
    """max(0, 1 - s_t + the largest other score), mean over the rows; t are class numbers."""

    def forward(self, x, t):
        self.t, self.rows = t, np.arange(len(t))
        others = x.copy()
        others[self.rows, t] = -np.inf
        self.k = others.argmax(axis=1)
        margin = 1 - x[self.rows, t] + others.max(axis=1)
        self.active = margin > 0
        self.shape = x.shape
        return np.maximum(0, margin).mean()

    def backward(self, dout=1):
        dx = np.zeros(self.shape)
        dx[self.rows, self.k] += self.active
        dx[self.rows, self.t] -= self.active
        return dout * dx / len(self.t)


# --- batch norm, layer norm -------------------------------------------------------------------------------------------


class BatchNorm:
    """As the lecture writes it: backward in closed form."""

    def __init__(self, gamma, beta):
        self.gamma, self.beta = gamma, beta
        self.mean, self.var = np.zeros_like(gamma), np.ones_like(gamma)

    def forward(self, x, train=True):
        self.train = train
        if train:
            mu = x.mean(axis=0)
            v = ((x - mu) ** 2).mean(axis=0)
            self.mean = 0.9 * self.mean + 0.1 * mu
            self.var = 0.9 * self.var + 0.1 * v
        else:
            mu, v = self.mean, self.var
        self.sigma = np.sqrt(v + 1e-8)
        self.xn = (x - mu) / self.sigma
        return self.gamma * self.xn + self.beta

    def backward(self, dout):
        self.dbeta = dout.sum(axis=0)
        self.dgamma = (self.xn * dout).sum(axis=0)
        if not self.train:
            return dout * self.gamma / self.sigma
        c = dout.mean(axis=0)
        d = (self.xn * dout).mean(axis=0)
        return self.gamma / self.sigma * (dout - c - self.xn * d)


class BatchNormSteps:
    """Backward node by node."""

    def __init__(self, gamma, beta, eps=1e-7):
        self.gamma, self.beta, self.eps = gamma, beta, eps

    def forward(self, x):
        self.N = x.shape[0]
        mu = x.mean(axis=0)
        self.xc = x - mu
        self.var = np.mean(self.xc**2, axis=0)
        self.std = np.sqrt(self.var + self.eps)
        self.xn = self.xc / self.std
        return self.gamma * self.xn + self.beta

    def backward(self, dout):
        self.dbeta = dout.sum(axis=0)
        self.dgamma = np.sum(self.xn * dout, axis=0)
        dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum((dxn * self.xc) / (self.std * self.std), axis=0)
        dvar = 0.5 * dstd / self.std
        dxc += (2.0 / self.N) * self.xc * dvar
        dmu = np.sum(dxc, axis=0)
        return dxc - dmu / self.N


class BatchNormCompact:
    def __init__(self, gamma, beta):
        self.gamma, self.beta = gamma, beta

    def forward(self, x):
        self.r = 1 / np.sqrt(x.var(axis=0) + 1e-5)
        self.xn = (x - x.mean(axis=0)) * self.r
        return self.gamma * self.xn + self.beta

    def backward(self, dout):
        N = len(dout)
        self.dgamma = np.einsum("nd,nd->d", dout, self.xn)
        self.dbeta = dout.sum(0)
        return self.gamma * self.r / N * (N * dout - self.dbeta - self.xn * self.dgamma)


class Standardize:
    """Batch norm without parameters."""

    def forward(self, x):
        self.xc = x - x.mean(axis=0)
        self.sigma = np.sqrt((self.xc**2).mean(axis=0) + 1e-6)
        return self.xc / self.sigma

    def backward(self, dout):
        N = len(dout)
        dsigma = -(dout * self.xc).sum(axis=0) / self.sigma**2
        dxc = dout / self.sigma + dsigma * self.xc / (N * self.sigma)
        return dxc - dxc.mean(axis=0)


class LayerNorm:
    def __init__(self, gamma, beta):
        self.gamma, self.beta = gamma, beta

    def forward(self, x):
        mu = x.mean(axis=1, keepdims=True)
        self.r = 1 / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        self.xn = (x - mu) * self.r
        return self.gamma * self.xn + self.beta

    def backward(self, dout):
        self.dgamma = (self.xn * dout).sum(axis=0)
        self.dbeta = dout.sum(axis=0)
        g = dout * self.gamma
        c = g.mean(axis=1, keepdims=True)
        d = (g * self.xn).mean(axis=1, keepdims=True)
        return self.r * (g - c - self.xn * d)


# --- dropout, penalties -----------------------------------------------------------------------------------------------


class Dropout:
    """The lecture's: scaled by 1 - p in prediction."""

    def __init__(self, p=0.4):
        self.p = p

    def forward(self, x, train=True):
        if train:
            self.mask = np.random.rand(*x.shape) > self.p
        else:
            self.mask = 1 - self.p
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class DropoutInverted:
    def __init__(self, p=0.4):
        self.p = p

    def forward(self, x, train=True):
        self.train = train
        if not train:
            return x
        self.mask = (np.random.rand(*x.shape) > self.p) / (1 - self.p)
        return x * self.mask

    def backward(self, dout):
        if not self.train:
            return dout
        return dout * self.mask


class DropoutGenerator:
    """Draws from a generator of its own."""

    def __init__(self, p=0.4, seed=0):
        self.p, self.rng = p, np.random.default_rng(seed)

    def forward(self, x, train=True):
        keep = self.rng.random(x.shape) > self.p
        self.scale = keep / (1 - self.p) if train else np.ones_like(x)
        return x * self.scale

    def backward(self, dout):
        return self.scale * dout


class L2Penalty:
    def __init__(self, W, alpha=0.3):
        self.W, self.alpha = W, alpha

    def forward(self, x):
        self.x = x
        return x.sum() + self.alpha * np.sum(self.W**2)

    def backward(self, dout=1):
        self.dW = 2 * self.alpha * self.W * dout
        return dout * np.ones_like(self.x)


class AffineL2:
    """Regression with weight decay: one affine layer and its loss."""

    def __init__(self, W, b, alpha=0.1):
        self.W, self.b, self.alpha = W, b, alpha

    def forward(self, x, t):
        self.x, self.N = x, len(x)
        self.d = x @ self.W + self.b - t
        return 0.5 * np.sum(self.d**2) / self.N + self.alpha * np.sum(self.W**2)

    def backward(self, dout=1):
        dy = dout * self.d / self.N
        self.dW = self.x.T @ dy + dout * 2 * self.alpha * self.W
        self.db = dy.sum(axis=0)
        return dy @ self.W.T


class AffineL1:
    def __init__(self, W, b, alpha=0.1):
        self.W, self.b, self.alpha = W, b, alpha

    def forward(self, x, t):
        self.x, self.N = x, len(x)
        self.d = x @ self.W + self.b - t
        return 0.5 * np.sum(self.d**2) / self.N + self.alpha * np.abs(self.W).sum()

    def backward(self, dout=1):
        dy = dout * self.d / self.N
        self.dW = self.x.T @ dy + dout * self.alpha * np.sign(self.W)
        self.db = dy.sum(axis=0)
        return dy @ self.W.T

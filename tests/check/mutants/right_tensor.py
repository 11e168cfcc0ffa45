"""Right layers in tensors: ``autograd.Function`` with a backward of one's own, and Modules around them."""

from __future__ import annotations

import gyaku as gy
from gyaku import nn
from gyaku.autograd import Function


class AffineFunction(Function):
    @staticmethod
    def forward(ctx, x, W, b):
        ctx.save_for_backward(x, W)
        return x @ W + b

    @staticmethod
    def backward(ctx, dout):
        x, W = ctx.saved_tensors
        dx = dout @ W.T
        dW = x.T @ dout
        db = dout.sum(0)
        return dx, dW, db


class SigmoidFunction(Function):
    @staticmethod
    def forward(ctx, x):
        y = 1 / (1 + gy.exp(-x))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dout):
        (y,) = ctx.saved_tensors
        return dout * y * (1 - y)


class ReLUFunction(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return gy.maximum(x, gy.zeros_like(x))

    @staticmethod
    def backward(ctx, dout):
        (x,) = ctx.saved_tensors
        return gy.where(x > 0, dout, gy.zeros_like(dout))


class TanhFunction(Function):
    @staticmethod
    def forward(ctx, x):
        y = gy.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dout):
        (y,) = ctx.saved_tensors
        return dout * (1 - y * y)


class CubeFunction(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, dout):
        (x,) = ctx.saved_tensors
        return 3 * x * x * dout


class MulFunction(Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx, dout):
        a, b = ctx.saved_tensors
        return dout * b, dout * a


class MSEFunction(Function):
    """The mean over all elements of (y - t) squared."""

    @staticmethod
    def forward(ctx, y, t):
        ctx.save_for_backward(y, t)
        return ((y - t) ** 2).mean()

    @staticmethod
    def backward(ctx, dout):
        y, t = ctx.saved_tensors
        g = dout * 2 * (y - t) / y.numel()
        return g, -g


class SoftmaxFunction(Function):
    @staticmethod
    def forward(ctx, x):
        e = gy.exp(x)
        y = e / e.sum(1, keepdim=True)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dout):
        (y,) = ctx.saved_tensors
        s = (dout * y).sum(1, keepdim=True)
        return y * (dout - s)


class CrossEntropyFunction(Function):
    """Softmax and cross-entropy with one-hot targets, mean over the rows."""

    @staticmethod
    def forward(ctx, x, t):
        e = gy.exp(x)
        y = e / e.sum(1, keepdim=True)
        ctx.save_for_backward(y, t)
        return -(t * gy.log(y)).sum() / x.shape[0]

    @staticmethod
    def backward(ctx, dout):
        y, t = ctx.saved_tensors
        return dout * (y - t) / y.shape[0], None


class BatchNormFunction(Function):
    @staticmethod
    def forward(ctx, x, gamma, beta):
        mu = x.mean(0)
        sigma = gy.sqrt(((x - mu) ** 2).mean(0) + 1e-5)
        xn = (x - mu) / sigma
        ctx.save_for_backward(xn, sigma, gamma)
        return gamma * xn + beta

    @staticmethod
    def backward(ctx, dout):
        xn, sigma, gamma = ctx.saved_tensors
        dgamma = (dout * xn).sum(0)
        dbeta = dout.sum(0)
        c = dout.mean(0)
        d = (dout * xn).mean(0)
        return gamma / sigma * (dout - c - xn * d), dgamma, dbeta


class AffineModule(nn.Module):
    def __init__(self, K, L):
        super().__init__()
        self.W = nn.Parameter(gy.randn(K, L))
        self.b = nn.Parameter(gy.randn(L))

    def forward(self, x):
        return AffineFunction.apply(x, self.W, self.b)


class SkipModule(nn.Module):
    """y = x + W2 tanh(W1 x)."""

    def __init__(self, K, L):
        super().__init__()
        self.first = nn.Linear(K, L)
        self.second = nn.Linear(L, K)

    def forward(self, x):
        h = gy.tanh(self.first(x))
        return x + self.second(h)


class BatchNormModule(nn.Module):
    """Batch norm in tensors: the graph does the rest."""

    def __init__(self, D):
        super().__init__()
        self.gamma = nn.Parameter(gy.rand(D) + 0.5)
        self.beta = nn.Parameter(gy.randn(D))
        self.register_buffer("mean", gy.zeros(D))
        self.register_buffer("var", gy.ones(D))

    def forward(self, x):
        if self.training:
            mu = x.mean(0)
            v = ((x - mu) ** 2).mean(0)
            self.mean = 0.9 * self.mean + 0.1 * mu.detach()
            self.var = 0.9 * self.var + 0.1 * v.detach()
        else:
            mu, v = self.mean, self.var
        xn = (x - mu) / gy.sqrt(v + 1e-5)
        return self.gamma * xn + self.beta


class AttentionModule(nn.Module):
    """Rows weighted by a softmax of their scores."""

    def __init__(self, D):
        super().__init__()
        self.q = nn.Parameter(gy.randn(D))

    def forward(self, x):
        score = x @ self.q
        w = gy.softmax(score, 0)
        return (w.reshape(-1, 1) * x).sum(0)


class TwoLayerModule(nn.Module):
    def __init__(self, K, L):
        super().__init__()
        self.first = nn.Linear(K, L)
        self.second = nn.Linear(L, 2)

    def forward(self, x):
        h = gy.sigmoid(self.first(x))
        return self.second(h)


class GatedModule(nn.Module):
    """y = sigmoid(x V) * (x W)."""

    def __init__(self, K, L):
        super().__init__()
        self.V = nn.Parameter(gy.randn(K, L))
        self.W = nn.Parameter(gy.randn(K, L))

    def forward(self, x):
        gate = gy.sigmoid(x @ self.V)
        value = x @ self.W
        return gate * value

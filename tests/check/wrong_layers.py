"""Layers with one mistake each, as a student would write them: class -> the cause that the check must name."""

from __future__ import annotations

from typing import Any

import numpy as np


class Affine:
    def __init__(self, W: Any, b: Any) -> None:
        self.W, self.b = W, b

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout: Any) -> Any:
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W.T


class NoTranspose(Affine):
    def backward(self, dout: Any) -> Any:
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W


class NoSum(Affine):
    def backward(self, dout: Any) -> Any:
        self.dW, self.db = self.x.T @ dout, dout
        return dout @ self.W.T


class Mean(Affine):
    def backward(self, dout: Any) -> Any:
        self.dW, self.db = self.x.T @ dout / len(dout), dout.sum(axis=0)
        return dout @ self.W.T


class UpdatesTooEarly(Affine):
    def backward(self, dout: Any) -> Any:
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        self.W -= 0.1 * self.dW
        return dout @ self.W.T


class Accumulates(Affine):
    def __init__(self, W: Any, b: Any) -> None:
        super().__init__(W, b)
        self.dW, self.db = np.zeros_like(W), np.zeros_like(b)

    def backward(self, dout: Any) -> Any:
        self.dW += self.x.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.W.T


class NeverSet(Affine):
    def backward(self, dout: Any) -> Any:
        self.dW = self.x.T @ dout
        return dout @ self.W.T


class Decays(Affine):
    def backward(self, dout: Any) -> Any:
        self.dW, self.db = self.x.T @ dout + 0.1 * self.W, dout.sum(axis=0)
        return dout @ self.W.T


class SharedState(Affine):
    kept: dict[str, Any] = {}

    def forward(self, x: Any) -> Any:
        self.kept["x"] = x
        return x @ self.W + self.b

    def backward(self, dout: Any) -> Any:
        self.dW, self.db = self.kept["x"].T @ dout, dout.sum(axis=0)
        return dout @ self.W.T


class Sigmoid:
    def forward(self, x: Any) -> Any:
        self.x, self.y = x, 1 / (1 + np.exp(-x))
        return self.y

    def backward(self, dout: Any) -> Any:
        return dout * self.y * (1 - self.y)


class Negative(Sigmoid):
    def backward(self, dout: Any) -> Any:
        return -dout * self.y * (1 - self.y)


class Nothing(Sigmoid):
    def backward(self, dout: Any) -> Any:
        dout * self.y * (1 - self.y)


class AtX(Sigmoid):
    def backward(self, dout: Any) -> Any:
        return dout * self.x * (1 - self.x)


class NoDerivative(Sigmoid):
    def backward(self, dout: Any) -> Any:
        return dout.copy()


class NoUpstream(Sigmoid):
    def backward(self, dout: Any) -> Any:
        return self.y * (1 - self.y)


class Half(Sigmoid):
    def backward(self, dout: Any) -> Any:
        return dout * self.y * (1 - self.y) / 2


class WrongShape(Sigmoid):
    def backward(self, dout: Any) -> Any:
        return (dout * self.y * (1 - self.y))[None]


class Nan(Sigmoid):
    def backward(self, dout: Any) -> Any:
        return dout * self.y * (1 - self.y) / np.zeros_like(dout)


class Half16(Sigmoid):
    def backward(self, dout: Any) -> Any:
        return (dout * self.y * (1 - self.y)).astype(np.float16)


class Stops(Sigmoid):
    def backward(self, dout: Any) -> Any:
        return dout * self.z


class WritesDout(Sigmoid):
    def backward(self, dout: Any) -> Any:
        dout *= self.y * (1 - self.y)
        return dout


class WritesX(Sigmoid):
    def forward(self, x: Any) -> Any:
        x[x > 3] = 3
        x += 0.5
        return super().forward(x)


class OneBuffer(Sigmoid):
    def __init__(self) -> None:
        self.buffer = np.zeros(1000)

    def backward(self, dout: Any) -> Any:
        dx = self.buffer[: dout.size].reshape(dout.shape)
        dx[...] = dout * self.y * (1 - self.y)
        return dx


class ReLU:
    def forward(self, x: Any) -> Any:
        self.mask = x > 0
        return x * self.mask

    def backward(self, dout: Any) -> Any:
        return dout * self.mask


class NoMask(ReLU):
    def backward(self, dout: Any) -> Any:
        return dout.copy()


class Inverted(ReLU):
    def backward(self, dout: Any) -> Any:
        return dout * ~self.mask


class MaskOfDout(ReLU):
    def backward(self, dout: Any) -> Any:
        return dout * (dout > 0)


class Dropout:
    def __init__(self, p: float = 0.3) -> None:
        self.p = p

    def forward(self, x: Any, train: bool = True) -> Any:
        self.train = train
        self.mask = (np.random.rand(*x.shape) > self.p) / (1 - self.p) if train else np.ones_like(x)
        return x * self.mask

    def backward(self, dout: Any) -> Any:
        return dout * self.mask


class NewMask(Dropout):
    def backward(self, dout: Any) -> Any:
        return dout * (np.random.rand(*dout.shape) > self.p) / (1 - self.p)


class NoScale(Dropout):
    def backward(self, dout: Any) -> Any:
        return dout * (self.mask > 0)


class BatchNorm:
    def __init__(self, gamma: Any, beta: Any) -> None:
        self.gamma, self.beta = gamma, beta
        self.mean, self.var = np.zeros_like(gamma), np.ones_like(gamma)

    def forward(self, x: Any, train: bool = True) -> Any:
        self.train = train
        mean, var = (x.mean(axis=0), x.var(axis=0)) if train else (self.mean, self.var)
        if train:
            self.mean, self.var = 0.9 * self.mean + 0.1 * mean, 0.9 * self.var + 0.1 * var
        self.sigma = np.sqrt(var + 1e-6)
        self.h = (x - mean) / self.sigma
        return self.gamma * self.h + self.beta

    def backward(self, dout: Any) -> Any:
        self.dgamma, self.dbeta = (self.h * dout).sum(axis=0), dout.sum(axis=0)
        if not self.train:
            return self.gamma / self.sigma * dout
        return self.gamma / self.sigma * (dout - dout.mean(axis=0) - self.h * (self.h * dout).mean(axis=0))


class NoMeanPath(BatchNorm):
    def backward(self, dout: Any) -> Any:
        right = super().backward(dout)
        return right + self.gamma / self.sigma * dout.mean(axis=0) if self.train else right


class NoVariancePath(BatchNorm):
    def backward(self, dout: Any) -> Any:
        right = super().backward(dout)
        return self.gamma / self.sigma * (dout - dout.mean(axis=0)) if self.train else right


class TrainsInPrediction(BatchNorm):
    def backward(self, dout: Any) -> Any:
        self.train = True
        return super().backward(dout)


class SoftmaxWithLoss:
    def forward(self, x: Any, t: Any) -> Any:
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y, self.t = e / e.sum(axis=1, keepdims=True), t
        return -np.sum(t * np.log(self.y + 1e-7)) / len(x)

    def backward(self, dout: Any = 1) -> Any:
        return dout * (self.y - self.t) / len(self.t)


class NoN(SoftmaxWithLoss):
    def backward(self, dout: Any = 1) -> Any:
        return dout * (self.y - self.t)


class NoTarget(SoftmaxWithLoss):
    def backward(self, dout: Any = 1) -> Any:
        return dout * self.y / len(self.t)


class Skip:
    """y = x + tanh(x W): what is wrong inside can be told from the source only."""

    def __init__(self, W: Any) -> None:
        self.W = W

    def forward(self, x: Any) -> Any:
        self.x = x
        self.h = np.tanh(x @ self.W)
        return x.sum(axis=1, keepdims=True) + self.h

    def backward(self, dout: Any) -> Any:
        da = dout * (1 - self.h**2)
        self.dW = self.x.T @ da
        return da @ self.W.T + dout.sum(axis=1, keepdims=True)


class SkipNoDerivative(Skip):
    def backward(self, dout: Any) -> Any:
        da = dout * 1.0
        self.dW = self.x.T @ da
        return da @ self.W.T + dout.sum(axis=1, keepdims=True)


RIGHT = (Affine, Sigmoid, ReLU, Dropout, BatchNorm, SoftmaxWithLoss, Skip)
WRONG: dict[type, str] = {
    NoTranspose: "missing_transpose",
    NoSum: "missing_batch_sum",
    Mean: "mean_instead_of_sum",
    UpdatesTooEarly: "value_after_update",
    Accumulates: "accumulated_over_calls",
    NeverSet: "missing_gradient",
    Decays: "extra_penalty",
    SharedState: "stale_state",
    Negative: "sign",
    Nothing: "returns_none",
    AtX: "derivative_at_wrong_value",
    NoDerivative: "activation_derivative_missing",
    NoUpstream: "upstream_ignored",
    Half: "missing_factor_two",
    WrongShape: "wrong_shape",
    Nan: "not_finite",
    Half16: "wrong_dtype",
    Stops: "crash",
    WritesDout: "input_mutated",
    WritesX: "input_mutated",
    OneBuffer: "aliased_gradient",
    NoMask: "mask_not_applied",
    Inverted: "mask_inverted",
    MaskOfDout: "mask_of_upstream",
    NewMask: "new_mask",
    NoScale: "dropout_scale",
    NoMeanPath: "bn_mean_path_missing",
    NoVariancePath: "bn_var_path_missing",
    TrainsInPrediction: "train_eval_confusion",
    NoN: "missing_one_over_n",
    NoTarget: "target_ignored",
    SkipNoDerivative: "activation_derivative_missing",
}

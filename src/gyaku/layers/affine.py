"""Layers that learn or regularize: Affine, BatchNorm and Dropout (S1 §5.1, §8, §9)."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np

from gyaku.backend.random import Generator, default_generator
from gyaku.base.errors import ArgumentError, GraphError, ShapeError
from gyaku.layers.base import Array, Layer, floats
from gyaku.ops.dropout import Dropout as DropoutOp
from gyaku.ops.linear import Linear
from gyaku.ops.norm import BatchNorm as BatchNormOp
from gyaku.ops.norm import BatchNormFixed


class Affine(Layer):
    """Y = X W + b with W (K, L) and b (L,): X (N, K) -> Y (N, L), or one sample (K,) -> (L,).

    backward leaves ``dW`` = X^T dout and ``db`` = the sum of dout over the rows, and returns dout W^T (S1 §3, §5.1).
    (``nn.Linear`` stores the transpose of this W.)
    """

    params: ClassVar[tuple[str, ...]] = ("W", "b")

    def __init__(self, W: Array, b: Array) -> None:
        self.W, self.b = floats("Affine", W), floats("Affine", b)
        if self.W.ndim != 2 or self.b.shape != self.W.shape[1:]:
            raise ShapeError("Affine", "W of shape (K, L) and b of shape (L,)", f"{self.W.shape} and {self.b.shape}")
        self.dW: Array = None
        self.db: Array = None

    def forward(self, x: Array) -> Array:
        """Return x W + b."""
        self.x = floats("Affine.forward", x)
        K = self.W.shape[0]
        if self.x.ndim not in (1, 2) or self.x.shape[-1] != K:
            fits = self.x.ndim > 2 and self.x[0].size == K
            raise ShapeError(
                "Affine.forward",
                f"x of shape (N, {K})",
                str(self.x.shape),
                hint="x.reshape(len(x), -1)" if fits else "",
            )
        return self._run(_LINEAR, self.x, self.W.T, self.b)

    def backward(self, dout: Array) -> Array:
        """Return dout W^T; leave dW and db."""
        dx, dW, self.db = self._back(floats("Affine.backward", dout), True, True, True)
        self.dW = dW.T
        return dx


class BatchNorm(Layer):
    """Y = γ (X - μ)/√(v + ε) + β per column of X (N, D); γ starts at 1, β at 0, ε = 1e-8 (S1 §8).

    backward leaves ``dgamma`` and ``dbeta``. Training collects running averages of μ and v (biased), starting with
    the first batch: running ← momentum·running + (1 - momentum)·batch. ``forward(x, train=False)`` predicts with them.
    In training a batch of 1 gives Y = β (x is its own mean); it says so once, and leaves the averages alone.
    """

    params: ClassVar[tuple[str, ...]] = ("gamma", "beta")
    has_modes = True

    def __init__(self, gamma: Array, beta: Array, eps: float = 1e-8, momentum: float = 0.9) -> None:
        self.gamma, self.beta = floats("BatchNorm", gamma), floats("BatchNorm", beta)
        if self.gamma.ndim != 1 or self.gamma.shape != self.beta.shape:
            raise ShapeError("BatchNorm", "gamma and beta of shape (D,)", f"{self.gamma.shape} and {self.beta.shape}")
        if not 0 <= momentum < 1:
            raise ArgumentError("BatchNorm", "0 <= momentum < 1", str(momentum))
        self.eps, self.momentum = eps, momentum
        self.running_mean: Array = None
        self.running_var: Array = None
        self.dgamma: Array = None
        self.dbeta: Array = None
        self._warned = False

    def forward(self, x: Array, train: bool = True) -> Array:
        """Return the standardised columns, scaled by gamma and moved to beta."""
        self.x = floats("BatchNorm.forward", x)
        if self.x.ndim != 2 or self.x.shape[1] != len(self.gamma):
            raise ShapeError("BatchNorm.forward", f"x of shape (N, {len(self.gamma)})", str(self.x.shape))
        self._train = train
        if not train:
            return self._predict()
        y, mean, r = self._run(BatchNormOp(self.eps), self.x, self.gamma, self.beta)
        if len(self.x) == 1:
            self._say_why()
        else:
            self._collect(mean, 1 / (r * r) - self.eps)
        return y

    def backward(self, dout: Array) -> Array:
        """Return dE/dX = γ/σ (dout - mean(dout) - X̃ mean(X̃ dout)); leave dgamma and dbeta."""
        dout = floats("BatchNorm.backward", dout)
        if self._call is not None and self._train:
            zeros = np.zeros_like(self.gamma)  # nothing flows back into the mean and deviation handed out
            dx, self.dgamma, self.dbeta = self._back((dout, zeros, zeros), True, True, True)
        else:
            dx, self.dgamma, self.dbeta = self._back(dout, True, True, True, False, False)[:3]
        return dx

    def _predict(self) -> Array:
        if self.running_mean is None:
            raise GraphError(
                "BatchNorm.forward",
                "running averages for a prediction",
                "none collected",
                hint="run forward in training first",
            )
        op = BatchNormFixed(self.eps)
        return self._run(op, self.x, self.gamma, self.beta, self.running_mean, self.running_var)

    def _collect(self, mean: Array, var: Array) -> None:
        if self.running_mean is None:
            self.running_mean, self.running_var = mean, var
            return
        keep = self.momentum
        self.running_mean = keep * self.running_mean + (1 - keep) * mean
        self.running_var = keep * self.running_var + (1 - keep) * var

    def _say_why(self) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                "BatchNorm (training): expected a batch of 2 or more, got 1, which is its own mean, so Y = "
                "beta. Hint: predict with train=False.",
                UserWarning,
                stacklevel=3,
            )


class Dropout(Layer):
    """Training: Y = X ∗ M, M = 0 with probability ``p``; prediction: Y = X (1 - p); backward dout ∗ M (S1 §9).

    This is the lecture's scaling; ``nn.Dropout`` divides by 1 - p in training instead. Keeps ``mask`` = M.
    """

    has_modes = True

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        if not 0 <= p <= 1:
            raise ArgumentError("Dropout", "p within 0..1", str(p))
        self.p, self.generator = p, generator

    def forward(self, x: Array, train: bool = True) -> Array:
        """Return x with elements dropped (training), or all of them scaled by 1 - p."""
        x = floats("Dropout.forward", x)
        draw = self.generator or default_generator
        self.mask = draw.mask(1 - self.p, x.shape) if train else np.ones(x.shape, dtype=bool)
        return self._run(DropoutOp(1 if train else 1 - self.p), x, self.mask)

    def backward(self, dout: Array) -> Array:
        """Return dout where it was not dropped."""
        return self._back(floats("Dropout.backward", dout), True, False)[0]


_LINEAR = Linear()

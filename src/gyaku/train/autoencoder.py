"""Training of autoencoders by ``fit``: what is compared, damaged inputs, sparse codes, layer after layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku import nn
from gyaku.base.errors import ArgumentError, ShapeError, UnknownNameError
from gyaku.core.mode import no_grad
from gyaku.core.op import FUNCTIONS
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.nn import functional as F
from gyaku.train.batches import as_arrays
from gyaku.train.history import History
from gyaku.train.objective import Objective
from gyaku.train.outputs import outputs_of
from gyaku.train.training import fit

Array = NDArray[Any]
SPARSITY = ("none", "kl", "l1")
_EDGE = 1e-6  # mean activations stay so far from 0 and 1, where the divergence is infinite


class Reconstruction(Objective):
    """The loss of an autoencoder, whose outputs are the decoder's logits (N, D) and behind them the code (N, K).

    ``sigmoid``: cross-entropy -Σ [x log y + (1 - x) log(1 - y)] over the D inputs; ``identity``: 1/2 Σ (y - x)². Both
    are means over the batch, in nats a sample. Added to it, times ``strength``: ``kl``, the sum over code units of
    KL(target || mean activation over the batch); ``l1``, the mean over the batch of Σ |code|. The logged figure is the
    root mean squared error of a single input value.
    """

    def __init__(
        self, width: int, output: str, *, sparsity: str = "none", target: float = 0.05, strength: float = 1.0
    ) -> None:
        if sparsity not in SPARSITY:
            raise UnknownNameError("fit_autoencoder", sparsity, SPARSITY, what="sparsity")
        if not 0.0 < target < 1.0 or not 0.0 <= strength < np.inf:
            raise ArgumentError("fit_autoencoder", "0 < target < 1 and strength >= 0", f"{target} and {strength}")
        super().__init__("regression", loss=self._loss)
        self.width, self.output, self.sparsity = width, output, sparsity
        self.target, self.strength = float(target), float(strength)

    def _loss(self, y: Tensor, t: Tensor) -> Any:
        logits, code = y[:, : self.width], y[:, self.width :]
        if self.output == "sigmoid":
            fit = F.binary_cross_entropy_with_logits(logits, t, reduction="sum") / len(t)
        else:
            fit = 0.5 * F.mse_loss(logits, t, reduction="sum") / len(t)
        return fit if self.sparsity == "none" else fit + self.strength * self.penalty(code)

    def penalty(self, code: Tensor) -> Any:
        """Return what a code (N, K) costs, before ``strength``."""
        if self.sparsity == "l1":
            return code.abs().sum() / len(code)
        mean, p = code.mean(0).clamp(_EDGE, 1.0 - _EDGE), self.target
        return (p * (p / mean).log() + (1.0 - p) * ((1.0 - p) / (1.0 - mean)).log()).sum()

    def scored(self, y: Tensor, t: Tensor) -> Tensor:
        """Return the squared errors a value, summed over the batch."""
        logits = y[:, : self.width]
        shown = FUNCTIONS["sigmoid"](logits) if self.output == "sigmoid" else logits
        return ((shown.double() - t.double()) ** 2).mean(1).sum()

    @no_grad()
    def score(self, outputs: Array, t: Array) -> float:
        """Return ``scored`` of arrays."""
        return float(self.scored(new_tensor(outputs), new_tensor(t)).item())


class _WithCode(nn.Module):
    """An autoencoder as ``Reconstruction`` wants it: logits and code side by side."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Any) -> Any:
        code = self.model.encode(x)
        return FUNCTIONS["cat"]([self.model.decode_logits(code), code.flatten(1)], 1)


class _Encoder(nn.Module):
    """The encoder alone."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.train(model.training)

    def forward(self, x: Any) -> Any:
        return self.model.encode(x)


def fit_autoencoder(
    model: Any,
    x: Any,
    *,
    dev: Any = None,
    corruption: Callable[..., Any] | None = None,
    sparsity: str = "none",
    target: float = 0.05,
    strength: float = 1.0,
    optimizer: Any = "adam",
    **options: Any,
) -> History:
    """Train an ``Autoencoder`` to give back ``x`` and return its history; the model ends in eval mode.

    Parameters
        x: inputs (N, ...); within [0, 1] for a sigmoid output. dev: such inputs, by which the best weights are kept.
        corruption: damage of each training batch (``gyaku.data.corrupt``), while the target stays whole: denoising.
        sparsity: ``none``, ``kl`` (a sigmoid code whose units are active in a share ``target`` of samples) or ``l1``;
            ``strength`` weighs it (``Reconstruction``).
        options: those of ``fit`` (``epochs``, ``lr``, ``batch_size``, ``seed``, ``compile``, ...).

    Raises ``ArgumentError`` for values outside [0, 1] or NaN, ``ShapeError`` for another width.

    >>> import gyaku as gy
    >>> model = gy.models.Autoencoder(4, [2])
    >>> x = np.eye(4, dtype=np.float32)
    >>> history = fit_autoencoder(model, x, epochs=400, lr=0.1, batch_size=4)
    >>> history["train_rmse"][-1] < 0.1
    True
    """
    x = _inputs(model, x, "fit_autoencoder")
    objective = Reconstruction(
        int(np.prod(x.shape[1:])), model.output, sparsity=sparsity, target=target, strength=strength
    )
    if sparsity == "kl" and model.code != "sigmoid":
        raise ArgumentError("fit_autoencoder", "a sigmoid code with sparsity 'kl'", model.code, hint="sparsity='l1'")
    if dev is not None:
        dev = _inputs(model, dev, "fit_autoencoder (dev)")
        dev = dev, dev.reshape(len(dev), -1)
    history = fit(
        _WithCode(model), (x, x.reshape(len(x), -1)), dev=dev, loss=objective, augment=corruption, optimizer=optimizer,
        **options,
    )  # fmt: skip
    model.eval()
    return history


def fit_layers(
    model: Any, x: Any, *, dev: Any = None, corruption: Callable[..., Any] | None = None,
    begin: Callable[[int], Any] = lambda layer: None, **options: Any,
) -> list[History]:  # fmt: skip
    """Train the layers of a ``StackedAutoencoder`` one after the other and return a history each.

    Layer k learns to give back the code of layer k-1, which is computed once, from whole inputs. ``begin(k)`` is called
    before layer k (from 0). The other parameters are those of ``fit_autoencoder``, for every layer.
    """
    histories = []
    x = _inputs(model.layers[0], x, "fit_layers")
    dev = None if dev is None else _inputs(model.layers[0], dev, "fit_layers (dev)")
    for number, layer in enumerate(model.layers):
        begin(number)
        histories.append(fit_autoencoder(layer, x, dev=dev, corruption=corruption, **options))
        x, dev = encode(layer, x), None if dev is None else encode(layer, dev)
    model.eval()
    return histories


def encode(model: Any, x: Any) -> Array:
    """Return the codes (N, K) of all inputs, as an array."""
    return outputs_of(_Encoder(model), np.asarray(x))


def reconstruct(model: Any, x: Any) -> Array:
    """Return the reconstructions of all inputs, as an array of their shape."""
    return outputs_of(model, np.asarray(x))


def _inputs(model: Any, x: Any, where: str) -> Array:
    """Return checked inputs as floats (N, ...)."""
    x = as_arrays((x, np.zeros(len(x), dtype=np.int64)), where)[0]
    if int(np.prod(x.shape[1:])) != int(np.prod(model.inputs)):
        raise ShapeError(where, f"inputs of shape (N, {', '.join(map(str, model.inputs))})", str(x.shape))
    if model.output == "sigmoid" and (x.min() < 0.0 or x.max() > 1.0):
        hint = "scale them, or use output='identity'"
        raise ArgumentError(where, "values in [0, 1]", f"{x.min():g} to {x.max():g}", hint=hint)
    return x

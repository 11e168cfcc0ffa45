"""What a finished pre-training is judged by, and the pictures of its report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError
from gyaku.data.corrupt import masking
from gyaku.energy import DBM, DBN
from gyaku.energy.values import bernoulli
from gyaku.models import MLP
from gyaku.train.autoencoder import encode
from gyaku.train.objective import Objective
from gyaku.train.pretrain_config import PretrainConfig
from gyaku.train.pretrained import Pretrained
from gyaku.train.probe import look_through

Array = NDArray[Any]
_ROWS = 2000  # at most so many rows of a part are judged
_SHOWN, _FILTERS, _SAMPLES, _STEPS = 12, 64, 24, 1000
DAMAGE = 0.3  # share of the values that are taken away from shown samples
_PROBE = 256
_CODES = 2000
_EXACT, _CHAINS, STEPS = 16, 100, 5000


def examine(found: Pretrained, data: Any, seed: int, on_step: Callable[[int], Any] = lambda n: None) -> dict[str, Any]:
    """Return the mean squared error of each part, beside the mean image's and PCA's; the likelihood if there is one.

    PCA with as many components as the last layer has units is the best linear autoencoder of that size.
    """
    parts = {p: getattr(data, f"x_{p}")[:_ROWS] for p in ("train", "dev", "test") if len(getattr(data, f"x_{p}"))}
    units = found.arrays()[_last_bias(found)].size
    return {
        "kind": found.kind,
        "code": units,
        "parts": {p: {"n": len(x), "error": _mse(found.reconstruct(x), x)} for p, x in parts.items()},
        "baselines": _baselines(data.x_train, parts, units),
        "likelihood": likelihood(found, parts, seed, on_step),
        "deltas": delta_norms(found, data, seed),
    }


def _last_bias(found: Pretrained) -> str:
    names = [n for n in found.arrays() if n.endswith("affine1.bias") or (n[0] == "b" and n[1:].isdigit())]
    return max(names, key=lambda n: int("".join(c for c in n.removesuffix("affine1.bias") if c.isdigit())))


def likelihood(
    found: Pretrained, parts: dict[str, Array], seed: int, on_step: Callable[[int], Any]
) -> dict[str, Any] | None:
    """Return mean log p(v) by part (a lower bound for a DBM), exactly or by annealing; None where there is none.

    p is one of binary images, so v is drawn once, each value being the probability of a 1 (``binary``). Autoencoders
    have no p; for deep belief networks of several layers and Gaussian units none is worked out.
    """
    model = found.model
    if isinstance(model, DBN) and model.depth == 1 and model.units == "bernoulli":
        model = model.rbm(1)
    elif not isinstance(model, DBM):
        return None
    try:
        log_z, error, kind = _exact(model), 0.0, "exact"
    except ArgumentError:
        estimate = model.annealed_log_partition(chains=_CHAINS, steps=STEPS, seed=seed, on_step=on_step)
        log_z, error, kind = estimate.log_z, estimate.error, "annealed"
    chains = _CHAINS if kind == "annealed" else 0
    if isinstance(model, DBM):
        kind, likely = "bound", model.bound
    else:
        likely = model.log_likelihood
    values = {part: float(likely(binary(x, seed), log_z).mean()) for part, x in parts.items()}
    return {"kind": kind, "log_z": log_z, "error": error, "chains": chains, "parts": values}


def _exact(model: Any) -> float:
    """Return log Z where a sum of at most 2^16 terms gives it. Raises ``ArgumentError`` otherwise."""
    w = model.flat()[0] if isinstance(model, DBM) else model.W
    if min(w.shape) > _EXACT:
        raise ArgumentError("exact log Z", f"at most {_EXACT} units on the smaller side", str(min(w.shape)))
    return float(model.log_partition())


def binary(x: Array, seed: int) -> Array:
    """Return rows (N, D) of 0 and 1, drawn with the values of ``x`` as probabilities."""
    return bernoulli(x.reshape(len(x), -1), Generator(seed).split("binary"))


def _mse(y: Array, x: Array) -> float:
    return float(np.square(y.reshape(x.shape) - x, dtype=np.float64).mean())


def _baselines(x_train: Array, parts: dict[str, Array], units: int) -> dict[str, dict[str, float]]:
    x = x_train.reshape(len(x_train), -1)[: 5 * _ROWS].astype(np.float64)
    mean = x.mean(0)
    found = {"mean": {p: _mse(np.broadcast_to(mean, (len(v), x.shape[1])), v) for p, v in parts.items()}}
    if units < min(x.shape):
        axes = np.linalg.eigh((x - mean).T @ (x - mean))[1][:, -units:]
        found["pca"] = {p: _mse((_flat(v) - mean) @ axes @ axes.T + mean, v) for p, v in parts.items()}
    return found


def _flat(x: Array) -> Array:
    return x.reshape(len(x), -1).astype(np.float64)


def delta_norms(found: Pretrained, data: Any, seed: int) -> list[dict[str, Any]]:
    """Return ‖δ‖ = ‖∂E/∂a‖ by layer, mean over a probe batch, of the network with random and with pre-trained layers.

    Both have the same widths, activation and output layer; the random one has Glorot's initial values.
    """
    rows = Generator(seed).split("probe").permutation(len(data.x_train))[:_PROBE]
    tuned = found.network(data.recipe.n_outputs, seed=seed)
    d = tuned.architecture()
    fresh = MLP(d["inputs"], d["hidden"], d["outputs"], activation=d["activation"], init="glorot", seed=seed)
    norms = {}
    for name, model in (("random", fresh), ("pretrained", tuned)):
        layers = look_through(model, data.x_train[rows], data.t_train[rows], Objective(data.kind))
        norms[name] = {
            layer.name: float(np.linalg.norm(layer.delta.astype(np.float64), axis=1).mean()) for layer in layers
        }
    return [
        {"name": name, "random": norms["random"][name], "pretrained": norm}
        for name, norm in norms["pretrained"].items()
    ]


def pictures(found: Pretrained, data: Any, config: PretrainConfig) -> dict[str, Array]:
    """Return the arrays of the report: filters, reconstructions, damage undone, samples, completions, 2-D codes."""
    shape = data.image_shape
    rows = data.x_test if len(data.x_test) else data.x_dev if len(data.x_dev) else data.x_train
    labels = data.t_test if len(data.x_test) else data.t_dev if len(data.x_dev) else data.t_train
    x = rows[:_SHOWN]
    arrays: dict[str, Array] = {"inputs": x, "reconstructions": found.reconstruct(x)}
    weights = found.first_weights()
    chosen = np.sort(Generator(config.seed).split("filters").permutation(len(weights))[:_FILTERS])
    arrays["filters"] = weights[chosen].reshape(len(chosen), *data.input_shape)
    hurt = masking(DAMAGE)(x, Generator(config.seed).split("damage"))
    arrays |= {"damaged": hurt, "repaired": found.reconstruct(hurt)}
    if shape is not None:
        arrays |= _halves(found, x, config.seed)
    if not found.is_autoencoder:
        drawn = found.model.sample(_SAMPLES, steps=_STEPS, seed=config.seed)
        arrays["samples"] = drawn.reshape(-1, *data.input_shape)
    if found.is_autoencoder and data.kind != "regression" and _code_is_flat(found):
        arrays |= {"codes": encode(found.model, rows[:_CODES]), "code_labels": labels[:_CODES]}
    return {name: np.ascontiguousarray(a) for name, a in arrays.items()}


def _code_is_flat(found: Pretrained) -> bool:
    return int(found.model.architecture()["hidden"][-1]) == 2


def _halves(found: Pretrained, x: Array, seed: int) -> dict[str, Array]:
    """Return images whose right half was taken away, and what the model puts there."""
    seen = np.zeros(x.shape[1:], dtype=bool)
    seen[..., : x.shape[-1] // 2] = True
    half = np.where(seen, x, x.dtype.type(0))
    if found.is_autoencoder:
        filled = np.where(seen, x, found.reconstruct(half))
    else:
        clamp = np.broadcast_to(seen, x.shape).reshape(len(x), -1), x.reshape(len(x), -1)
        filled = found.model.sample(len(x), steps=_STEPS, clamp=clamp, seed=seed).reshape(x.shape)
    return {"halves": half, "completions": filled}

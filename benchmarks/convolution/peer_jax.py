"""JAX's forms: the step as one jitted function with donated buffers, channels first and channels last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.convolution.workloads import (
    BETA1,
    BETA2,
    EPS,
    LR,
    NORM_EPS,
    NORM_MOMENTUM,
    Workload,
    batches,
    weights,
)

Form = Callable[[np.random.Generator], np.ndarray]


class Layers:
    """The layers of one pass over parameters ``p``; ``order`` is NCHW or NHWC. Batch norms leave their statistics."""

    def __init__(self, p: dict[str, Any], order: str) -> None:
        self.p, self.order, self.seen = p, order, {}
        self.axes = (0, 2, 3) if order == "NCHW" else (0, 1, 2)
        self.channels = order.index("C")

    def by_channel(self, v: Any) -> Any:
        """Return (L,) to be broadcast against pictures."""
        return v[:, None, None] if self.order == "NCHW" else v

    def conv(self, name: str, x: Any, stride: int = 1, pad: int = 1) -> Any:
        """Return a convolution, with its bias if it has one."""
        numbers = (self.order, "OIHW", self.order)
        w = self.p[f"{name}.weight"]
        y = lax.conv_general_dilated(x, w, (stride, stride), ((pad, pad),) * 2, dimension_numbers=numbers)
        return y + self.by_channel(self.p[f"{name}.bias"]) if f"{name}.bias" in self.p else y

    def up(self, name: str, x: Any) -> Any:
        """Return the transposed convolution 2x2 of stride 2."""
        w, numbers = jnp.flip(self.p[f"{name}.weight"], (2, 3)), (self.order, "IOHW", self.order)
        options = {"lhs_dilation": (2, 2), "dimension_numbers": numbers}
        y = lax.conv_general_dilated(x, w, (1, 1), ((1, 1), (1, 1)), **options)
        return y + self.by_channel(self.p[f"{name}.bias"])

    def norm(self, name: str, x: Any) -> Any:
        """Return batch norm."""
        mean, var = x.mean(self.axes), x.var(self.axes)
        self.seen[name] = mean, var
        scale = self.p[f"{name}.weight"] * lax.rsqrt(var + NORM_EPS)
        return (x - self.by_channel(mean)) * self.by_channel(scale) + self.by_channel(self.p[f"{name}.bias"])

    def pool(self, x: Any) -> Any:
        """Return the largest of each 2x2."""
        window = (1, 1, 2, 2) if self.order == "NCHW" else (1, 2, 2, 1)
        return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")

    def affine(self, name: str, x: Any) -> Any:
        """Return an affine layer."""
        return x @ self.p[f"{name}.weight"].T + self.p[f"{name}.bias"]

    def first(self, x: Any) -> Any:
        """Return pictures with their channels first."""
        return x if self.order == "NCHW" else jnp.moveaxis(x, 3, 1)

    def double(self, name: str, x: Any) -> Any:
        """Return two convolutions with batch norm and ReLU."""
        for i in (1, 2):
            x = jax.nn.relu(self.norm(f"{name}.norm{i}", self.conv(f"{name}.conv{i}", x)))
        return x


def lenet(l: Layers, x: Any) -> Any:
    """Return the logits."""
    x = l.pool(jax.nn.relu(l.conv("conv1", x)))
    x = l.first(l.pool(jax.nn.relu(l.conv("conv2", x))))
    return l.affine("output", jax.nn.relu(l.affine("affine", x.reshape(len(x), -1))))


def resnet8(l: Layers, x: Any) -> Any:
    """Return the logits."""
    x = jax.nn.relu(l.norm("norm", l.conv("conv", x)))
    for k, stride in ((1, 1), (2, 2), (3, 2)):
        name = f"stage{k}.0"
        y = jax.nn.relu(l.norm(f"{name}.norm1", l.conv(f"{name}.conv1", x, stride)))
        y = l.norm(f"{name}.norm2", l.conv(f"{name}.conv2", y))
        x = jax.nn.relu(y + (x if stride == 1 else _shortcut(l, x, y)))
    return l.affine("output", x.mean(l.axes[1:]))


def _shortcut(l: Layers, x: Any, y: Any) -> Any:
    """Return every other pixel, with channels of zeros added."""
    x = x[:, :, ::2, ::2] if l.order == "NCHW" else x[:, ::2, ::2]
    more = [(0, 0)] * 4
    more[l.channels] = (0, y.shape[l.channels] - x.shape[l.channels])
    return jnp.pad(x, more)


def unet(l: Layers, x: Any) -> Any:
    """Return the logits (N, K, H, W)."""
    kept = []
    for k in (1, 2, 3):
        x = l.double(f"down{k}", x)
        kept.append(x)
        x = l.pool(x)
    x = l.double("bottom", x)
    for k in (3, 2, 1):
        x = l.double(f"back{k}", jnp.concatenate([kept[k - 1], l.up(f"up{k}", x)], l.channels))
    return l.first(l.conv("output", x, pad=0))


NETWORKS = {"lenet": lenet, "resnet8": resnet8, "unet": unet}


def stepper(w: Workload, order: str) -> Callable[..., Any]:
    """Return the pure training step."""

    def loss_of(p: Any, x: Any, t: Any) -> Any:
        l = Layers(p, order)
        y = NETWORKS[w.key](l, x)
        picked = jnp.take_along_axis(y, t[:, None], axis=1)[:, 0]
        return (jax.nn.logsumexp(y, axis=1) - picked).mean(), l.seen

    def step(s: Any, x: Any, t: Any) -> Any:
        (loss, seen), g = jax.value_and_grad(loss_of, has_aux=True)(s["p"], x, t)
        running = {name: _moved(s["running"][name], *seen[name], x) for name in seen}
        return _updated(s, g) | {"running": running}, loss

    return step


def _moved(old: Any, mean: Any, var: Any, x: Any) -> Any:
    """Return running mean and variance (the factor n / (n - 1) of the variance is left out: it costs nothing)."""
    r = NORM_MOMENTUM
    return (1 - r) * old[0] + r * mean, (1 - r) * old[1] + r * var


def _updated(s: Any, g: Any) -> Any:
    count = s["count"] + 1
    first, second = LR / (1 - BETA1**count), lax.rsqrt(1 - BETA2**count)
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, s["m"], g)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, s["v"], g)
    p = jax.tree.map(lambda p, m, v: p - first * m / (jnp.sqrt(v) * second + EPS), s["p"], m, v)
    return s | {"p": p, "m": m, "v": v, "count": count}


def start(w: Workload) -> Any:
    """Return parameters, slots and running averages."""
    p = {name: jnp.array(a) for name, a in weights(w).items()}
    norms = [name.removesuffix(".weight") for name in p if "norm" in name and name.endswith("weight")]
    running = {name: (jnp.zeros_like(p[f"{name}.bias"]), jnp.ones_like(p[f"{name}.bias"])) for name in norms}
    zeros = jax.tree.map(jnp.zeros_like, p)
    return {"p": p, "m": zeros, "v": jax.tree.map(jnp.zeros_like, p), "running": running, "count": jnp.zeros(())}


def form(w: Workload, order: str) -> Form:
    """Return the jitted step, called for each batch."""
    step, state = jax.jit(stepper(w, order), donate_argnums=0), [start(w)]
    turn = (lambda x: x) if order == "NCHW" else (lambda x: np.moveaxis(x, 1, 3))
    ready = [(jnp.array(turn(x)), jnp.array(t)) for x, t in batches(w)]

    def advance(x: Any, t: Any) -> Any:
        state[0], loss = step(state[0], x, t)
        return loss

    return lambda rng: np.array(jax.block_until_ready([advance(x, t) for x, t in ready]))


def forms(w: Workload) -> dict[str, Callable[[], Form]]:
    """Return every form by name, each to be made when it is asked for."""
    return {f"jit, {order}": lambda order=order: form(w, order) for order in ("NCHW", "NHWC")}

"""The lectures' optimizers: ``update(params, grads)`` on dictionaries of arrays, in place (S3; S1 §6).

The rules are those of ``gyaku.optim.rules``. Keyword-only ``l2`` and ``l1`` penalise weights (two dimensions or more).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from gyaku.backend.namespace import namespace_of
from gyaku.base.errors import ArgumentError, DtypeError, ShapeError, UnknownNameError
from gyaku.optim import rules

Arrays = dict[str, Any]


class Updater:
    """Base of the dictionary optimizers; ``lr`` may be changed between updates."""

    rule: ClassVar[staticmethod[[Any, Any, Any, Any, Any], Any]]
    slots: ClassVar[tuple[str, ...]] = ()

    def __init__(self, lr: float, *, l2: float = 0.0, l1: float = 0.0, **hyper: Any) -> None:
        self.lr, self.l2, self.l1, self.hyper = lr, l2, l1, hyper
        self.state: dict[str, dict[str, Any]] = {}
        for name, value in (("lr", lr), ("l2", l2), ("l1", l1)):
            if not 0 <= value < math.inf:
                raise ArgumentError(type(self).__name__, f"0 <= {name}", str(value))

    def update(self, params: Arrays, grads: Arrays) -> None:
        """Move each array of ``params`` against its gradient, in place (plain numbers are replaced)."""
        for key, p in params.items():
            g = self._checked(key, p, grads)
            before = self.state.get(key) or {**dict.fromkeys(self.slots, np.zeros_like(p)), "step": 0}
            weight = np.ndim(p) >= 2
            hyper = {
                "maximize": False,
                "weight_decay": 0,
                "l1_proximal": 0,
                "lr": float(self.lr),
                **self.hyper,
                "l2": self.l2 if weight else 0.0,
                "l1": self.l1 if weight else 0.0,
            }
            moved, self.state[key] = rules.advance(type(self).rule, namespace_of(p), p, g, before, hyper)
            if isinstance(p, (float, np.floating)):
                params[key] = moved
            else:
                p[...] = moved

    def _checked(self, key: str, p: Any, grads: Arrays) -> Any:
        where = f"{type(self).__name__}.update"
        if key not in grads:
            raise UnknownNameError(where, key, grads, what="gradient")
        if getattr(p, "dtype", np.dtype(type(p))).kind != "f":
            raise DtypeError(where, f"floating numbers in {key!r}", str(getattr(p, "dtype", type(p).__name__)))
        if np.shape(p) != np.shape(grads[key]):
            raise ShapeError(where, f"the gradient of {key!r} of shape {np.shape(p)}", str(np.shape(grads[key])))
        return grads[key]

    def _memory(self, slot: str) -> Arrays:
        return {key: state[slot] for key, state in self.state.items()}


class SGD(Updater):
    """θ ← θ - λg."""

    rule = staticmethod(rules.sgd)

    def __init__(self, lr: float = 0.01, *, l2: float = 0.0, l1: float = 0.0) -> None:
        super().__init__(lr, l2=l2, l1=l1, momentum=0)


class Momentum(Updater):
    """v ← αv - λg, θ ← θ + v; keeps ``v``."""

    rule = staticmethod(rules.momentum)
    slots = ("v",)
    nesterov: ClassVar[bool] = False

    def __init__(self, lr: float = 0.01, momentum: float = 0.9, *, l2: float = 0.0, l1: float = 0.0) -> None:
        super().__init__(lr, l2=l2, l1=l1, momentum=momentum, nesterov=self.nesterov)

    @property
    def v(self) -> Arrays:
        """The velocities, by name."""
        return self._memory("v")


class Nesterov(Momentum):
    """v ← αv - λg, θ ← θ + αv - λg: momentum that has looked one step ahead."""

    nesterov = True


class AdaGrad(Updater):
    """h ← h + g², θ ← θ - λ g/(√h + 1e-7); keeps ``h``."""

    rule = staticmethod(rules.adagrad)
    slots = ("sum",)

    def __init__(self, lr: float = 0.01, eps: float = 1e-7, *, l2: float = 0.0, l1: float = 0.0) -> None:
        super().__init__(lr, l2=l2, l1=l1, eps=eps, lr_decay=0)

    @property
    def h(self) -> Arrays:
        """The sums of squared gradients, by name."""
        return self._memory("sum")


class RMSProp(Updater):
    """h ← ρh + (1 - ρ) g², θ ← θ - λ g/(√h + 1e-7); keeps ``h``."""

    rule = staticmethod(rules.rmsprop)
    slots = ("square_avg",)

    def __init__(
        self, lr: float = 0.01, decay_rate: float = 0.99, eps: float = 1e-7, *, l2: float = 0.0, l1: float = 0.0
    ) -> None:
        super().__init__(lr, l2=l2, l1=l1, alpha=decay_rate, eps=eps, momentum=0, centered=False)

    @property
    def h(self) -> Arrays:
        """The mean squared gradients, by name."""
        return self._memory("square_avg")


class Adam(Updater):
    """Adam (see ``gyaku.optim.rules.adam`` for its three ``eps_mode``); keeps ``s`` and ``r``."""

    rule = staticmethod(rules.adam)
    slots = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        lr: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        *,
        eps_mode: str = "outside",
        l2: float = 0.0,
        l1: float = 0.0,
    ) -> None:
        if eps_mode not in ("outside", "inside", "rewritten"):
            raise UnknownNameError("Adam", eps_mode, ("outside", "inside", "rewritten"), what="eps_mode")
        super().__init__(lr, l2=l2, l1=l1, betas=(beta1, beta2), eps=eps, eps_mode=eps_mode, amsgrad=False)

    @property
    def s(self) -> Arrays:
        """The mean gradients, by name."""
        return self._memory("exp_avg")

    @property
    def r(self) -> Arrays:
        """The mean squared gradients, by name."""
        return self._memory("exp_avg_sq")

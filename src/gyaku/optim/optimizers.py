"""PyTorch's optimizers: each names its rule, its hyper-parameters and what it remembers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from gyaku.optim import rules
from gyaku.optim.optimizer import Group, Optimizer

Betas = tuple[float, float]


class SGD(Optimizer):
    """Gradient descent, with momentum (S1 §6.1) or Nesterov's: b ← μb + (1 - dampening) g, θ ← θ - λb."""

    rule = staticmethod(rules.sgd)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
            },
            options,
        )

    def slots(self, group: Group) -> dict[str, float]:
        """Return the momentum buffer, where there is momentum."""
        return {"momentum_buffer": 0.0} if group["momentum"] else {}

    def _exported(self, state: dict[str, Any]) -> dict[str, Any]:
        return {name: s for name, s in state.items() if name != "step"}  # PyTorch's SGD counts no steps

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a ``state_dict``; a buffer that is there has seen its first gradient."""
        super().load_state_dict(state_dict)
        for state in self._state.values():
            state["step"] = 1.0


class Adagrad(Optimizer):
    """AdaGrad: each element's rate falls with the sum of its squared gradients (Duchi et al. 2011)."""

    rule = staticmethod(rules.adagrad)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        **options: Any,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
            },
            options,
        )

    def slots(self, group: Group) -> dict[str, float]:
        """Return the sum of squared gradients."""
        return {"sum": float(group["initial_accumulator_value"])}


class RMSprop(Optimizer):
    """RMSProp: each element's rate falls with the running mean of its squared gradients (Hinton 2012)."""

    rule = staticmethod(rules.rmsprop)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
            },
            options,
        )

    def slots(self, group: Group) -> dict[str, float]:
        """Return the mean square, and where asked for the mean and the momentum buffer."""
        names = {"square_avg": True, "momentum_buffer": group["momentum"], "grad_avg": group["centered"]}
        return {name: 0.0 for name, wanted in names.items() if wanted}


class _AdamFamily(Optimizer):
    """What Adam and its relatives remember: running means of the gradient and of its square."""

    def slots(self, group: Group) -> dict[str, float]:
        """Return the two means, and AMSGrad's largest second one."""
        names = {"exp_avg": True, "exp_avg_sq": True, "max_exp_avg_sq": group.get("amsgrad")}
        return {name: 0.0 for name, wanted in names.items() if wanted}


class Adam(_AdamFamily):
    """Adam (Kingma and Ba 2015). ``eps_mode``: "outside" the root (paper, PyTorch), "inside", "rewritten" (S1 §6.2)."""

    rule = staticmethod(rules.adam)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        decoupled_weight_decay: bool = False,
        eps_mode: str = "outside",
        **options: Any,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "decoupled_weight_decay": decoupled_weight_decay,
                "eps_mode": eps_mode,
            },
            options,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: θ ← (1 - λ·decay) θ before the step (Loshchilov and Hutter 2019)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, decoupled_weight_decay=True, **options)


class NAdam(_AdamFamily):
    """NAdam: Adam that takes the coming step's momentum into this one, μ_t = β1 (1 - ½·0.96^(t·ψ)) (Dozat 2016)."""

    rule = staticmethod(rules.nadam)
    counters: ClassVar[dict[str, float]] = {"step": 0.0, "mu_product": 1.0}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
            options,
        )


class RAdam(_AdamFamily):
    """RAdam: plain momentum until the variance of r̂ is tractable (ρ_t > 5), then rectified Adam (Liu et al. 2020)."""

    rule = staticmethod(rules.radam)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
            options,
        )


class Adadelta(Optimizer):
    """Adadelta: each element's rate is √(mean Δ² + ε) / √(mean g² + ε), from its own past steps (Zeiler 2012)."""

    rule = staticmethod(rules.adadelta)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        **options: Any,
    ) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay}, options)

    def slots(self, group: Group) -> dict[str, float]:
        """Return the mean squares of the gradients and of the steps."""
        return {"square_avg": 0.0, "acc_delta": 0.0}

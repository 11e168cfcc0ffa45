"""Update rules as pure functions in array language: ``rule(xp, p, g, state, hyper) -> (p, state)``.

``p`` is a parameter and ``g`` its gradient (arrays of one shape), ``state`` a dictionary of arrays of that shape and of
numbers such as ``step``, ``hyper`` a dictionary of Python numbers. Nothing given is written to, and hyper-parameters
and counters are values, so that a tracer may read the same lines. Every rule works element by element: a part of an
array steps exactly as it does inside the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gyaku.backend.tracing import either

Array = Any
State = dict[str, Any]
Hyper = dict[str, Any]
Rule = Callable[[Any, Array, Array, State, Hyper], tuple[Array, State]]


def advance(rule: Rule, xp: Any, p: Array, g: Array, state: State, h: Hyper) -> tuple[Array, State]:
    """Apply ``rule`` together with what all optimizers share: ``maximize``, weight decay, L1 and L2 penalties."""
    g = penalised(xp, p, -g if h["maximize"] else g, h)
    if h.get("decoupled_weight_decay") and h["weight_decay"]:
        p = p * (1 - h["lr"] * h["weight_decay"])
    p, state = rule(xp, p, g, state, h)
    if h["l1_proximal"]:
        p = soft_threshold(xp, p, h["lr"] * h["l1_proximal"])
    return p, state


def penalised(xp: Any, p: Array, g: Array, h: Hyper) -> Array:
    """Return the gradient with the penalties' added: weight decay λ gives λθ, L2 α gives 2αθ, L1 α gives α sign θ.

    sign 0 = 0 (S1 §9). PyTorch's ``weight_decay`` is the penalty ½λ‖θ‖², on biases too unless grouped apart; the
    lectures' L2 is α‖W‖², on weights only.
    """
    if h["weight_decay"] and not h.get("decoupled_weight_decay"):
        g = g + h["weight_decay"] * p
    if h["l2"]:
        g = g + (2 * h["l2"]) * p
    if h["l1"]:
        g = g + h["l1"] * xp.sign(p)
    return g


def soft_threshold(xp: Any, p: Array, amount: float) -> Array:
    """Return sign(p) max(|p| - amount, 0): the proximal step of amount·|p|, which gives exact zeros (S1 §9)."""
    return xp.sign(p) * xp.maximum(xp.abs(p) - amount, 0)


def sgd(xp: Any, p: Array, g: Array, state: State, h: Hyper) -> tuple[Array, State]:
    """Gradient descent as PyTorch writes it: b ← μb + (1 - dampening) g, θ ← θ - λb (S1 §6.1).

    The first b is g itself. With ``nesterov`` θ moves by g + μb instead of b; without momentum by g.
    """
    lr, momentum = h["lr"], h["momentum"]
    if not momentum:
        return p - lr * g, state
    step = state["step"]
    b = momentum * state["momentum_buffer"] + (1 - h["dampening"] * (step > 0)) * g
    move = g + momentum * b if h["nesterov"] else b
    return p - lr * move, {"momentum_buffer": b, "step": step + 1}


def momentum(xp: Any, p: Array, g: Array, state: State, h: Hyper) -> tuple[Array, State]:
    """Momentum as the lectures write it: v ← αv - λg, θ ← θ + v (S1 §6.1, S3); α = 0 is gradient descent.

    With ``nesterov`` θ ← θ + αv - λg. Equal to ``sgd`` (v = -λb) as long as λ stays the same: here the velocity keeps
    what earlier rates gave it, in PyTorch's form a new rate applies to the whole buffer.
    """
    lr, alpha = h["lr"], h["momentum"]
    v = alpha * state["v"] - lr * g
    return p + (alpha * v - lr * g if h["nesterov"] else v), {"v": v}


def adagrad(xp: Any, p: Array, g: Array, state: State, h: Hyper) -> tuple[Array, State]:
    """AdaGrad: h ← h + g², θ ← θ - λg / (√h + ε) (Duchi et al. 2011; S3); λ falls as λ / (1 + lr_decay·(t - 1))."""
    step = state["step"] + 1
    lr = h["lr"] / (1 + (step - 1) * h["lr_decay"])
    total = state["sum"] + g * g
    return p - lr * (g / (xp.sqrt(total) + h["eps"])), {"sum": total, "step": step}


def rmsprop(xp: Any, p: Array, g: Array, state: State, h: Hyper) -> tuple[Array, State]:
    """RMSProp: r ← αr + (1-α) g², θ ← θ - λg / (√r + ε) (Hinton 2012).

    ``centered`` subtracts the squared mean gradient from r; with momentum the quotient goes through b ← μb + quotient.
    """
    alpha, mu = h["alpha"], h["momentum"]
    r = alpha * state["square_avg"] + (1 - alpha) * (g * g)
    new = {"square_avg": r, "step": state["step"] + 1}
    if h["centered"]:
        mean = new["grad_avg"] = alpha * state["grad_avg"] + (1 - alpha) * g
        r = r - mean * mean
    move = g / (xp.sqrt(r) + h["eps"])
    if mu:
        move = new["momentum_buffer"] = mu * state["momentum_buffer"] + move
    return p - h["lr"] * move, new


def adam(xp: Any, p: Array, g: Array, state: State, h: Hyper) -> tuple[Array, State]:
    """Adam: s ← β1 s + (1-β1) g, r ← β2 r + (1-β2) g², ŝ = s/(1-β1^t), r̂ = r/(1-β2^t) (Kingma and Ba 2015).

    ``eps_mode`` says where ε stands: "outside" θ ← θ - λ ŝ/(√r̂ + ε) (paper, PyTorch), "inside" θ ← θ - λ ŝ/√(r̂ + ε)
    (S1 §6.2), "rewritten" θ ← θ - λ' s/√(r + ε) with λ' = λ√(1-β2^t)/(1-β1^t) (S1 §6.2, to be programmed).
    With λ' all three are λ' s over a root, and only ε changes: that is how they are computed here.
    ``amsgrad`` divides by the largest r so far (Reddi et al. 2018).
    """
    (b1, b2), eps, step = h["betas"], h["eps"], state["step"] + 1
    s = b1 * state["exp_avg"] + (1 - b1) * g
    r = b2 * state["exp_avg_sq"] + (1 - b2) * (g * g)
    new = {"exp_avg": s, "exp_avg_sq": r, "step": step}
    if h["amsgrad"]:
        r = new["max_exp_avg_sq"] = xp.maximum(state["max_exp_avg_sq"], r)
    root = (1 - b2**step) ** 0.5
    lr = h["lr"] * root / (1 - b1**step)
    if h["eps_mode"] == "outside":
        return p - lr * (s / (xp.sqrt(r) + eps * root)), new
    return p - lr * (s / xp.sqrt(r + (eps * root**2 if h["eps_mode"] == "inside" else eps))), new


def nadam(xp: Any, p: Array, g: Array, state: State, h: Hyper) -> tuple[Array, State]:
    """NAdam: Adam that looks one step of momentum ahead, μ_t = β1 (1 - ½·0.96^(t·ψ)) (Dozat 2016)."""
    (b1, b2), lr, step = h["betas"], h["lr"], state["step"] + 1
    now, ahead = (b1 * (1 - 0.5 * 0.96 ** (t * h["momentum_decay"])) for t in (step, step + 1))
    product = state["mu_product"] * now
    s = b1 * state["exp_avg"] + (1 - b1) * g
    r = b2 * state["exp_avg_sq"] + (1 - b2) * (g * g)
    move = (lr * (1 - now) / (1 - product)) * g + (lr * ahead / (1 - product * ahead)) * s
    p = p - move / (xp.sqrt(r / (1 - b2**step)) + h["eps"])
    return p, {"exp_avg": s, "exp_avg_sq": r, "step": step, "mu_product": product}


def radam(xp: Any, p: Array, g: Array, state: State, h: Hyper) -> tuple[Array, State]:
    """RAdam: Adam whose adaptive part waits until the variance of r̂ is tractable, ρ_t > 5 (Liu et al. 2020)."""
    (b1, b2), step = h["betas"], state["step"] + 1
    s = b1 * state["exp_avg"] + (1 - b1) * g
    r = b2 * state["exp_avg_sq"] + (1 - b2) * (g * g)
    limit = 2 / (1 - b2) - 1
    rho = limit - 2 * step * b2**step / (1 - b2**step)
    move = (h["lr"] / (1 - b1**step)) * s

    def rectified() -> Array:
        factor = ((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)) ** 0.5
        return move * (factor * (1 - b2**step) ** 0.5) / (xp.sqrt(r) + h["eps"])

    return p - either(rho > 5, rectified, lambda: move), {"exp_avg": s, "exp_avg_sq": r, "step": step}


def adadelta(xp: Any, p: Array, g: Array, state: State, h: Hyper) -> tuple[Array, State]:
    """Adadelta: r ← ρr + (1-ρ) g², Δ = g √(a + ε)/√(r + ε), a ← ρa + (1-ρ) Δ², θ ← θ - λΔ (Zeiler 2012)."""
    rho, eps = h["rho"], h["eps"]
    r = rho * state["square_avg"] + (1 - rho) * (g * g)
    move = xp.sqrt(state["acc_delta"] + eps) / xp.sqrt(r + eps) * g
    a = rho * state["acc_delta"] + (1 - rho) * (move * move)
    return p - h["lr"] * move, {"square_avg": r, "acc_delta": a, "step": state["step"] + 1}

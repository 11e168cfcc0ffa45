"""Rules about the loop and the loss: what the record and the hooks saw, exactly."""

from __future__ import annotations

from typing import Any

from gyaku.doctor import remedies
from gyaku.doctor.case import Case
from gyaku.doctor.rules import rule
from gyaku.doctor.verdict import Finding

_SOME = 0.2  # of the steps: less may be a deliberate exception (the first steps, a warm-up)
_SQUASHED = ("Softmax", "Sigmoid", "Tanh", "Relu")
_RANGES = {"Sigmoid": (0.0, 1.0), "Softmax": (0.0, 1.0), "Tanh": (-1.0, 1.0), "Relu": (0.0, float("inf"))}


@rule("wrong_pair")
def wrong_pair(case: Case) -> Finding | None:
    """What the loss expects against what made its input."""
    p = case.trace.pairing
    if p is None:
        return None
    evidence: dict[str, Any] = {"given": p.given, "loss": p.loss, "low": p.low, "high": p.high}
    if p.loss in ("CrossEntropy", "BceLogits") and p.given in _SQUASHED:
        code = f"leave nn.{p.given} out of the network: the loss takes logits"
        change = remedies.with_loss(_LOGS[p.loss, p.given]) if (p.loss, p.given) in _LOGS else None
        return Finding("wrong_pair", 1.0, p.where, evidence, code, change=change)
    if _needs_probabilities(case):
        code = "loss = F.cross_entropy(y, t)" if p.loss == "Nll" else "loss = F.binary_cross_entropy_with_logits(y, t)"
        right = remedies.with_loss(lambda lib: None)
        return Finding("wrong_pair", 1.0, p.where, evidence | {"form": "needs"}, code, change=right)
    return _cannot_reach(case)


def _needs_probabilities(case: Case) -> bool:
    """Whether log-probabilities or probabilities are expected and something else comes."""
    p = case.trace.pairing
    assert p is not None
    if p.loss == "Nll":
        return p.given not in ("LogSoftmax", "Log") and (p.high > 1e-6 or p.given in (*_SQUASHED, "Linear", "Addmm"))
    return p.loss == "Bce" and p.given not in ("Sigmoid", "Softmax", "Clamp") and (p.low < 0.0 or p.high > 1.0)


def _cannot_reach(case: Case) -> Finding | None:
    """Whether values are asked for that the output function cannot give."""
    p, t = case.trace.pairing, case.plan.t if case.plan is not None else None
    if p is None or t is None or case.plan is None or case.plan.classes or p.given not in _RANGES:
        return None
    low, high = _RANGES[p.given]
    lowest, highest = float(t.min()), float(t.max())
    room = 0.05 * (highest - lowest)
    if lowest >= low - room and highest <= high + room:
        return None
    evidence = {"given": p.given, "low": low, "high": high, "lowest": lowest, "highest": highest, "form": "range"}
    return Finding("wrong_pair", 1.0, p.where, evidence, f"leave nn.{p.given} out of the output layer of a regression")


def _log_of(lib: Any) -> Any:
    return lambda y, t: lib.nn.functional.nll_loss((y + 1e-9).log(), t)


def _bce(lib: Any) -> Any:
    return lambda y, t: lib.nn.functional.binary_cross_entropy(y, t.to(y.dtype).reshape(y.shape))


_LOGS = {("CrossEntropy", "Softmax"): _log_of, ("BceLogits", "Sigmoid"): _bce}


@rule("no_zero_grad")
def no_zero_grad(case: Case) -> Finding | None:
    """Gradients that an optimizer has used are still there when the next ones arrive."""
    trace = case.trace
    steps = len(trace.losses)
    if trace.carried < max(2, _SOME * (steps - 1)):
        return None
    evidence = {"carried": trace.carried, "steps": steps}
    return Finding("no_zero_grad", 1.0, "", evidence, "optimizer.zero_grad()  # before loss.backward()",
                   change=remedies.own_loop)  # fmt: skip


@rule("eval_in_training")
def eval_in_training(case: Case) -> Finding | None:
    """Dropout and batch norm sleep in training steps."""
    trace = case.trace
    if not trace.asleep or trace.asleep < _SOME * len(trace.losses):
        return None
    evidence = {"asleep": trace.asleep, "steps": len(trace.losses), "modules": len(case.norms() + case.dropouts())}
    return Finding("eval_in_training", 1.0, "", evidence, "model.train()  # before each epoch and after evaluations",
                   change=remedies.own_loop)  # fmt: skip


@rule("train_in_evaluation")
def train_in_evaluation(case: Case) -> Finding | None:
    """Dropout or batch norm are awake in the user's evaluation."""
    trace = case.trace
    if not trace.awake:
        return None
    evidence = {"awake": trace.awake, "times": trace.validations}
    return Finding(
        "train_in_evaluation", 1.0, "", evidence, "model.eval()  # before the evaluation; model.train() after"
    )

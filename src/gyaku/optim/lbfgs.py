"""L-BFGS: a quasi-Newton method that keeps the last few steps instead of a matrix of second derivatives.

Nocedal and Wright, *Numerical Optimization* (2nd edition, 2006), algorithm 7.4 (the two loops); PyTorch's interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from gyaku.backend.devices import move
from gyaku.backend.namespace import namespace_of
from gyaku.base.errors import ArgumentError, DtypeError, ShapeError, UnknownNameError
from gyaku.core.mode import enable_grad, no_grad
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.optim.line_search import Point, strong_wolfe
from gyaku.optim.optimizer import SHARED, Group, Optimizer

_FLAT = ("d", "prev_flat_grad")
_LISTS = ("old_dirs", "old_stps")
_NUMBERS = ("func_evals", "n_iter", "t", "H_diag", "prev_loss")
_MOVE_ENOUGH = 1e-10  # y s above this, or the pair says nothing of the curvature


class LBFGS(Optimizer):
    """Limited-memory BFGS: d = -H g with H from the last ``history_size`` steps s and changes of gradient y.

    For a function without chance and all samples at once: ``step(closure)`` evaluates the loss as often as it needs,
    with ``closure`` clearing gradients, calling ``backward()`` and returning the loss. One group of parameters.

    Parameters
        lr: step length tried (without line search: taken); the very first is min(1, 1/Σ|g|) lr.
        max_iter, max_eval: directions and evaluations of one ``step`` (max_eval: 5/4 max_iter).
        tolerance_grad: it ends when no element of the gradient is larger.
        tolerance_change: it ends when no parameter, or the loss, moves by more.
        line_search_fn: None or ``"strong_wolfe"``.

    Raises ``ArgumentError`` for several groups, a missing closure or a value outside its range. A step of L-BFGS
    decides by values how often it evaluates, so ``gyaku.compile`` runs it define-by-run. Source: Nocedal and Wright
    2006, 7.2.

    >>> import gyaku as gy
    >>> x = gy.tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = LBFGS([x], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (x**2 * gy.tensor([1.0, 100.0])).sum()
    ...     loss.backward()
    ...     return loss
    >>> float(optimizer.step(closure))
    1609.0
    >>> bool(x.abs().max() < 1e-6)
    True
    """

    untraceable: ClassVar[str] = "LBFGS decides by values how often it evaluates the loss"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults: Group = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": int(max_iter * 1.25) if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        for name in SHARED:  # penalties belong into the closure: a line search must see them
            del self.defaults[name], self.param_groups[0][name]
        _check(self.param_groups[0])

    def add_param_group(self, param_group: Group) -> None:
        """Add the one group; a second one is refused, because all parameters share a direction."""
        if self.param_groups:
            raise ArgumentError("LBFGS", "one group of parameters", "a second one")
        super().add_param_group(param_group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Go along up to ``max_iter`` directions, calling ``closure`` anew at each place; return the first loss."""
        if closure is None:
            raise ArgumentError(
                "LBFGS.step", "a closure", "None", hint="def closure(): zero_grad, backward, return loss"
            )
        group = self.param_groups[0]
        _check(group)
        run = _Run(group, self._state[group["params"][0]], closure)
        with no_grad():
            return run.go()

    def state_dict(self) -> dict[str, Any]:
        """Return the memory (under parameter 0) and the settings; PyTorch's names, no tensor is copied."""
        group = self.param_groups[0]
        state = dict(self._state.get(group["params"][0], {}))
        settings = {k: v for k, v in group.items() if k != "params"}
        groups = [{**settings, "params": list(range(len(group["params"])))}]
        return {"state": {0: state} if state else {}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a ``state_dict`` of as many parameters.

        Raises ``ArgumentError`` or ``ShapeError`` for another one; nothing is changed then.
        """
        params = self.param_groups[0]["params"]
        where, n = "LBFGS.load_state_dict", sum(p.numel() for p in params)
        if not isinstance(state_dict, dict) or not {"state", "param_groups"} <= set(state_dict):
            raise ArgumentError(where, "a dictionary with 'state' and 'param_groups'", str(state_dict)[:60])
        groups, states = state_dict["param_groups"], state_dict["state"]
        if len(groups) != 1 or len(groups[0].get("params", ())) != len(params):
            raise ArgumentError(where, f"one group of {len(params)} parameters", str(groups)[:60])
        group = {**self.defaults, **{k: v for k, v in groups[0].items() if k in self.defaults}}
        _check(group)
        saved = states.get(0, states.get("0", {}))
        restored = _restored(where, saved, n, params[0])
        self._state.clear()
        if restored:
            self._state[params[0]] = restored
        self.param_groups[0].update(group)


class _Run:
    """One call of ``step``: the parameters as one flat vector, and the memory between calls."""

    def __init__(self, group: Group, state: dict[str, Any], closure: Callable[[], Any]) -> None:
        self.group, self.state, self.closure = group, state, closure
        self.params: list[Tensor] = group["params"]
        self.xp = namespace_of(self.params[0]._array)
        self.evaluations = 0
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

    def go(self) -> Any:
        first = self._loss()
        now = Point(0.0, float(first.item()), self._gradient(), 0.0)
        for i in range(self.group["max_iter"]):
            if self._small(now.grad):
                break
            before, now, ended = now, *self._advance(now, last=i + 1 == self.group["max_iter"])
            spent = self.evaluations >= self.group["max_eval"]
            if ended or spent or abs(now.loss - before.loss) < self.group["tolerance_change"]:
                break
        return first

    def _advance(self, now: Point, last: bool) -> tuple[Point, bool]:
        """Take one direction; say whether to end there."""
        s, h = self.state, self.group
        s["n_iter"] += 1
        d = self._direction(now.grad)
        t = h["lr"] * (min(1.0, 1.0 / float(self.xp.sum(abs(now.grad)))) if s["n_iter"] == 1 else 1.0)
        s.update(d=new_tensor(d), t=t, prev_flat_grad=new_tensor(now.grad), prev_loss=now.loss)
        slope, size = float(now.grad @ d), float(self.xp.amax(abs(d)))
        if slope > -h["tolerance_change"]:
            return now, True
        if h["line_search_fn"] is not None:
            after = self._searched(now, d, slope, size, t)
        else:
            self._move(d, t)
            # the last move of a call needs no evaluation: the next call begins with one
            after = now if last else self._evaluated(t, d)
        s["t"] = after.t if after is not now else t
        stands = size * abs(s["t"]) <= h["tolerance_change"]
        return after, stands or last

    def _searched(self, now: Point, d: Any, slope: float, size: float, t: float) -> Point:
        origin = [p._array.copy() for p in self.params]

        def at(length: float) -> Point:
            self._move(d, length)
            point = self._evaluated(length, d)
            for p, x in zip(self.params, origin, strict=True):
                _write(p, x)
            return point

        start = Point(0.0, now.loss, now.grad, slope)
        found, _ = strong_wolfe(at, start, t, size, self.group["tolerance_change"])
        self._move(d, found.t)
        return found

    # -- the two loops ---------------------------------------------------------------------------------------------
    def _direction(self, g: Any) -> Any:
        """Return -H g; H is updated by the last step and change of gradient where they tell of the curvature."""
        s = self.state
        if s["n_iter"] == 1:
            s.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -g
        y, move_ = g - s["prev_flat_grad"]._array, s["d"]._array * s["t"]
        ys = float(y @ move_)
        if ys > _MOVE_ENOUGH:
            if len(s["old_dirs"]) == self.group["history_size"]:
                for name in (*_LISTS, "ro"):
                    s[name].pop(0)
            s["old_dirs"].append(new_tensor(y))
            s["old_stps"].append(new_tensor(move_))
            s["ro"].append(1.0 / ys)
            s["H_diag"] = ys / float(y @ y)
        return self._times_inverse_hessian(-g)

    def _times_inverse_hessian(self, q: Any) -> Any:
        s = self.state
        pairs = [(y._array, m._array, ro) for y, m, ro in zip(s["old_dirs"], s["old_stps"], s["ro"], strict=True)]
        weights = []
        for y, m, ro in reversed(pairs):
            a = float(m @ q) * ro
            q = q - a * y
            weights.append(a)
        r = q * s["H_diag"]
        for (y, m, ro), a in zip(pairs, reversed(weights), strict=True):
            r = r + m * (a - float(y @ r) * ro)
        return r

    # -- the function ----------------------------------------------------------------------------------------------
    def _loss(self) -> Any:
        with enable_grad():
            loss = self.closure()
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            raise ArgumentError("LBFGS.step", "a closure that returns the loss, one number", f"{loss!r}"[:60])
        self.evaluations += 1
        self.state["func_evals"] += 1
        return loss

    def _evaluated(self, t: float, d: Any) -> Point:
        loss = float(self._loss().item())
        g = self._gradient()
        return Point(t, loss, g, float(g @ d))

    def _gradient(self) -> Any:
        """Return all gradients in one vector; zeros where there is none."""
        xp = self.xp
        parts = [xp.zeros_like(p._array) if p._grad is None else p._grad._array for p in self.params]
        return xp.concatenate([xp.reshape(g, (-1,)) for g in parts])

    def _small(self, g: Any) -> bool:
        return float(self.xp.amax(abs(g))) <= self.group["tolerance_grad"]

    def _move(self, d: Any, t: float) -> None:
        start = 0
        for p in self.params:
            n = p.numel()
            _write(p, p._array + t * self.xp.reshape(d[start : start + n], p.shape))
            start += n


def _write(p: Tensor, x: Any) -> None:
    """Overwrite a parameter, so that graphs that remember it notice."""
    p.copy_(new_tensor(x))


def _check(group: Group) -> None:
    for name in ("max_iter", "max_eval", "history_size"):
        if type(group[name]) is not int or group[name] < 1:
            raise ArgumentError("LBFGS", f"{name}, a whole number of at least 1", repr(group[name]))
    for name in ("lr", "tolerance_grad", "tolerance_change"):
        if not isinstance(group[name], (int, float)) or not 0 <= group[name] < float("inf"):
            raise ArgumentError("LBFGS", f"0 <= {name}", repr(group[name]))
    if group["line_search_fn"] not in (None, "strong_wolfe"):
        raise UnknownNameError("LBFGS", str(group["line_search_fn"]), ("strong_wolfe",), what="line_search_fn")


def _restored(where: str, saved: Any, n: int, p: Tensor) -> dict[str, Any]:
    """Return a checked copy of saved memory: flat vectors of ``n`` numbers of the parameter's type."""
    if not isinstance(saved, dict):
        raise DtypeError(where, "a dictionary of state", type(saved).__name__)

    def flat(name: str, value: Any) -> Tensor:
        array = value._array if isinstance(value, Tensor) else np.asarray(value)
        if array.shape != (n,):
            raise ShapeError(where, f"{name!r} of shape ({n},)", str(array.shape))
        return new_tensor(move(array.astype(p._array.dtype), p.device))

    def number(v: Any) -> Any:
        return v.item() if isinstance(v, (Tensor, np.ndarray, np.generic)) else v

    found: dict[str, Any] = {name: flat(name, saved[name]) for name in _FLAT if saved.get(name) is not None}
    found.update({name: [flat(name, v) for v in saved[name]] for name in _LISTS if saved.get(name) is not None})
    found.update({name: number(saved[name]) for name in _NUMBERS if saved.get(name) is not None})
    if saved.get("ro") is not None:
        found["ro"] = [float(number(v)) for v in saved["ro"]]
    if len({len(found.get(name, ())) for name in (*_LISTS, "ro")}) > 1:
        raise ArgumentError(where, "as many old_dirs as old_stps and ro", "lists of different lengths")
    return found

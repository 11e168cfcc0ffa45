"""The base of all optimizers: parameter groups, state, and the step that assigns what a pure rule computes."""

from __future__ import annotations

import copy
import difflib
import inspect
import math
import operator
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from gyaku.backend.devices import move
from gyaku.backend.namespace import namespace_of
from gyaku.backend.tracing import tracing
from gyaku.base.errors import ArgumentError, DtypeError, GraphError, ShapeError, UnknownNameError
from gyaku.core.backward import clear_grad
from gyaku.core.mode import enable_grad
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.optim.layout import Unit, arrange
from gyaku.optim.rules import advance

Group = dict[str, Any]

# Keyword-only options of every optimizer, with their defaults.
SHARED: Group = {"maximize": False, "l2": 0.0, "l1": 0.0, "l1_proximal": 0.0}
# PyTorch's choices of how to run a step: accepted so that its scripts run, without meaning here.
IGNORED = ("foreach", "fused", "capturable", "differentiable")
# Hyper-parameter: (lowest, highest allowed value, whether the highest itself is allowed).
_RANGES = dict.fromkeys(
    (
        "lr",
        "momentum",
        "dampening",
        "weight_decay",
        "eps",
        "lr_decay",
        "momentum_decay",
        "initial_accumulator_value",
        "l2",
        "l1",
        "l1_proximal",
    ),
    (0.0, math.inf, False),
)
_RANGES.update(alpha=(0.0, 1.0, True), rho=(0.0, 1.0, True), betas=(0.0, 1.0, False))
_PLAIN = (float, int, bool, str, type(None))


class Optimizer:
    """Moves parameters against their gradients by a rule of ``gyaku.optim.rules``.

    ``param_groups`` is a list of dictionaries: ``params`` and the hyper-parameters of that group, which may be changed
    between steps. ``state[p]`` holds the rule's memory of parameter ``p``. A subclass names its ``rule``; a subclass of
    your own may, as in PyTorch, override ``step`` instead.

    Keyword-only options of every optimizer, beside PyTorch's ``maximize``: ``l2`` adds 2αW and ``l1`` adds α sign W to
    the gradient of weights (parameters with two or more dimensions; never biases; S1 §9); ``l1_proximal`` takes the
    L1 step after the update by soft threshold (λα), which gives exact zeros.

    Raises ``ArgumentError`` for no parameters or a value outside its range, ``DtypeError`` for what is no floating
    tensor, ``GraphError`` for the result of an operation, ``UnknownNameError`` for an unknown option.
    """

    rule: ClassVar[staticmethod[[Any, Any, Any, Any, Any], Any] | None] = None
    counters: ClassVar[dict[str, float]] = {"step": 0.0}
    untraceable: ClassVar[str] = ""  # why a step cannot be part of a compiled program

    def __init__(self, params: Iterable[Any], defaults: Group, options: Group | None = None) -> None:
        self.defaults: Group = {**defaults, **SHARED, **self._checked_options(options or {}, defaults)}
        self.param_groups: list[Group] = []
        self._state: dict[Tensor, dict[str, Any]] = defaultdict(dict)
        self._plans: dict[int, _Plan] = {}
        self._warned = False
        for group in _as_groups(params, type(self).__name__):
            self.add_param_group(group)

    def _checked_options(self, options: Group, defaults: Group) -> Group:
        name = type(self).__name__
        for key in options:
            if key not in SHARED and key not in IGNORED:
                known = [k for k in inspect.signature(type(self)).parameters if k not in ("params", "options")]
                raise UnknownNameError(name, key, dict.fromkeys([*known, *defaults, *SHARED]), what="option")
        if options.get("differentiable"):
            raise ArgumentError(name, "differentiable=False", "True", hint="write the update as an expression instead")
        return {key: value for key, value in options.items() if key in SHARED}

    def slots(self, group: Group) -> dict[str, float]:
        """Return the arrays the rule remembers for each parameter, with their starting values."""
        return {}

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key not in ("params", "param_names")]
        return "\n".join([*lines, ")"])

    # -- groups ---------------------------------------------------------------------------------------------------
    def add_param_group(self, param_group: Group) -> None:
        """Add a group: ``{"params": ..., "lr": ...}``; what it leaves out comes from the defaults."""
        name = type(self).__name__
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise DtypeError(f"{name}.add_param_group", "a dictionary with 'params'", type(param_group).__name__)
        params, names = _as_parameters(param_group["params"], name)
        group = {**self.defaults, **param_group, "params": params, **({"param_names": names} if names else {})}
        _check_names(name, param_group, self.defaults)
        _check_values(name, group)
        seen = {id(p) for g in self.param_groups for p in g["params"]}
        for i, p in enumerate(params):
            _check_parameter(name, p, i, seen)
            seen.add(id(p))
        self.param_groups.append({"params": params, **{k: v for k, v in group.items() if k != "params"}})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters (or fill them with zeros)."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    clear_grad(p)

    def __deepcopy__(self, memo: dict[int, Any]) -> Optimizer:
        """Copy with the parameters; the arrangement in memory is made anew."""
        self._dissolve()
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        for name, value in self.__dict__.items():
            twin.__dict__[name] = copy.deepcopy(value, memo)
        return twin

    # -- the step -------------------------------------------------------------------------------------------------
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient, in place; return what ``closure`` (if given) returned.

        Parameters without a gradient stay as they are. When none has one, it warns once.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        moved = False
        for i, group in enumerate(self.param_groups):
            active = [p for p in group["params"] if p._grad is not None]
            if active:
                self._step_group(i, group, active)
                moved = True
        if not moved and not self._warned:
            self._warn()
        return loss

    def _step_group(self, i: int, group: Group, active: list[Tensor]) -> None:
        slots = self.slots(group)
        apart = bool(group["l2"] or group["l1"] or group["l1_proximal"])
        if tracing.recorder is not None:
            self._write_down(group, active, slots, apart)
            return
        plan = self._plans.get(i)
        if plan is None or not plan.fits(active, slots, apart):
            self._dissolve(i)
            plan = self._plans[i] = _Plan(active, self._state, slots, self.counters, apart)
        rule: Any = type(self).rule
        hyper, unpenalised = _hypers(group, apart)
        for unit in plan.units:
            unit.step(rule, hyper if unit.is_weight else unpenalised)

    def _write_down(self, group: Group, active: list[Tensor], slots: dict[str, float], apart: bool) -> None:
        """The same step while a program is written down: each parameter by itself, as rules work element by element."""
        rule: Any = type(self).rule
        hyper, unpenalised = _hypers(group, apart)
        for p in active:
            own, g = self._state[p], p._grad._array  # type: ignore[union-attr]
            before = {name: own[name]._array for name in slots}
            counts = {name: tracing.recorder.counter(self, p, name) for name in self.counters}
            h = hyper if apart and p.ndim >= 2 else unpenalised
            moved, after = advance(rule, namespace_of(p._array), p._array, g, {**before, **counts}, h)
            for array, value in ((p._array, moved), *((before[name], after[name]) for name in slots)):
                array[...] = value
            for name in self.counters:
                tracing.recorder.count(self, p, name, after.get(name, counts[name]))

    def _warn(self) -> None:
        self._warned = True
        warnings.warn(
            f"{type(self).__name__}.step: expected at least one parameter with a gradient, got none; nothing "
            "moved. Hint: call loss.backward() before step(), and zero_grad() after it.",
            UserWarning,
            stacklevel=3,
        )

    # -- state ----------------------------------------------------------------------------------------------------
    @property
    def state(self) -> dict[Tensor, dict[str, Any]]:
        """What the rule remembers: ``state[p]`` is a dictionary of tensors. May be read and changed between steps."""
        self._dissolve()
        return self._state

    def _dissolve(self, *groups: int) -> None:
        """Give up the arrangement in memory (of all groups); the counters go to the parameters' own state."""
        for i in groups or list(self._plans):
            plan = self._plans.pop(i, None)
            for unit in plan.units if plan is not None else ():
                unit.keep_counters()

    def state_dict(self) -> dict[str, Any]:
        """Return state and groups with parameters as numbers 0, 1, ... (PyTorch's structure); no tensor is copied."""
        number = {id(p): i for i, p in enumerate(p for g in self.param_groups for p in g["params"])}
        state = {number[id(p)]: self._exported(s) for p, s in self.state.items() if s and id(p) in number}
        groups = [
            {**{k: v for k, v in g.items() if k != "params"}, "params": [number[id(p)] for p in g["params"]]}
            for g in self.param_groups
        ]
        return {"state": {i: s for i, s in sorted(state.items()) if s}, "param_groups": groups}

    def _exported(self, state: dict[str, Any]) -> dict[str, Any]:
        return dict(state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a ``state_dict`` of the same groups: tensors are copied, floating ones to the parameter's type.

        Raises ``ArgumentError`` when groups, numbers of parameters or shapes differ; nothing is changed then.
        """
        where = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state_dict, dict) or not {"state", "param_groups"} <= set(state_dict):
            raise ArgumentError(where, "a dictionary with 'state' and 'param_groups'", str(state_dict)[:60])
        if not isinstance(state_dict["state"], dict) or not isinstance(state_dict["param_groups"], list):
            raise ArgumentError(where, "a dictionary 'state' and a list 'param_groups'", str(state_dict)[:60])
        saved, own = state_dict["param_groups"], self.param_groups
        sizes, own_sizes = [len(g["params"]) for g in saved], [len(g["params"]) for g in own]
        if sizes != own_sizes:
            raise ArgumentError(
                where,
                f"groups of {own_sizes} parameters",
                f"groups of {sizes}",
                hint="build the optimizer with the groups it was saved with",
            )
        by_number = dict(zip((i for g in saved for i in g["params"]), (p for g in own for p in g["params"])))
        state: dict[Tensor, dict[str, Any]] = defaultdict(dict)
        for i, s in state_dict["state"].items():
            if int(i) not in by_number or not isinstance(s, dict):
                raise ArgumentError(where, f"the state of parameters 0..{len(by_number) - 1}", f"{i}: {s!r}"[:60])
            p = by_number[int(i)]
            state[p] = {name: _restored(where, name, v, p, self.counters) for name, v in s.items() if v is not None}
        groups = [
            {**self.defaults, **copy.deepcopy({k: v for k, v in g.items() if k != "params"}), "params": mine["params"]}
            for g, mine in zip(saved, own)
        ]
        for group in groups:
            _check_values(where, group)
        self._plans.clear()
        self._state, self.param_groups = state, groups


def _hypers(group: Group, apart: bool) -> tuple[Group, Group]:
    """Return the hyper-parameters of a group as Python numbers: for weights, and for what penalties leave alone."""
    hyper = {key: v if type(v) in _PLAIN else _plain(v) for key, v in group.items() if key != "params"}
    return hyper, {**hyper, "l2": 0.0, "l1": 0.0, "l1_proximal": 0.0} if apart else hyper


class _Plan:
    """The units of one group, and how to see that they still fit."""

    __slots__ = ("params", "arrays", "slots", "apart", "units")

    def __init__(
        self,
        params: list[Tensor],
        state: dict[Tensor, dict[str, Any]],
        slots: dict[str, float],
        counters: dict[str, float],
        apart: bool,
    ) -> None:
        self.params, self.arrays = params, [p._array for p in params]
        self.slots, self.apart = slots, apart
        self.units: list[Unit] = arrange(params, state, slots, counters, apart)

    def fits(self, params: list[Tensor], slots: dict[str, float], apart: bool) -> bool:
        """Whether these are still the same parameters in the same memory, with the same kind of state."""
        return (
            len(params) == len(self.params)
            and all(map(operator.is_, params, self.params))
            and all(map(operator.is_, [p._array for p in params], self.arrays))
            and slots == self.slots
            and apart == self.apart
        )


def _plain(value: Any) -> Any:
    """Return a hyper-parameter as Python's own number, so that it never widens an array."""
    if isinstance(value, (tuple, list)):
        return tuple([_plain(v) for v in value])
    if isinstance(value, (np.generic, np.ndarray, Tensor)):
        return value.item()
    return value


def _as_groups(params: Any, name: str) -> list[Group]:
    if isinstance(params, (Tensor, dict, str)):
        raise DtypeError(
            name,
            "a list of parameters or of groups",
            f"one {type(params).__name__}",
            hint="pass model.parameters(), or [tensor]",
        )
    try:
        listed = list(params)
    except TypeError:
        raise DtypeError(
            name, "a list of parameters or of groups", type(params).__name__, hint="pass model.parameters()"
        ) from None
    if not listed:
        raise ArgumentError(
            name,
            "at least one parameter",
            "none",
            hint="keep layers in nn.Sequential or nn.ModuleList (a plain list hides them), and pass "
            "model.parameters() again, because an iterator is empty after one use",
        )
    return listed if isinstance(listed[0], dict) else [{"params": listed}]


def _as_parameters(params: Any, name: str) -> tuple[list[Any], list[str]]:
    """Return the parameters of a group, and their names where they came as (name, parameter)."""
    if isinstance(params, Tensor):
        return [params], []
    if isinstance(params, (set, frozenset)):
        raise DtypeError(name, "parameters in an order", "a set", hint="use a list")
    listed = list(params)
    if not listed:
        raise ArgumentError(name, "at least one parameter in each group", "an empty group")
    if all(isinstance(p, tuple) and len(p) == 2 for p in listed):
        return [p for _, p in listed], [str(n) for n, _ in listed]
    return listed, []


def _check_parameter(name: str, p: Any, i: int, seen: set[int]) -> None:
    if not isinstance(p, Tensor):
        raise DtypeError(name, "tensors to optimize", f"{type(p).__name__} as parameter {i}")
    if not p.is_leaf:
        raise GraphError(
            name,
            "leaf tensors",
            f"the result of an operation as parameter {i}",
            hint="optimize the tensor it was made from, or .detach().requires_grad_()",
        )
    if p._array.dtype.kind != "f":
        raise DtypeError(name, "floating parameters", f"{p.dtype!r} as parameter {i}", hint="convert it with .float()")
    if id(p) in seen:
        raise ArgumentError(name, "each parameter once", f"parameter {i} (shape {p.shape}) twice")


def _check_names(name: str, group: Group, defaults: Group) -> None:
    for key in group:
        if key not in defaults and key not in ("params", "param_names", "name", "initial_lr"):
            near = difflib.get_close_matches(str(key), [*defaults, "params"], n=1, cutoff=0.75)
            if near:
                raise UnknownNameError(name, key, [*defaults, "params"], what="option of a group")


def _check_values(name: str, group: Group) -> None:
    for key, (low, high, closed) in _RANGES.items():
        for v in _as_numbers(group.get(key, 0.0)):
            if not (isinstance(v, (int, float)) and low <= v and (v < high or closed and v == high)):
                bounds = f"0 <= {key}" + ("" if high == math.inf else f" {'<=' if closed else '<'} {high:g}")
                raise ArgumentError(name, bounds, f"{key}={group[key]!r}")
    if group.get("nesterov") and (not group["momentum"] or group["dampening"]):
        raise ArgumentError(
            name,
            "momentum > 0 and dampening = 0 with nesterov",
            f"momentum={group['momentum']}, dampening={group['dampening']}",
        )
    if len(_as_numbers(group.get("betas", (0, 0)))) != 2:
        raise ArgumentError(name, "two betas", f"betas={group['betas']!r}")
    if group.get("eps_mode", "outside") not in ("outside", "inside", "rewritten"):
        raise UnknownNameError(name, group["eps_mode"], ("outside", "inside", "rewritten"), what="eps_mode")


def _as_numbers(value: Any) -> tuple[Any, ...]:
    plain = _plain(value)
    return plain if isinstance(plain, tuple) else (plain,)


def _restored(where: str, name: str, value: Any, p: Tensor, counters: dict[str, float]) -> Tensor:
    """Return a copy of one saved entry of the state, on the parameter's device."""
    array = value._array if isinstance(value, Tensor) else np.asarray(value)
    if name in counters:
        return new_tensor(np.array(float(array), dtype=np.float64))
    if array.shape != p.shape:
        raise ShapeError(where, f"{name!r} of shape {p.shape}", str(array.shape))
    return new_tensor(move(array.astype(p._array.dtype), p.device))

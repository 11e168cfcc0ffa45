"""``watch``: looks over a training loop written by hand and warns, once and with the line, of what it gets wrong."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from gyaku.base.errors import DtypeError
from gyaku.base.text import Phrases
from gyaku.core.mode import observe, state
from gyaku.core.node import Leaf, Pick, clock, format_line, user_frame
from gyaku.doctor.graph import kind_of, maker
from gyaku.doctor.library import array_of, is_batch_norm, noisy_modules
from gyaku.doctor.phrases import LINT

_TAKES_LOGITS = {"cross_entropy": ("Softmax", "Sigmoid"), "bce_with_logits": ("Sigmoid", "Softmax")}
_IDLE = 2  # recorded forward passes that nobody sends back, before it is called a habit


class LoopWarning(UserWarning):
    """A training loop does something that it hardly means."""


@dataclass(frozen=True)
class Remark:
    """One warning: ``key`` of what is wrong, ``place`` (file:line), ``text``."""

    key: str
    place: str
    text: str


class watch:
    """Look over the loop inside the block: ``with gy.doctor.watch(model, optimizer): ...``

    Warns (``LoopWarning``) with the line of the loop, each thing once: gradients carried over from the step before, a
    step without a backward, zero_grad between backward and step, a step although no parameter has a gradient, a loss
    that is not a scalar, a history that grows from step to step (``total += loss``), evaluation with recording on,
    dropout or batch norm awake in an evaluation, parameters that no optimizer has, softmax before a loss on logits.
    ``remarks`` keeps them. Nothing that is computed changes. Several optimizers may be given.

    >>> import gyaku as gy
    >>> model = gy.nn.Linear(2, 1)
    >>> optimizer = gy.optim.SGD(model.parameters(), lr=0.1)
    >>> with gy.doctor.watch(model, optimizer) as seen:
    ...     for _ in range(3):
    ...         optimizer.zero_grad()
    ...         model(gy.ones(4, 2)).square().mean().backward()
    ...         optimizer.step()
    >>> seen.remarks
    []
    """

    def __init__(self, model: Any, *optimizers: Any, lang: str | None = None) -> None:
        if not hasattr(model, "named_parameters"):
            raise DtypeError("watch", "a model, then its optimizers", type(model).__name__)
        for optimizer in optimizers:
            if not hasattr(optimizer, "param_groups"):
                raise DtypeError("watch", "optimizers behind the model", type(optimizer).__name__)
        self.model, self.optimizers, self.say = model, optimizers, Phrases(LINT, lang)
        self.remarks: list[Remark] = []
        self._told: set[tuple[str, str]] = set()
        self._used: set[int] = set()  # parameters whose gradient an optimizer has used
        self._stale: dict[int, str] = {}  # parameters to whose used gradient a backward added, and its line
        self._fresh: dict[int, bool] = {id(o): False for o in optimizers}  # a backward since its last step
        self._dropped: dict[int, str] = {}  # optimizers whose fresh gradients zero_grad threw away, and its line
        self._stepped = 0  # time of the last step
        self._walked = 0  # id of the node that ran backward last; 0 when something else came since
        self._loss = False  # something was recorded since the last backward or step
        self._unscalar = ""
        self._line = ""  # of the model's last call
        self._waiting: dict[int, str] = {}  # outputs of the model that nobody has sent back yet, and their lines
        self._idle = 0
        self._ages: dict[int, int] = {}  # of results that a later step builds on
        self._stack = ExitStack()

    def __repr__(self) -> str:
        told = [f"{remark.place}: {remark.text}" for remark in self.remarks]
        return "\n".join(told) or f"{type(self).__name__}: {self.say('nothing')}"

    # -- the block ----------------------------------------------------------------------------------------------------
    def __enter__(self) -> watch:
        self._stack.enter_context(observe(self))
        for optimizer in self.optimizers:
            self._wrap(optimizer, "step", self._step)
            self._wrap(optimizer, "zero_grad", self._zero)
        self._wrap(self.model, "zero_grad", self._zero)
        before = self.model.register_forward_pre_hook(self._called)
        self._stack.callback(self.model.register_forward_hook(self._answered).remove)
        self._stack.callback(before.remove)
        for _, module in noisy_modules(self.model):
            self._stack.callback(module.register_forward_hook(self._noise).remove)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _wrap(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        """Put ``around(owner, real, ...)`` in the place of a method of one object, until the block ends."""
        real, own = getattr(owner, name), owner.__dict__.get(name)
        weak = weakref.ref(owner)
        owner.__dict__[name] = lambda *a, **k: around(weak(), real, *a, **k)

        def back() -> None:
            owner.__dict__.pop(name, None)
            if own is not None:
                owner.__dict__[name] = own

        self._stack.callback(back)

    # -- operations ---------------------------------------------------------------------------------------------------
    def after_forward(self, op: Any, inputs: list[Any], output: Any, node: Any) -> None:
        """See a recorded operation: what stands before a loss, and whether it holds on to an earlier step."""
        self._walked = 0
        if node is None:
            return
        self._loss = True
        self._dropped.clear()
        if op.name in _TAKES_LOGITS and node.parents[0] is not None:
            made = maker(node.parents[0])
            if made is not None and kind_of(made) in _TAKES_LOGITS[op.name]:
                self._tell("squashed", node.where, given=kind_of(made).lower(), loss=op.name)
        age = max((self._age(p) for p in node.parents if p is not None and type(p) is not Leaf), default=0)
        if age:
            self._ages[node.id] = age
        if age > 1:
            self._tell("history", node.where)

    def _age(self, node: Any) -> int:
        """Return how many times a step came between results that build on one another, up to a use of ``node`` now."""
        return self._ages.get(node.id, 0) + (node.id < self._stepped)

    def failed_forward(self, op: Any, inputs: list[Any], error: BaseException) -> None:
        """Nothing to say: the error itself is clear."""

    def after_backward(self, node: Any, gy: Any, gxs: tuple[Any, ...]) -> None:
        """See a rule run; the first of a walk is the loss."""
        if not self._walked or node.id > self._walked:
            self._begins(node)
        self._walked = node.id
        self._waiting.pop(node.id, None)

    def _begins(self, root: Any) -> None:
        line = _line()
        self._loss = False
        self._dropped.clear()
        shape = root.shape if not (root.shape and isinstance(root.shape[0], tuple)) else ()
        self._unscalar = line if any(n > 1 for n in shape) else ""
        for key in self._fresh:
            self._fresh[key] = True
        for optimizer in self.optimizers:
            for p in _params(optimizer):
                if p._grad is None or not array_of(p._grad).any():
                    self._used.discard(id(p))
                    self._stale.pop(id(p), None)
                elif id(p) in self._used:
                    self._stale.setdefault(id(p), line)

    # -- the optimizer ------------------------------------------------------------------------------------------------
    def _step(self, optimizer: Any, real: Any, *args: Any, **kwargs: Any) -> Any:
        closure = args[0] if args else kwargs.get("closure")
        if closure is None:
            self._before_step(optimizer)
        with warnings.catch_warnings():
            if closure is None and self.remarks:  # what the optimizer would say of missing gradients has been said
                warnings.simplefilter("ignore", UserWarning)
            found = real(*args, **kwargs)
        self._used |= {id(p) for p in _params(optimizer) if p._grad is not None}
        self._fresh[id(optimizer)], self._stepped, self._loss, self._walked = False, clock(), False, 0
        self._count_idle()
        return found

    def _before_step(self, optimizer: Any) -> None:
        line, params = _line(), _params(optimizer)
        if not self._fresh[id(optimizer)]:
            if id(optimizer) in self._dropped:
                self._tell("dropped", self._dropped[id(optimizer)])
            elif self._loss and all(p._grad is None for p in params):
                self._tell("no_backward", line)
            return
        if all(p._grad is None for p in params):
            self._tell("no_gradient", line)
        stale = next((self._stale[id(p)] for p in params if id(p) in self._stale), None)
        if stale is not None:
            self._tell("carried", stale)
        if self._unscalar:
            self._tell("not_scalar", self._unscalar)
        known = {id(p) for o in self.optimizers for p in _params(o)}
        lost = [n for n, p in self.model.named_parameters() if p._grad is not None and id(p) not in known]
        if lost:
            self._tell("no_optimizer", line, names=", ".join(lost[:5]) + (", ..." if len(lost) > 5 else ""))

    def _zero(self, owner: Any, real: Any, *args: Any, **kwargs: Any) -> Any:
        """Before gradients are cleared: whether some are thrown away that no step has used."""
        line = _line()
        for optimizer in self.optimizers if owner is self.model else (owner,):
            if self._fresh[id(optimizer)]:
                self._dropped[id(optimizer)] = line
                self._fresh[id(optimizer)] = False
        return real(*args, **kwargs)

    # -- the model ----------------------------------------------------------------------------------------------------
    def _called(self, module: Any, args: Any) -> None:
        self._line = _line()

    def _answered(self, module: Any, args: Any, output: Any) -> None:
        node = getattr(output, "_node", None)
        if node is not None and not node.is_leaf:
            self._waiting[(node.parents[0] if type(node) is Pick else node).id] = self._line

    def _count_idle(self) -> None:
        """After a step: outputs that were recorded before it and never sent back were an evaluation."""
        if any(key in ("no_gradient", "no_backward") for key, _ in self._told):  # they were meant to be sent back
            self._waiting.clear()
        for line in self._waiting.values():
            self._idle += 1
            if self._idle >= _IDLE:
                self._tell("recorded", line)
        self._waiting.clear()

    def _noise(self, module: Any, args: Any, output: Any) -> None:
        recalibrates = is_batch_norm(module) and module.momentum is None  # averages over all batches, on purpose
        if not state.grad and module.training and self.model.training and not recalibrates:
            self._tell("awake", self._line or _line(), kind=type(module).__name__)

    def _tell(self, key: str, place: str, **values: str) -> None:
        if (key, place) in self._told:
            return
        self._told.add((key, place))
        text = self.say(key, **values)
        self.remarks.append(Remark(key, place, text))
        file, _, number = place.rpartition(":")
        warnings.warn_explicit(text, LoopWarning, file or "loop", int(number) if number.isdigit() else 0)


def _params(optimizer: Any) -> list[Any]:
    return [p for g in optimizer.param_groups for p in g["params"]]


def _line() -> str:
    frame = user_frame()
    return format_line(frame.f_code, frame.f_lasti)

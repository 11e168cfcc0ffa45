"""Optimizers and learning-rate schedules under PyTorch's names; ``rules`` holds the update formulas."""

from __future__ import annotations

from typing import Any

from gyaku.base.errors import UnknownNameError
from gyaku.optim import lr_scheduler, rules
from gyaku.optim.lbfgs import LBFGS
from gyaku.optim.optimizer import Optimizer
from gyaku.optim.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, NAdam, RAdam, RMSprop

__all__ = [
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "lr_scheduler",
    "rules",
]


def __getattr__(name: str) -> Any:
    """Say which existing name is nearest to an unknown one."""
    if name.startswith("__"):  # Python itself asks for these
        raise AttributeError(name)
    raise UnknownNameError("optim", name, __all__)

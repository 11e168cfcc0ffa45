"""Optimizers and learning-rate schedules under PyTorch's names; ``rules`` holds the update formulas."""

from gyaku.optim import lr_scheduler, rules
from gyaku.optim.optimizer import Optimizer
from gyaku.optim.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, NAdam, RAdam, RMSprop

__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "NAdam", "Optimizer", "RAdam", "RMSprop", "lr_scheduler", "rules",
]

"""The doctor: what is wrong with a training, where, how it shows, the remedy in code, and the proof.

>>> import gyaku as gy, numpy as np
>>> x = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
>>> model = gy.models.MLP(2, [16], 2)
>>> verdict = gy.doctor(model, (100 * x + 300, (x[:, 0] * x[:, 1] > 0).astype(int)))  # inputs far from 0
>>> verdict.healthy, verdict.keys[0]
(False, 'not_normalised')

``gyaku.doctor(model, data, ...)`` (the same as ``gyaku.doctor.examine``) watches a short training of a copy;
``gyaku.doctor.Doctor`` is a callback of ``fit``; ``gyaku.doctor.watch`` looks over a loop written by hand.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from gyaku.doctor.callback import Doctor
from gyaku.doctor.diseases import DISEASES, Disease
from gyaku.doctor.examine import examine
from gyaku.doctor.lint import LoopWarning, watch
from gyaku.doctor.verdict import Finding, Proof, Verdict

__all__ = ["DISEASES", "Disease", "Doctor", "Finding", "LoopWarning", "Proof", "Verdict", "examine", "watch"]


class _Room(types.ModuleType):
    """This module, which can be called: ``gyaku.doctor(model, data)``."""

    def __call__(self, model: Any, data: Any, **options: Any) -> Verdict:
        return examine(model, data, **options)


sys.modules[__name__].__class__ = _Room

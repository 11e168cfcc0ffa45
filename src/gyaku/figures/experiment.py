"""What an experiment is: numbers measured once, drawn in two languages, with claims that are checked and not assumed.

A file of this room defines ``EXPERIMENT`` and three functions:

    measure(level, run) -> dict      the numbers: JSON values and NumPy arrays, no pictures
    draw(data, say) -> Figure        one matplotlib figure; ``say(en, ja)`` picks the language
    claims(data) -> list[Claim]      what is asserted about the numbers, with the numbers in the sentence
"""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from typing import Any

from gyaku.base.errors import UnknownNameError
from gyaku.base.text import language
from gyaku.figures.jobs import Runner

LEVELS = ("quick", "default", "full")

# In the order of the lectures; the module of the same name holds the experiment.
CATALOGUE: tuple[str, ...] = (
    "activations",
    "linear_collapse",
    "decision_boundaries",
    "activation_race",
    "information",
    "loss_surfaces",
    "chain_rule",
    "cross_entropy_graph",
    "numeric_cost",
    "two_layer",
    "depth_fails",
    "momentum",
    "optimizers_contours",
    "optimizer_race",
    "learning_rate",
    "adam_over_time",
    "local_linear",
    "initial_values",
    "standardising",
    "batch_norm",
    "how_deep",
    "l1_l2_contours",
    "sparsity",
    "dropout",
    "early_stopping",
    "augmentation",
    "label_smoothing",
    "ensembles",
    "pseudo_labels",
    "regularization_race",
    "vanishing",
    "remedies",
    "skip",
    "residual_block",
    "gradient_products",
    "residual_depth",
    "thousand_layers",
    "unet_skips",
    "rbm_digits",
    "divergence",
    "codes",
    "pretraining",
)


@dataclass(frozen=True)
class Claim:
    """A sentence about the numbers, in English and Japanese, and whether the numbers bear it out."""

    held: bool
    en: str
    ja: str

    def text(self, lang: str) -> str:
        """Return the sentence in one language."""
        return self.ja if lang == "ja" else self.en


@dataclass(frozen=True)
class Experiment:
    """The title page of an experiment: lecture rows, titles, and what a reader sees (one paragraph each)."""

    name: str
    rows: tuple[str, ...]
    title: tuple[str, str]
    reading: tuple[str, str]

    def load(self) -> Any:
        """Return the module with ``measure``, ``draw`` and ``claims``."""
        return importlib.import_module(f"gyaku.figures.{self.name}")


@dataclass(frozen=True)
class Outcome:
    """An experiment carried out: its numbers, claims and the functions that draw it."""

    experiment: Experiment
    level: str
    seed: int
    seconds: float
    data: dict[str, Any]
    claims: list[Claim]

    @property
    def held(self) -> bool:
        """Whether every claim held."""
        return all(c.held for c in self.claims)

    def draw(self, lang: str | None = None) -> Any:
        """Return the matplotlib figure in one language."""
        from gyaku.figures.style import drawing, settle

        chosen = language(lang)
        with drawing(chosen):
            return settle(self.experiment.load().draw(self.data, Say(chosen)))


class Say:
    """Picks a language: ``say("loss", "損失")``; ``say.lang`` is ``"en"`` or ``"ja"``."""

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def __call__(self, en: str, ja: str) -> str:
        """Return the phrase in this language."""
        return ja if self.lang == "ja" else en


def names() -> tuple[str, ...]:
    """Return the names of all experiments, in the order of the lectures."""
    return CATALOGUE


def find(name: str) -> Experiment:
    """Return an experiment by name. Raises ``UnknownNameError`` with the nearest name."""
    if name not in CATALOGUE:
        raise UnknownNameError("figure", name, CATALOGUE, what="figure")
    found: Experiment = importlib.import_module(f"gyaku.figures.{name}").EXPERIMENT
    return found


def make(name: str, level: str = "default", *, seed: int = 0, runner: Runner | None = None) -> Outcome:
    """Carry an experiment out: measure, then check its claims. ``level`` is quick, default or full.

    The numbers depend on ``level`` and ``seed`` only. ``runner`` (which then brings the seed) spreads the jobs over
    processes and remembers finished ones on disk; without it they run here, one after another.

    >>> [claim.held for claim in make("momentum").claims]
    [True, True, True]
    """
    if level not in LEVELS:
        raise UnknownNameError("figure", level, LEVELS, what="level")
    experiment = find(name)
    module = experiment.load()
    runner = runner or Runner(name, seed=seed)
    start = time.perf_counter()
    data = module.measure(level, runner)
    return Outcome(experiment, level, runner.seed, time.perf_counter() - start, data, module.claims(data))

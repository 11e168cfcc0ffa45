"""Every figure and experiment of the lectures: one short file each, with a claim that a test holds.

``gyaku.figures.make("momentum")`` measures, draws and checks; each file's ``measure``, ``draw`` and ``claims`` can be
called on their own, and ``draw`` returns a matplotlib figure to change as you like.
"""

from gyaku.figures.experiment import CATALOGUE, Claim, Experiment, Outcome, find, make, names

__all__ = ["CATALOGUE", "Claim", "Experiment", "Outcome", "find", "make", "names"]

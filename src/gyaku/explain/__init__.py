"""See through a computation: its graph with values, local derivatives on the arrows, and the sum over paths."""

from __future__ import annotations

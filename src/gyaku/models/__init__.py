"""Ready-made models, which can be written to a file as a description and built from it without running its code."""

from __future__ import annotations

from gyaku.models.mlp import ACTIVATIONS, INITS, MLP, NORMS

__all__ = ["ACTIVATIONS", "INITS", "MLP", "NORMS"]

"""Ready-made models, which can be written to a file as a description and built from it without running its code."""

from __future__ import annotations

from gyaku.models.autoencoder import Autoencoder
from gyaku.models.mlp import ACTIVATIONS, INITS, MLP, NORMS
from gyaku.models.stacked import StackedAutoencoder

__all__ = ["ACTIVATIONS", "INITS", "MLP", "NORMS", "Autoencoder", "StackedAutoencoder"]

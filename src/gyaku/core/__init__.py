"""Tensor, node, operation, backward walk, modes and observers. Knows no operation by name."""

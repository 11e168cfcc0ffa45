"""The gradient check that names the mistake (S1 §3.10)."""

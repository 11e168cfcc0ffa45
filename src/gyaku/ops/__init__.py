"""The rule book: every operation, each derivative written once."""

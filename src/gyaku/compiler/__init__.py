"""The compiler: a training step as a printable program, and its machine code."""

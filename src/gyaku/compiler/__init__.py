"""The compiler: a training step as a printable program, and its machine code."""

from __future__ import annotations

from gyaku.compiler.compiled import Compiled, compile

__all__ = ["Compiled", "compile"]

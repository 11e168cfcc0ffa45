"""Results too small for full precision become 0 in machine code, as in JAX's and with PyTorch's set_flush_denormal.

Intel's processors need some 150 cycles for an operation on a denormal (below 1.2e-38 in float32), and training makes
many: Adam's moments of a unit that no sample reaches any more shrink with every step and stay at the smallest denormal
for ever (measured: a step of 2-16-16-2 8.3 us with them, 1.6 without). Each thread sets its own control word for the
length of a run. A denormal among the inputs is still read as what it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gyaku.compiler import machine
from gyaku.compiler.ir import Function

_FLUSH = 0x8000  # of the control word MXCSR: results that would be denormal are 0
_DECLARED = "declare void @llvm.x86.sse.{}mxcsr(ptr)"


@contextlib.contextmanager
def flushed(f: Function) -> Iterator[None]:
    """Write that denormals are 0 from here to the end of the block; elsewhere than on x86 nothing."""
    if not machine.is_x86():
        yield
        return
    f.needs |= {_DECLARED.format("st"), _DECLARED.format("ld")}
    f.slots += ["  %before = alloca i32", "  %flushed = alloca i32"]
    f.do("call void @llvm.x86.sse.stmxcsr(ptr %before)")
    word = f.op("load i32, ptr %before")
    f.do(f"store i32 {f.op(f'or i32 {word}, {_FLUSH}')}, ptr %flushed")
    f.do("call void @llvm.x86.sse.ldmxcsr(ptr %flushed)")
    yield
    f.do("call void @llvm.x86.sse.ldmxcsr(ptr %before)")


@contextlib.contextmanager
def kept(f: Function) -> Iterator[None]:
    """Write that within the block, inside ``flushed``, foreign code finds the control word as it was."""
    if machine.is_x86():
        f.do("call void @llvm.x86.sse.ldmxcsr(ptr %before)")
    yield
    if machine.is_x86():
        f.do("call void @llvm.x86.sse.ldmxcsr(ptr %flushed)")

"""LLVM's assembly as text: functions, loops, and arithmetic on vectors of a fixed number of lanes.

Everything is written for vectors (``lanes`` 1 gives scalars), so machine code is vectorised by construction and not by
the luck of an optimizer; the last, shorter vector of a row is loaded and stored under a mask.
"""

from __future__ import annotations

import contextlib
import functools
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

# NumPy's name -> (type in registers, type in memory)
_TYPES = {
    "float32": ("float", "float"), "float64": ("double", "double"), "bool": ("i1", "i8"),
    "int64": ("i64", "i64"), "int32": ("i32", "i32"), "int16": ("i16", "i16"), "int8": ("i8", "i8"),
    "uint64": ("i64", "i64"), "uint32": ("i32", "i32"), "uint16": ("i16", "i16"), "uint8": ("i8", "i8"),
}  # fmt: skip


def supported(dtype: Any) -> bool:
    """Whether machine code can hold numbers of this type."""
    return np.dtype(dtype).name in _TYPES


@functools.cache
def register_type(dtype: Any, lanes: int = 1) -> str:
    """Return LLVM's type of a value: ``<16 x float>``, ``double``, ``i1``."""
    name = _TYPES[np.dtype(dtype).name][0]
    return name if lanes == 1 else f"<{lanes} x {name}>"


@functools.cache
def memory_type(dtype: Any, lanes: int = 1) -> str:
    """Return LLVM's type in memory (truth values are bytes)."""
    name = _TYPES[np.dtype(dtype).name][1]
    return name if lanes == 1 else f"<{lanes} x {name}>"


def literal(value: Any, dtype: Any, lanes: int = 1) -> str:
    """Return a constant of a type; a vector of equal elements for several lanes."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        number = float(dtype.type(value))
        text = f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
    elif dtype.kind == "b":
        text = "true" if value else "false"
    else:
        text = str(int(value))
    return text if lanes == 1 else f"splat ({register_type(dtype)} {text})"


class Value:
    """A value in a register: its LLVM name (or constant) and its dtype; the lanes are the function's."""

    __slots__ = ("name", "dtype")

    def __init__(self, name: str, dtype: Any) -> None:
        self.name, self.dtype = name, np.dtype(dtype)


class Function:
    """One function of a module while it is written. ``lanes`` is the width of its vectors."""

    def __init__(
        self, name: str, arguments: str, lanes: int = 1, result: str = "void", linkage: str = "internal"
    ) -> None:
        self.name, self.arguments, self.lanes, self.result, self.linkage = name, arguments, lanes, result, linkage
        self.lines: list[str] = []
        self.slots: list[str] = []
        self.needs: set[str] = set()  # declarations of other functions
        self._count = 0

    def __str__(self) -> str:
        head = f"define {self.linkage} {self.result} @{self.name}({self.arguments}) #0 {{\nentry:"
        return "\n".join([head, *self.slots, *self.lines, "}"])

    def fresh(self, hint: str = "t") -> str:
        """Return a new name."""
        self._count += 1
        return f"{hint}{self._count}"

    def do(self, text: str) -> None:
        """Write an instruction without a result."""
        self.lines.append("  " + text)

    def op(self, text: str) -> str:
        """Write an instruction and return the name of its result."""
        self._count += 1  # not by ``fresh``: most of the time that writing takes is spent here
        name = f"%t{self._count}"
        self.lines.append(f"  {name} = {text}")
        return name

    def slot(self, kind: str) -> str:
        """Return memory on the stack for one value of an LLVM type (registers, once optimised)."""
        name = "%" + self.fresh("s")
        self.slots.append(f"  {name} = alloca {kind}")
        return name

    def label(self, name: str) -> None:
        """Begin a block."""
        self.lines.append(f"{name}:")

    @contextlib.contextmanager
    def loop(self, start: Any, stop: Any, step: int = 1) -> Iterator[str]:
        """Write ``for i in range(start, stop, step)``; gives the name of i (i64)."""
        cell = self.slot("i64")
        head, body, done = self.fresh("head"), self.fresh("body"), self.fresh("done")
        self.do(f"store i64 {start}, ptr {cell}")
        self.do(f"br label %{head}")
        self.label(head)
        i = self.op(f"load i64, ptr {cell}")
        more = self.op(f"icmp slt i64 {i}, {stop}")
        self.do(f"br i1 {more}, label %{body}, label %{done}")
        self.label(body)
        yield i
        after = self.op(f"add nsw i64 {i}, {step}")
        self.do(f"store i64 {after}, ptr {cell}")
        self.do(f"br label %{head}")
        self.label(done)

    @contextlib.contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Write ``if condition:``."""
        yes, done = self.fresh("then"), self.fresh("done")
        self.do(f"br i1 {condition}, label %{yes}, label %{done}")
        self.label(yes)
        yield
        self.do(f"br label %{done}")
        self.label(done)

    # -- integers (i64 scalars, for addresses) -----------------------------------------------------------------------
    def add(self, a: Any, b: Any) -> Any:
        """Return a + b; numbers are folded."""
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if b == 0:
            return a
        return b if a == 0 else self.op(f"add nsw i64 {a}, {b}")

    def mul(self, a: Any, b: Any) -> Any:
        """Return a b; numbers are folded."""
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if a == 0 or b == 0:
            return 0
        return a if b == 1 else b if a == 1 else self.op(f"mul nsw i64 {a}, {b}")

    def address(self, base: str, index: Any, dtype: Any) -> str:
        """Return the address of element ``index`` of an array."""
        return base if index == 0 else self.op(f"getelementptr {memory_type(dtype)}, ptr {base}, i64 {index}")

    # -- vectors -----------------------------------------------------------------------------------------------------
    def type(self, dtype: Any) -> str:
        """Return the register type of this function's vectors."""
        return register_type(dtype, self.lanes)

    def constant(self, value: Any, dtype: Any) -> Value:
        """Return a constant in all lanes."""
        return Value(literal(value, dtype, self.lanes), dtype)

    def splat(self, scalar: str, dtype: Any) -> Value:
        """Return a scalar in all lanes."""
        if self.lanes == 1:
            return Value(scalar, dtype)
        kind = self.type(dtype)
        one = self.op(f"insertelement {kind} poison, {register_type(dtype)} {scalar}, i64 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return Value(self.op(f"shufflevector {kind} {one}, {kind} poison, {zeros}"), dtype)

    def load_one(self, base: str, index: Any, dtype: Any) -> str:
        """Return one element as a scalar."""
        memory = memory_type(dtype)
        x = self.op(f"load {memory}, ptr {self.address(base, index, dtype)}")
        return self.op(f"trunc i8 {x} to i1") if np.dtype(dtype).kind == "b" else x

    def load(self, base: str, index: Any, dtype: Any, mask: str | None = None) -> Value:
        """Return ``lanes`` neighbouring elements; lanes outside ``mask`` are 0."""
        memory = memory_type(dtype, self.lanes)
        address = self.address(base, index, dtype)
        size = np.dtype(dtype).itemsize
        if mask is None:
            x = self.op(f"load {memory}, ptr {address}, align {size}")
        else:
            name = f"llvm.masked.load.{_suffix(memory_type(dtype), self.lanes)}.p0"
            self.needs.add(f"declare {memory} @{name}(ptr, <{self.lanes} x i1>, {memory})")
            bits = f"<{self.lanes} x i1> {mask}"
            x = self.op(f"call {memory} @{name}(ptr align {size} {address}, {bits}, {memory} zeroinitializer)")
        return Value(self._from_memory(x, dtype), dtype)

    def gather(self, base: str, indices: str, dtype: Any, mask: str | None = None) -> Value:
        """Return the elements at ``indices`` (a vector of i64)."""
        if self.lanes == 1:
            return Value(self.load_one(base, indices, dtype), dtype)
        memory, n = memory_type(dtype, self.lanes), self.lanes
        pointers = self.op(f"getelementptr {memory_type(dtype)}, ptr {base}, <{n} x i64> {indices}")
        name = f"llvm.masked.gather.{_suffix(memory_type(dtype), n)}.v{n}p0"
        self.needs.add(f"declare {memory} @{name}(<{n} x ptr>, <{n} x i1>, {memory})")
        bits = f"<{n} x i1> {mask or 'splat (i1 true)'}"
        size = np.dtype(dtype).itemsize
        x = self.op(f"call {memory} @{name}(<{n} x ptr> align {size} {pointers}, {bits}, {memory} zeroinitializer)")
        return Value(self._from_memory(x, dtype), dtype)

    def store(self, value: Value, base: str, index: Any, mask: str | None = None) -> None:
        """Write a vector to neighbouring elements, those inside ``mask``."""
        dtype, memory = value.dtype, memory_type(value.dtype, self.lanes)
        x, address, size = value.name, self.address(base, index, value.dtype), value.dtype.itemsize
        if dtype.kind == "b":
            x = self.op(f"zext {self.type(dtype)} {x} to {memory}")
        if mask is None:
            self.do(f"store {memory} {x}, ptr {address}, align {size}")
        else:
            name = f"llvm.masked.store.{_suffix(memory_type(dtype), self.lanes)}.p0"
            self.needs.add(f"declare void @{name}({memory}, ptr, <{self.lanes} x i1>)")
            self.do(f"call void @{name}({memory} {x}, ptr align {size} {address}, <{self.lanes} x i1> {mask})")

    def scatter(self, value: Value, base: str, start: Any, stride: int, mask: str | None = None) -> None:
        """Write a vector to elements ``start``, ``start + stride``, ..."""
        if self.lanes == 1:
            self.store(value, base, start, mask)
            return
        memory, n, dtype = memory_type(value.dtype, self.lanes), self.lanes, value.dtype
        places = "<" + ", ".join(f"i64 {i * stride}" for i in range(n)) + ">"
        first = self.address(base, start, dtype)
        pointers = self.op(f"getelementptr {memory_type(dtype)}, ptr {first}, <{n} x i64> {places}")
        name = f"llvm.masked.scatter.{_suffix(memory_type(dtype), n)}.v{n}p0"
        self.needs.add(f"declare void @{name}({memory}, <{n} x ptr>, <{n} x i1>)")
        bits = f"<{n} x i1> {mask or 'splat (i1 true)'}"
        self.do(f"call void @{name}({memory} {value.name}, <{n} x ptr> align {dtype.itemsize} {pointers}, {bits})")

    def _from_memory(self, x: str, dtype: Any) -> str:
        if np.dtype(dtype).kind != "b":
            return x
        return self.op(
            f"icmp ne {memory_type(dtype, self.lanes)} {x}, zeroinitializer" if self.lanes > 1 else f"icmp ne i8 {x}, 0"
        )

    def steps(self, dtype: Any = np.int64) -> str:
        """Return the vector 0, 1, 2, ... of whole numbers."""
        if self.lanes == 1:
            return "0"
        return "<" + ", ".join(f"{register_type(dtype)} {i}" for i in range(self.lanes)) + ">"

    def first(self, n: Any) -> str:
        """Return the mask of the first ``n`` lanes."""
        if self.lanes == 1:
            return self.op(f"icmp sgt i64 {n}, 0")
        if isinstance(n, int):
            return "<" + ", ".join(f"i1 {'true' if i < n else 'false'}" for i in range(self.lanes)) + ">"
        wide = self.splat(n, np.int64).name
        return self.op(f"icmp slt <{self.lanes} x i64> {self.steps()}, {wide}")

    # -- arithmetic --------------------------------------------------------------------------------------------------
    def binary(self, name: str, a: Value, b: Value) -> Value:
        """Return one instruction of two operands of one type."""
        return Value(self.op(f"{name} {self.type(a.dtype)} {a.name}, {b.name}"), a.dtype)

    def fdiv(self, a: Value, b: Value) -> Value:
        """Return a / b."""
        return self.binary("fdiv", a, b)

    def compare(self, how: str, a: Value, b: Value) -> Value:
        """Return a truth value: ``olt``, ``oeq``, ``uno``, ... of floats, ``slt``, ``eq``, ... of integers."""
        kind = "fcmp" if a.dtype.kind == "f" else "icmp"
        return Value(self.op(f"{kind} {how} {self.type(a.dtype)} {a.name}, {b.name}"), np.bool_)

    def select(self, c: Value, a: Value, b: Value) -> Value:
        """Return a where c, else b."""
        kind = self.type(a.dtype)
        return Value(self.op(f"select {self.type(np.bool_)} {c.name}, {kind} {a.name}, {kind} {b.name}"), a.dtype)

    def bits(self, a: Value, dtype: Any) -> Value:
        """Return the same bits as another type of equal size."""
        return Value(self.op(f"bitcast {self.type(a.dtype)} {a.name} to {self.type(dtype)}"), dtype)

    def intrinsic(self, name: str, *a: Value) -> Value:
        """Call LLVM's ``llvm.<name>`` on operands of one type."""
        kind, full = self.type(a[0].dtype), self.intrinsic_name(name, a[0].dtype, len(a))
        return Value(self.op(f"call {kind} @{full}({', '.join(f'{kind} {v.name}' for v in a)})"), a[0].dtype)

    def intrinsic_name(self, name: str, dtype: Any, operands: int) -> str:
        """Return the full name of LLVM's ``llvm.<name>`` for vectors of a type; it is declared."""
        kind, full = self.type(dtype), f"llvm.{name}.{_suffix(register_type(dtype), self.lanes)}"
        self.needs.add(f"declare {kind} @{full}({', '.join([kind] * operands)})")
        return full

    def library(self, name: str, *a: Value) -> Value:
        """Call a function of C's mathematical library, lane by lane (``name`` for double, ``name + 'f'`` for float)."""
        one, kind = register_type(a[0].dtype), self.type(a[0].dtype)
        full = name + ("f" if a[0].dtype == np.float32 else "")
        self.needs.add(f"declare {one} @{full}({', '.join([one] * len(a))})")
        if self.lanes == 1:
            return Value(self.op(f"call {one} @{full}({', '.join(f'{one} {v.name}' for v in a)})"), a[0].dtype)
        out = "poison"
        for k in range(self.lanes):
            parts = [self.op(f"extractelement {kind} {v.name}, i64 {k}") for v in a]
            y = self.op(f"call {one} @{full}({', '.join(f'{one} {p}' for p in parts)})")
            out = self.op(f"insertelement {kind} {out}, {one} {y}, i64 {k}")
        return Value(out, a[0].dtype)

    def cast(self, a: Value, dtype: Any) -> Value:
        """Return a as another dtype, by C's rules (NumPy's)."""
        dtype = np.dtype(dtype)
        if a.dtype == dtype:
            return a
        old, new = self.type(a.dtype), self.type(dtype)
        p, q = a.dtype, dtype
        if p.kind == "f" and q.kind == "f":
            word = "fpext" if q.itemsize > p.itemsize else "fptrunc"
        elif q.kind == "f":
            word = "uitofp" if p.kind in "bu" else "sitofp"
        elif q.kind == "b":
            zero = self.constant(0, p)
            return self.compare("une" if p.kind == "f" else "ne", a, zero)
        elif p.kind == "f":
            word = "fptoui" if q.kind == "u" else "fptosi"
        elif p.kind == "b":
            word = "zext"
        elif q.itemsize == p.itemsize:
            return Value(a.name, dtype)
        else:
            word = "trunc" if q.itemsize < p.itemsize else ("zext" if p.kind == "u" else "sext")
        return Value(self.op(f"{word} {old} {a.name} to {new}"), dtype)

    def _folded(self, word: str, a: Value) -> str:
        """Return all lanes as one scalar, halves folded upon one another: an order of its own, not LLVM's choice."""
        x, lanes = a.name, self.lanes
        while lanes > 1:
            kind, lanes = register_type(a.dtype, lanes), lanes // 2
            halves = []
            for first in (0, lanes):
                which = ", ".join(f"i32 {first + i}" for i in range(lanes))
                halves.append(self.op(f"shufflevector {kind} {x}, {kind} poison, <{lanes} x i32> <{which}>"))
            part = f"<{lanes} x {register_type(a.dtype)}>"
            x = self.op(f"{word} {part} {halves[0]}, {halves[1]}")
        return self.op(f"extractelement <1 x {register_type(a.dtype)}> {x}, i64 0")

    def reduce(self, how: str, a: Value) -> str:
        """Return all lanes as one scalar: how is add, mul, max, min, and, or."""
        if self.lanes == 1:
            return a.name
        one, kind, tail = register_type(a.dtype), self.type(a.dtype), _suffix(register_type(a.dtype), self.lanes)
        if a.dtype.kind == "f" and how in ("add", "mul"):
            return self._folded("f" + how, a)
        words = {"f": ("maximum", "minimum"), "i": ("smax", "smin")}.get(a.dtype.kind, ("umax", "umin"))
        word = dict(zip(("max", "min"), words)).get(how, how)
        name = f"llvm.vector.reduce.{'f' if a.dtype.kind == 'f' else ''}{word}.{tail}"
        self.needs.add(f"declare {one} @{name}({kind})")
        return self.op(f"call {one} @{name}({kind} {a.name})")


def _suffix(kind: str, lanes: int) -> str:
    short = {"float": "f32", "double": "f64"}.get(kind, kind)
    return short if lanes == 1 else f"v{lanes}{short}"

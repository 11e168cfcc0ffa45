"""The kernels of ``correlate`` and ``correlate_weight``: sample by sample, the picture laid out, then its tiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.compiler import machine
from gyaku.compiler.convolution import Scheme
from gyaku.compiler.correlation import (
    Correlation,
    Picture,
    Target,
    WeightGradient,
    write_part,
    write_picture,
    write_weight_gradient,
)
from gyaku.compiler.fuse import Fusion, Kernel
from gyaku.compiler.ir import Function
from gyaku.compiler.views import Storage, View


def write_convolution(fusion: Fusion, kernel: Kernel, name: str, functions: dict[str, Function]) -> list[Storage]:
    """Write ``name(storages..., lo, hi)`` and the tiles it calls; return the storages.

    Rows are samples for ``correlate``, blocks of samples for ``correlate_weight``.
    """
    writer = _Writer(fusion, kernel, functions)
    body = writer.correlate if kernel.kind == "correlate" else writer.correlate_weight
    functions[name] = body(name)
    return writer.storages


class _Writer:
    def __init__(self, fusion: Fusion, kernel: Kernel, functions: dict[str, Function]) -> None:
        (self.equation,) = kernel.equations
        self.functions, e = functions, self.equation
        self.scheme: Scheme = e.param("scheme")
        self.views = [fusion.view(v) for v in e.vars]
        self.out = fusion.views[e.output]
        assert fusion.scratch is not None
        storages = [*(v.storage.root for v in self.views), self.out.storage.root, fusion.scratch]
        self.storages: list[Storage] = list(dict.fromkeys(storages))
        self.dtype, outputs = e.output.dtype.name, e.output.shape[-1]
        lanes = machine.vector_bytes() // e.output.dtype.itemsize
        while lanes > 2 and lanes // 2 >= outputs:
            lanes //= 2  # few channels take shorter vectors
        self.target = Target(lanes, machine.vector_registers(), self.dtype)
        x = self.views[0]
        _, height, width, channels = x.shape
        strides = (x.strides[1], x.strides[2], x.strides[3])
        self.picture = Picture(self.scheme.size, self.scheme.before, (height, width), channels, strides)

    def pointer(self, storage: Storage) -> str:
        """Return the argument that points at a storage."""
        return f"%p{self.storages.index(storage.root)}"

    def function(self, name: str) -> Function:
        """Return a new function of the storages and a range of rows."""
        pointers = [f"ptr noalias %p{i}" for i in range(len(self.storages))]
        return Function(name, ", ".join([*pointers, "i64 %lo", "i64 %hi"]), self.target.lanes)

    def laid_out(self, f: Function, n: Any) -> str:
        """Write the layout of sample ``n`` and return where its picture lies."""
        view = self.views[0]
        x = self.at(f, view, n)
        if self.picture.bare:
            return x
        lanes = machine.vector_bytes() // np.dtype(self.dtype).itemsize
        copy = write_picture(self.picture, self.dtype, lanes)
        self.functions.setdefault(copy.name, copy)
        scratch = f"%p{len(self.storages) - 1}"
        f.do(f"call void @{copy.name}(ptr {x}, ptr {scratch})")
        return scratch

    def at(self, f: Function, view: View, n: Any) -> str:
        """Return where sample ``n`` of a view begins."""
        return f.address(self.pointer(view.storage), f.add(f.mul(n, view.strides[0]), view.offset), self.dtype)

    def correlate(self, name: str) -> Function:
        """Return the function of a convolution."""
        f, y = self.function(name), self.out
        with f.loop("%lo", "%hi") as n:
            picture, out = self.laid_out(f, n), self.at(f, y, n)
            weights = iter(self.views[1:])
            for part in self.scheme.parts:
                w = self.at(f, next(weights), 0) if part.kernel != (0, 0) else "null"
                one = Correlation(
                    part,
                    self.scheme.taps,
                    self.picture.size[1],
                    self.picture.channels,
                    y.shape[3],
                    y.shape[2],
                    self.target,
                )
                write_part(f, one, picture, w, out, self.functions)
        f.do("ret void")
        return f

    def correlate_weight(self, name: str) -> Function:
        """Return the function of a weight gradient."""
        f, out, g = self.function(name), self.out, self.views[1]
        (part,), samples, blocks = self.scheme.parts, self.views[0].shape[0], out.shape[0]
        f.needs.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        one = WeightGradient(
            part.kernel,
            part.size,
            self.scheme.taps,
            self.picture.size[1],
            self.picture.channels,
            g.shape[3],
            self.target,
        )
        with f.loop("%lo", "%hi") as block:
            target = self.at(f, out, block)
            nbytes = out.storage.nbytes // blocks
            f.do(f"call void @llvm.memset.p0.i64(ptr {target}, i8 0, i64 {nbytes}, i1 false)")
            low, high = (
                f.op(f"udiv i64 {f.op(f'mul i64 {b}, {samples}')}, {blocks}") for b in (block, f.add(block, 1))
            )
            with f.loop(low, high) as n:
                write_weight_gradient(f, one, self.laid_out(f, n), self.at(f, g, n), target, self.functions)
        f.do("ret void")
        return f

"""Random words and dropout masks as machine code: Philox4x64-10, the bits of NumPy's and so of ``backend.random``."""

from __future__ import annotations

import math

import numpy as np

from gyaku.compiler.fuse import Fusion, Kernel
from gyaku.compiler.ir import Function
from gyaku.compiler.views import Storage

_M0, _M1 = 0xD2E7470EE14C6C93, 0xCA5A826395121157
_W0, _W1 = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
_ROUNDS = 10
LANES_A_BLOCK = 16  # a block is four words of 64 bits; a mask reads 16 bits an element


def _signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word


def _multiplied(f: Function, a: str, factor: int) -> tuple[str, str]:
    """Return the high and low words of a 128-bit product."""
    wide = f.op(f"mul i128 {f.op(f'zext i64 {a} to i128')}, {factor}")
    return f.op(f"trunc i128 {f.op(f'lshr i128 {wide}, 64')} to i64"), f.op(f"trunc i128 {wide} to i64")


def _block(f: Function, counter: str, keys: list[tuple[str, str]]) -> list[str]:
    """Return the four words of block ``counter``."""
    c = [counter, "0", "0", "0"]
    for k0, k1 in keys:
        high0, low0 = _multiplied(f, c[0], _M0)
        high1, low1 = _multiplied(f, c[2], _M1)
        c = [
            f.op(f"xor i64 {f.op(f'xor i64 {high1}, {c[1]}')}, {k0}"),
            low1,
            f.op(f"xor i64 {f.op(f'xor i64 {high0}, {c[3]}')}, {k1}"),
            low0,
        ]
    return c


def _keys(f: Function) -> list[tuple[str, str]]:
    """Write the keys of all rounds from the state at ``%rng``: seed, stream, counter."""
    keys = [(f.load_one("%rng", 0, np.uint64), f.load_one("%rng", 1, np.uint64))]
    for _ in range(_ROUNDS - 1):
        k0, k1 = keys[-1]
        keys.append((f.op(f"add i64 {k0}, {_signed(_W0)}"), f.op(f"add i64 {k1}, {_signed(_W1)}")))
    return keys


def write_words() -> Function:
    """Return ``words(rng, out, blocks)``: the next four words of each block, as ``Generator.raw`` gives them."""
    f = Function("words", "ptr noalias %rng, ptr noalias %out, i64 %blocks", linkage="")
    keys = _keys(f)
    start = f.add(f.load_one("%rng", 2, np.uint64), 1)
    with f.loop(0, "%blocks") as b:
        for i, word in enumerate(_block(f, f.add(start, b), keys)):
            f.do(f"store i64 {word}, ptr {f.address('%out', f.add(f.mul(b, 4), i), np.int64)}")
    f.do("ret void")
    return f


def write_mask(fusion: Fusion, kernel: Kernel, name: str) -> tuple[Function, list[Storage]]:
    """Return ``name(rng, out, lo, hi)``: rows lo..hi of a mask, True where 16 bits are below the threshold.

    Blocks that reach over the edge of the rows write their whole 16 elements: neighbours write the same ones.
    """
    (e,) = kernel.equations
    rng, out = fusion.view(e.vars[0]).storage, fusion.views[e.output].storage
    width = math.prod([s for s in kernel.shape if s != 1][1:])
    f = Function(name, "ptr noalias %rng, ptr noalias %out, i64 %lo, i64 %hi")
    threshold = e.param("threshold")
    first = f.op(f"sdiv i64 {f.mul('%lo', width)}, {LANES_A_BLOCK}")
    ends = f.op(f"sdiv i64 {f.add(f.mul('%hi', width), LANES_A_BLOCK - 1)}, {LANES_A_BLOCK}")
    keys = _keys(f)
    start = f.add(f.load_one("%rng", 2, np.uint64), 1 + e.param("offset"))
    with f.loop(first, ends) as b:
        words = _block(f, f.add(start, b), keys)
        vector = "poison"
        for i, word in enumerate(words):
            vector = f.op(f"insertelement <4 x i64> {vector}, i64 {word}, i64 {i}")
        parts = f.op(f"bitcast <4 x i64> {vector} to <16 x i16>")
        if threshold >= 65536:
            hits = "splat (i8 1)"
        else:
            limit = threshold - 65536 if threshold >= 32768 else threshold
            hits = f.op(f"zext <16 x i1> {f.op(f'icmp ult <16 x i16> {parts}, splat (i16 {limit})')} to <16 x i8>")
        f.do(f"store <16 x i8> {hits}, ptr {f.address('%out', f.mul(b, LANES_A_BLOCK), np.int8)}, align 1")
    f.do("ret void")
    return f, [rng.root, out.root]

"""LLVM through llvmlite: assembly text to machine code, kept in a private folder between processes."""

from __future__ import annotations

import functools
import hashlib
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gyaku.base.errors import require
from gyaku.base.forks import opened_in_child
from gyaku.compiler import cache


def binding() -> Any:
    """Return llvmlite's binding, or raise ``MissingPackageError`` with the line that installs it."""
    require("llvmlite", where="compile", extra="compile")
    import llvmlite.binding as llvm

    return llvm


def target() -> Any:
    """Return a new target machine of this processor (an engine takes the one it is given with it)."""
    llvm = binding()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )


@functools.cache
def vector_bytes() -> int:
    """Return the width of this processor's vectors in bytes: 64, 32 or 16."""
    features = binding().get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


@functools.cache
def vector_registers() -> int:
    """Return how many vector registers there are."""
    features = binding().get_host_cpu_features()
    return 32 if features.get("avx512f") or not features.get("sse2") else 16


def attributes() -> str:
    """Return the attributes of every function."""
    bits = vector_bytes() * 8
    return f'attributes #0 = {{ noinline nounwind "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}" }}'


def object_code(text: str) -> bytes:
    """Return the machine code of a module's assembly text."""
    llvm, machine = binding(), target()
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = llvm.get_default_triple(), str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = False  # the text is vectors already
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


class Library:
    """Machine code in memory; ``address(name)`` finds its functions."""

    def __init__(self, code: bytes) -> None:
        llvm = binding()
        empty = llvm.parse_assembly("")
        empty.triple = llvm.get_default_triple()
        self.engine = llvm.create_mcjit_compiler(empty, target())
        self.engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self.engine.finalize_object()

    def address(self, name: str) -> int:
        """Return where a function begins."""
        return int(self.engine.get_function_address(name))


def is_x86() -> bool:
    """Whether this processor is of the x86 family."""
    return str(binding().get_default_triple()).split("-")[0] in ("x86_64", "i386", "i686", "amd64")


@functools.cache
def _writers() -> str:
    """Return a digest of the code that writes products: with what they are to be, it says what is written."""
    digest = hashlib.sha256()
    try:
        for name in ("gemm", "ir"):
            digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    except OSError:  # there are no such files: nothing that another process kept is known to be right
        return secrets.token_hex()
    return digest.hexdigest()


def library_of(text: str | Callable[[], str], outline: str = "") -> Library:
    """Return the machine code of a module: from memory, from the cache on disk, or made now.

    ``text`` may be what writes the assembly; then ``outline`` stands for it.
    """
    llvm = binding()
    parts = [text] if isinstance(text, str) else [outline, _writers()]
    parts += [llvmlite_version(), str(llvm.llvm_version_info), llvm.get_default_triple(), llvm.get_host_cpu_name()]
    parts.append(llvm.get_host_cpu_features().flatten())
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    with _lock:
        if key not in _loaded:
            code = cache.load(key)
            if code is None:
                watch.tell(True)
                try:
                    code = object_code(text if isinstance(text, str) else text())
                finally:
                    watch.tell(False)
                cache.save(key, code)
                state.compiled += 1
            _loaded[key] = Library(code)
        return _loaded[key]


class _State:
    compiled = 0  # modules that this process had to compile


class _Watch(threading.local):
    tell: Callable[[bool], None] = staticmethod(lambda busy: None)  # told when this thread compiles, and when it has


state = _State()
watch = _Watch()
_loaded: dict[str, Library] = {}
_lock = opened_in_child(threading.Lock())


def llvmlite_version() -> str:
    """Return the version of llvmlite."""
    import llvmlite

    return str(llvmlite.__version__)

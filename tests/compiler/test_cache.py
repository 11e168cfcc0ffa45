"""Machine code kept between processes: private, checked, bounded, safe for two at once."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from compiler.small import program
from gyaku.base.files import private_folder
from gyaku.compiler import cache, machine
from gyaku.compiler.cpu import Executable

STEP = """
import numpy as np, sys
from gyaku.compiler import machine
from compiler.small import program
from gyaku.compiler.cpu import Executable
x = np.arange(6.0).reshape(2, 3)
y = Executable(program(lambda b, v: b("multiply", b("tanh", v), 3.5), [x])).run([x])[0]
print(machine.state.compiled, float(y.sum()))
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: Any) -> Path:
    monkeypatch.setenv("GYAKU_CACHE", str(tmp_path))
    monkeypatch.delenv("GYAKU_CODE_CACHE", raising=False)
    return tmp_path / "code"


def in_new_process(place: Path) -> str:
    environment = dict(os.environ, GYAKU_CACHE=str(place.parent), PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run([sys.executable, "-c", STEP], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_second_process_finds_the_code_and_a_damaged_file_is_made_anew(place: Path) -> None:
    first = in_new_process(place)
    assert first.startswith("1 ")
    assert in_new_process(place) == "0 " + first[2:]
    (file,) = place.iterdir()
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-1] + bytes([whole[-1] ^ 1]), b"", b"something else"):
        file.write_bytes(damaged)
        assert in_new_process(place) == first
        assert file.read_bytes() == whole


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes are POSIX")
def test_the_folder_is_private(place: Path) -> None:
    cache.save("a" * 64, b"code")
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    place.chmod(0o755)
    assert cache.load("a" * 64) == b"code"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert private_folder("/") is None or os.getuid() == 0


def test_a_link_instead_of_the_folder_is_not_followed(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "code").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("GYAKU_CACHE", str(tmp_path))
    cache.save("b" * 64, b"code")
    assert list((tmp_path / "elsewhere").iterdir()) == [] and cache.load("b" * 64) is None


def test_the_longest_unused_go_first(place: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(cache, "LIMIT", 3000)
    for i, key in enumerate("abcd"):
        cache.save(key * 64, bytes(900))
        os.utime(place / (key * 64), (1000 + i, 1000 + i)) if (place / (key * 64)).exists() else None
    assert cache.load("a" * 64) is None and cache.load("d" * 64) == bytes(900)
    assert sum(f.stat().st_size for f in place.iterdir()) <= 3000


def test_many_writers_of_one_file_leave_it_whole(place: Path) -> None:
    threads = [threading.Thread(target=cache.save, args=("c" * 64, bytes(100_000))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert cache.load("c" * 64) == bytes(100_000)


def test_without_a_place_to_write_everything_still_runs(tmp_path: Path, monkeypatch: Any) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("GYAKU_CACHE", str(blocked))
    x = np.array([0.25, 0.5])
    before = machine.state.compiled
    (y,) = Executable(program(lambda b, v: b("multiply", b("exp", v), 1.2345), [x])).run([x])
    assert machine.state.compiled == before + 1 and np.allclose(y, 1.2345 * np.exp(x), rtol=1e-15)

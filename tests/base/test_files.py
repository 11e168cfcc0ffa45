"""Files stay whole when the disk is full, permission is missing or the process dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from gyaku.base.errors import DataError
from gyaku.base.files import (
    LOCK_NAME,
    TEMPORARY,
    append_line,
    atomic_write,
    lock_folder,
    make_folder,
    read_bounded,
    read_jsonl,
    write_bytes_atomic,
    write_text_atomic,
)

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and limits")


def run(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_write_and_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "注 a.txt"
    write_text_atomic(path, "一\n")
    write_bytes_atomic(str(path), b"two")
    assert path.read_bytes() == b"two" and names(tmp_path) == {path.name}


@posix
def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        write_bytes_atomic(tmp_path / "a", b"")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@posix
def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    write_bytes_atomic(tmp_path / "a", b"old")
    (tmp_path / "a").chmod(0o600)
    write_bytes_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


@posix
def test_a_read_only_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes_atomic(tmp_path / "a", b"old")
    (tmp_path / "a").chmod(0o444)
    if os.geteuid() == 0:  # root may write anything
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(DataError, match=r"write .*a: no permission\."):
        write_bytes_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old" and names(tmp_path) == {"a"}


def test_a_long_name(tmp_path: Path) -> None:
    name = "逆" * 80
    write_bytes_atomic(tmp_path / name, b"")
    assert names(tmp_path) == {name}


@posix
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "file")
    write_bytes_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "file").read_bytes() == b"new"


def test_the_old_file_survives_an_error_in_the_block(tmp_path: Path) -> None:
    write_bytes_atomic(tmp_path / "a", b"old")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "a") as file:
        file.write(b"new")
        raise ZeroDivisionError
    assert (tmp_path / "a").read_bytes() == b"old" and names(tmp_path) == {"a"}


def test_trouble_with_another_file_keeps_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a"):
        (tmp_path / "missing").read_bytes()
    assert names(tmp_path) == set()


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    write_bytes_atomic(tmp_path / "a", b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, broken, full)
        with pytest.raises(DataError, match=r"write .*a: No space left on device\."):
            write_bytes_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old" and names(tmp_path) == {"a"}


@posix
def test_a_real_limit_on_the_file_size(tmp_path: Path) -> None:
    write_bytes_atomic(tmp_path / "a", b"old")
    code = """
        import resource, signal, sys
        from gyaku.base.files import append_line, write_bytes_atomic
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        folder = sys.argv[1]
        append_line(folder + "/log", "{}")
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        for act in (lambda: write_bytes_atomic(folder + "/a", b"x" * 100_000),
                    lambda: append_line(folder + "/log", "x" * 100_000)):
            try:
                act()
            except ValueError as error:
                print(type(error).__name__, error)
    """
    out, err = run(code, tmp_path).communicate(timeout=60)
    assert err == "" and out.count("DataError write ") == 2 and "File too large" in out
    assert (tmp_path / "a").read_bytes() == b"old" and (tmp_path / "log").read_bytes() == b"{}\n"
    assert names(tmp_path) == {"a", "log"}


@posix
def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    write_bytes_atomic(folder / "a", b"old")
    if os.geteuid() == 0:  # root may do anything: take the refusal from a fake
        real = open

        def refused(file: object, mode: str = "r", *rest: object, **options: object) -> object:
            if "x" in mode:
                raise PermissionError(13, "Permission denied", str(file))
            return real(file, mode, *rest, **options)  # type: ignore[call-overload]

        monkeypatch.setattr("builtins.open", refused)
    else:
        folder.chmod(0o500)
    with pytest.raises(DataError, match=r"write .*a: no permission\."):
        write_bytes_atomic(folder / "a", b"new")
    folder.chmod(0o700)
    assert (folder / "a").read_bytes() == b"old" and names(folder) == {"a"}


@pytest.mark.parametrize("name", ["", "missing/a", "folder"])
def test_impossible_places(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="no such file or folder|a folder or device"):
        write_bytes_atomic(tmp_path / name, b"")
    assert names(tmp_path) == {"folder"}


@posix
def test_a_device_is_not_replaced() -> None:
    with pytest.raises(DataError, match="a folder or device"):
        write_bytes_atomic("/dev/null", b"")
    with pytest.raises(DataError, match="a folder or device"):
        read_bounded("/dev/zero", 10)


@posix
def test_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    code = """
        import sys
        from gyaku.base.files import lock_folder, write_bytes_atomic
        with lock_folder(sys.argv[1]):
            for turn in range(10**9):
                write_bytes_atomic(sys.argv[1] + "/a", bytes([turn % 256]) * 300_000)
                print(turn, flush=True)
    """
    for wait in (0.0, 0.004, 0.011, 0.023):
        process = run(code, tmp_path)
        assert process.stdout and process.stdout.readline()  # it holds the lock and has written once
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        content = (tmp_path / "a").read_bytes()
        assert len(content) == 300_000 and len(set(content)) == 1
    with lock_folder(tmp_path):  # the lock of the dead is free, and what they left is gone
        assert names(tmp_path) == {"a", LOCK_NAME}
    assert names(tmp_path) == {"a"}


def test_read_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(DataError, match="expected at most 4 bytes, got 5"):
        read_bounded(path, 4)
    for wrong, said in ((tmp_path / "b", "no such file"), (tmp_path, "a folder or device"), ("a\0b", "null")):
        with pytest.raises(DataError, match=said):
            read_bounded(wrong, 4)


def test_make_folder(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b") == make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="make folder .*file"):
        make_folder(tmp_path / "file")


def test_a_log_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for row in ('{"epoch": 1, "loss": NaN}', '{"名": "二"}'):
        append_line(path, row)
    log = read_jsonl(path)
    assert str(log.rows) == "[{'epoch': 1, 'loss': nan}, {'名': '二'}]" and log.torn == ""


def test_every_torn_end_is_told_and_cut_by_the_next_line(tmp_path: Path) -> None:
    path, whole = tmp_path / "log.jsonl", '{"a": 1}\n{"b": "二"}\n'.encode()
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        lines = whole[:end].count(b"\n")
        log = read_jsonl(path)
        assert len(log.rows) == lines and bool(log.torn) == (not whole[:end].endswith(b"\n") and end > 0)
        append_line(path, '{"c": 3}')
        assert [list(row) for row in read_jsonl(path).rows] == [["a"], ["b"]][:lines] + [["c"]]


@pytest.mark.parametrize(
    "bad", [b"{\n", b"\n", b"[]\n", b"\xff\n", b"[" * 100_000 + b"\n", b'{"a":' + b"1" * 5000 + b"}\n"]
)
def test_a_broken_line_inside_a_log_is_named(tmp_path: Path, bad: bytes) -> None:
    (tmp_path / "log").write_bytes(b"{}\n" + bad + b"{}\n")
    with pytest.raises(DataError, match="line 2: expected a JSON object"):
        read_jsonl(tmp_path / "log")


def test_a_line_is_one_line(tmp_path: Path) -> None:
    for line in ("a\nb", "x" * 2**20):
        with pytest.raises(DataError, match="one line"):
            append_line(tmp_path / "log", line)
    assert names(tmp_path) == set()


def test_a_line_that_does_not_fit_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    path, real = tmp_path / "log", open
    append_line(path, "{}")

    class Full(io.FileIO):
        def write(self, content: bytes) -> int:  # type: ignore[override]
            return super().write(content[:3])

    def half(file: object, mode: str = "r", **_: object) -> object:
        return Full(file, "a+") if "a" in mode else real(file, mode)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", half)
        with pytest.raises(DataError, match="write .*log: the disk took only a part"):
            append_line(path, '{"b": 1}')
    assert path.read_bytes() == b"{}\n"


def test_one_writer_a_folder(tmp_path: Path) -> None:
    code = """
        import sys
        from gyaku.base.files import lock_folder
        try:
            with lock_folder(sys.argv[1]):
                print("taken", flush=True)
                sys.stdin.read()
        except ValueError as error:
            print(error)
    """
    first = run(code, tmp_path, stdin=subprocess.PIPE)
    assert first.stdout and first.stdout.readline() == "taken\n"
    second, _ = run(code, tmp_path, stdin=subprocess.DEVNULL).communicate(timeout=30)
    assert f"expected nobody else writing here, got process {first.pid} on " in second and "Hint: wait" in second
    with pytest.raises(DataError, match=f"process {first.pid}"), lock_folder(tmp_path):
        raise AssertionError("two writers")
    first.communicate("", timeout=30)
    with lock_folder(tmp_path), pytest.raises(DataError, match=f"process {os.getpid()}"), lock_folder(tmp_path):
        raise AssertionError("two writers in one process")
    assert names(tmp_path) == set()


@posix
def test_many_processes_one_after_the_other(tmp_path: Path) -> None:
    code = """
        import sys, time
        from gyaku.base.files import lock_folder
        done, path = 0, sys.argv[1] + "/count"
        while done < 40:
            try:
                with lock_folder(sys.argv[1]):
                    value = int(open(path).read())
                    open(path, "w").write(str(value + 1))
                    done += 1
            except ValueError:
                time.sleep(0.0005)
    """
    (tmp_path / "count").write_text("0")
    processes = [run(code, tmp_path) for _ in range(3)]
    assert [process.communicate(timeout=60)[1] for process in processes] == ["", "", ""]
    assert (tmp_path / "count").read_text() == "120"


@posix
def test_without_locks_it_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def none(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.warns(UserWarning, match="this file system has no locks"), lock_folder(tmp_path):
        pass


def test_leftovers_of_a_writer_are_named_so_that_nobody_reads_them(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "model.safetensors"):
        (name,) = names(tmp_path)
        assert name.startswith(".model.safetensors.") and name.endswith(TEMPORARY)

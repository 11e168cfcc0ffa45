"""Processes that train at the same time share the cores out, and forget those that are gone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gyaku.backend import seats
from gyaku.backend.seats import Seat, fair_share
from gyaku.backend.threads import cores

TRAINER = """
import sys, time
from pathlib import Path
from gyaku.backend.seats import Seat
seat = Seat(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    seat.take(64)
    time.sleep(0.02)
    seat.leave()
"""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def seated(folder: Path, clock: Clock, count: int = 2) -> Seat:
    return Seat(folder, count, clock=clock)


def work(clock: Clock, *trainers: tuple[Seat, int], steps: int = 20, seconds: float = 0.02) -> list[int]:
    """Let processes train at the same time for a while; return what each was given at last."""
    shares = [0] * len(trainers)
    for _ in range(steps):
        for k, (seat, threads) in enumerate(trainers):
            shares[k] = seat.take(threads, seconds)[0]
        clock.now += seconds
        for seat, _ in trainers:
            seat.leave()
    return shares


def test_shares_use_all_cores_and_nobody_gets_more_than_wanted_or_nothing() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        count, wants = int(rng.integers(1, 33)), [int(w) for w in rng.integers(1, 20, rng.integers(1, 9))]
        everyone = list(zip(wants, rng.permutation(64).tolist(), strict=False))
        shares = [fair_share(who, [w for w in everyone if w != who], count) for who in everyone]
        assert all(1 <= s <= w for s, w in zip(shares, wants, strict=True))
        assert sum(shares) == min(sum(wants), max(count, len(wants)))
        less = [s for s, w in zip(shares, wants, strict=True) if s < w]
        assert not less or max(shares) - min(less) <= 1  # who wants more gets no less than anybody, but for the rest


def test_one_process_has_all_cores_two_have_half_and_the_last_has_all_again(tmp_path: Path, clock: Clock) -> None:
    a, b = seated(tmp_path, clock), seated(tmp_path, clock)
    assert work(clock, (a, 2)) == [2]
    assert work(clock, (a, 2), (b, 2)) == [1, 1]
    assert work(clock, (a, 2)) == [2]


def test_who_wants_one_thread_leaves_the_rest_to_the_others(tmp_path: Path, clock: Clock) -> None:
    a, b, c = [seated(tmp_path, clock, 8) for _ in range(3)]
    assert work(clock, (a, 8), (b, 1), (c, 8)) in ([4, 1, 3], [3, 1, 4])


def test_more_processes_than_cores_and_more_than_rows_get_one_thread_each(tmp_path: Path, clock: Clock) -> None:
    assert work(clock, *[(seated(tmp_path, clock), 2) for _ in range(70)]) == [1] * 70


def test_a_pause_between_two_steps_keeps_the_seat_and_a_longer_one_gives_it_up(tmp_path: Path, clock: Clock) -> None:
    a, b = seated(tmp_path, clock), seated(tmp_path, clock)
    work(clock, (a, 2), (b, 2))
    clock.now += 0.04
    assert work(clock, (a, 2), steps=1) == [1]
    clock.now += 0.1
    assert work(clock, (a, 2), steps=1) == [2]


def test_a_process_killed_in_the_middle_of_a_step_is_missed_by_nobody(tmp_path: Path, clock: Clock) -> None:
    a, b = seated(tmp_path, clock), seated(tmp_path, clock)
    work(clock, (a, 2), (b, 2))
    b.take(2, 0.02)
    assert work(clock, (a, 2), steps=2) == [1]
    assert work(clock, (a, 2), steps=10) == [2]


@pytest.mark.parametrize("seconds", [3.0, 25.0, 120.0])
def test_long_steps_keep_the_seat(tmp_path: Path, clock: Clock, seconds: float) -> None:
    a, b = seated(tmp_path, clock), seated(tmp_path, clock)
    work(clock, (a, 2), (b, 2), steps=4)
    b.take(2, seconds)
    for _ in range(20):
        clock.now += seconds * 0.12  # b's step takes 2.4 times as long as its last
        assert work(clock, (a, 2), steps=1, seconds=1e-3) == [1]


def test_work_of_different_lengths_keeps_the_seat(tmp_path: Path, clock: Clock) -> None:
    a, b = seated(tmp_path, clock), seated(tmp_path, clock)
    work(clock, (a, 2), (b, 2))
    for long in (True, False) * 20:
        b.take(2, 0.12 if long else 0.024)
        for _ in range(10 if long else 2):  # 0.12 s and 0.024 s, as the parts of an epoch may be
            clock.now += 0.01
            shares = work(clock, (a, 2), steps=1, seconds=2e-3)
        b.leave()
        assert shares == [1]


def test_a_short_call_beside_a_long_one_does_not_end_it(tmp_path: Path, clock: Clock) -> None:
    a, b = seated(tmp_path, clock), seated(tmp_path, clock)
    work(clock, (a, 2), (b, 2))
    b.take(2, 3.0)

    def use() -> None:
        for _ in range(3):
            with b.taken(1, 0.01):
                clock.now += 0.01

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    clock.now += 5.0
    assert work(clock, (a, 2), steps=1) == [1]


def test_who_overran_what_it_said_does_not_end_the_row_of_its_follower(tmp_path: Path, clock: Clock) -> None:
    late, other, third = [seated(tmp_path, clock) for _ in range(3)]
    late.take(2)
    clock.now += 5.0  # more than it said
    other.take(2)
    assert other._row == late._row
    late.leave()
    clock.now += 0.5
    assert third.take(2)[0] == 1


def test_an_interrupt_between_taking_and_leaving_heals(tmp_path: Path, clock: Clock) -> None:
    a, b = seated(tmp_path, clock), seated(tmp_path, clock)
    a.take(2)  # and never leaves
    work(clock, (a, 1), steps=100)
    assert a._busy == {} and work(clock, (a, 1), (b, 2)) == [1, 1]
    clock.now += 1
    assert work(clock, (b, 2)) == [2]


def test_work_inside_work_counts_once_and_does_not_end_it(tmp_path: Path, clock: Clock) -> None:
    a, b = seated(tmp_path, clock, 8), seated(tmp_path, clock, 8)
    for _ in range(5):
        with a.taken(1, 5.0):
            for _ in range(10):
                with a.taken(1, 0.01):
                    clock.now += 0.01
                clock.now += 0.4
                assert work(clock, (b, 8), steps=1, seconds=1e-3) == [7]


def test_alone_a_process_has_more_threads_than_cores_if_told_so(tmp_path: Path, clock: Clock) -> None:
    assert work(clock, (seated(tmp_path, clock, 2), 6)) == [6]


def test_two_that_took_the_same_row_find_out(tmp_path: Path, clock: Clock) -> None:
    a, b = seated(tmp_path, clock), seated(tmp_path, clock)
    with a.taken(2):
        pass
    clock.now += 1  # so b takes a's row
    b.take(2)
    assert a._row == b._row
    b.leave()
    assert work(clock, (a, 2), (b, 2), steps=3) == [1, 1]
    assert a._row != b._row


def test_python_threads_that_work_side_by_side_count_each(tmp_path: Path, clock: Clock) -> None:
    many, one = seated(tmp_path, clock, 4), seated(tmp_path, clock, 4)
    begun, ended = threading.Barrier(4), threading.Barrier(4)

    def use() -> None:
        for _ in range(10):
            with many.taken(1):
                begun.wait()
                ended.wait()

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        begun.wait()
        (share,) = work(clock, (one, 4), steps=1)
        ended.wait()
    for thread in threads:
        thread.join()
    assert share == 2  # 3 are wanted there and 4 here: two each


def test_short_calls_are_only_counted_but_seen(tmp_path: Path, clock: Clock) -> None:
    a, b = seated(tmp_path, clock), seated(tmp_path, clock)
    until, notes, calls = 0, 0, 1
    for k in range(100_000):  # a second of calls of 10 us
        clock.now += 1e-5
        if k > until:
            calls, notes = a.count(calls), notes + 1
            until = k + calls
        if k % 2000 == 0 and k > 20_000:
            assert work(clock, (b, 2), steps=1, seconds=0.0) == [1]
    assert notes < 120


@pytest.mark.parametrize("content", [b"", b"short", os.urandom(5000), b"\xff" * 5000, bytes(5000)])
def test_any_file_may_lie_where_the_table_should(tmp_path: Path, clock: Clock, content: bytes) -> None:
    first = seated(tmp_path, clock)
    with first.taken(2):
        pass
    (file,) = tmp_path.iterdir()
    file.unlink()
    file.write_bytes(content)
    a, b = seated(tmp_path, clock), seated(tmp_path, clock)
    assert work(clock, (a, 2), (b, 2)) == [1, 1]


def test_without_a_home_everyone_has_all_cores(clock: Clock, monkeypatch: Any) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(seats, "user_cache", homeless)
    assert work(clock, (Seat(None, 2, clock=clock), 2)) == [2]


def test_without_a_folder_everyone_has_all_cores(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_bytes(b"")
    a, b = seated(tmp_path / "file", clock), seated(tmp_path / "file", clock)
    assert work(clock, (a, 2), (b, 3)) == [2, 3]


def test_a_full_disk_leaves_everyone_with_all_cores(tmp_path: Path, clock: Clock, monkeypatch: Any) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(seats, "_write", refuse)
    assert work(clock, (seated(tmp_path, clock), 2), (seated(tmp_path, clock), 3)) == [2, 3]


def test_a_table_that_is_cut_off_or_removed_while_others_train_is_made_anew(tmp_path: Path, clock: Clock) -> None:
    place = tmp_path / "seats"
    a, b = seated(place, clock), seated(place, clock)
    assert work(clock, (a, 2), (b, 2)) == [1, 1]
    (file,) = place.iterdir()
    file.write_bytes(b"")
    assert work(clock, (a, 2), (b, 2)) == [1, 1]
    shutil.rmtree(place)
    assert work(clock, (a, 2), (b, 2)) == [1, 1]


@contextmanager
def training(folder: Path) -> Iterator[subprocess.Popen[str]]:
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    command = [sys.executable, "-c", TRAINER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def given(seat: Seat, wanted: int, share: int) -> bool:
    """Work until the seat gives that share; False when it has not within ten seconds."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with seat.taken(wanted, 0.005) as found:
            time.sleep(0.005)
        if found == share:
            return True
    return False


@pytest.mark.skipif(cores() < 2, reason="one core cannot be shared out")
def test_another_process_is_seen_and_a_killed_one_forgotten(tmp_path: Path) -> None:
    seat, every = Seat(tmp_path), cores()
    assert given(seat, every, every)
    with training(tmp_path) as other:
        assert given(seat, every, every // 2)
        other.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        assert given(seat, every, every)


def test_threads_of_one_process_do_not_count_each_other_as_others(tmp_path: Path) -> None:
    seat, found = Seat(tmp_path, 2), set[int]()

    def use() -> None:
        for _ in range(200):
            with seat.taken(2, 0.0) as share:
                found.add(share)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {2}


FORK = """
import os
from gyaku.backend.seats import seat
seat.take(2, 60.0)  # the row lasts, however slow the machine
row, who = seat._row, seat._who
child = os.fork()
if child == 0:
    with seat.taken(2):
        os._exit(0 if seat._row != row and seat._who != who else 3)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_gets_a_seat_of_its_own(tmp_path: Path) -> None:
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path), GYAKU_CACHE=str(tmp_path))
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "0"

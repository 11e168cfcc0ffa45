"""Locks in forked processes: open, unless the thread that forked holds them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CHILD = """
import os, threading
from gyaku.base.forks import opened_in_child
plain, again, own = (opened_in_child(lock) for lock in (threading.Lock(), threading.RLock(), threading.RLock()))
held, over = threading.Event(), threading.Event()

def hold():
    with plain, again:
        held.set()
        over.wait()

thread = threading.Thread(target=hold, daemon=True)
thread.start()
held.wait()
own.acquire()
child = os.fork()
if child == 0:
    free = plain.acquire(timeout=5) and again.acquire(timeout=5)
    own.release()  # raises where it is not held
    os._exit(0 if free else 3)
_, status = os.waitpid(child, 0)
over.set()
print(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_finds_locks_open_that_other_threads_held() -> None:
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    command = [sys.executable, "-W", "ignore", "-c", CHILD]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "0"

"""Peers in their own processes, taking turns: A B C A B C."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


class Failed(RuntimeError):
    """A form that does not run here."""


class Peer:
    """A library in a process of its own: its number of threads, its one core if it is to have one, more environment.

    ``package`` has the workloads, and the libraries' forms of them.
    """

    def __init__(
        self,
        library: str,
        threads: int | None = None,
        *,
        core: int | None = None,
        also: dict[str, str] | None = None,
        package: str = "benchmarks.compiled",
    ) -> None:
        self.library, self.threads = library, threads
        self.name = library if threads is None else f"{library}, {threads} thread{'s' if threads > 1 else ''}"
        env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]), "JAX_PLATFORMS": "cpu"}
        if threads is not None:
            env |= {f"{pool}_NUM_THREADS": str(threads) for pool in ("OMP", "OPENBLAS", "MKL")}
        if threads == 1:
            env["XLA_FLAGS"] = ONE_THREAD
        if core is not None:
            env["BENCHMARK_CORE"] = str(core)
        env |= also or {}
        command = [sys.executable, "-m", "benchmarks.compiled.worker", library, package]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=env,
            cwd=ROOT,
        )

    def send(self, do: str, **options: Any) -> None:
        """Ask for something; ``receive`` waits for the answer."""
        assert self._process.stdin is not None
        print(json.dumps({"do": do, **options}), file=self._process.stdin, flush=True)

    def receive(self) -> Any:
        """Return the answer, or raise ``Failed``."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise Failed(f"{self.library}: {answer['error']}")
        return answer["value"]

    def ask(self, do: str, **options: Any) -> Any:
        """Ask and wait."""
        self.send(do, **options)
        return self.receive()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class Contender:
    """One form of one library; several processes when they share the members of the workload."""

    def __init__(self, name: str, peers: Sequence[Peer], form: str) -> None:
        self.name, self.peers, self.form, self.library = name, peers, form, peers[0].library
        self.times = 1

    def seconds(self, seed: int) -> float:
        """Return the seconds of one measurement, all processes at once, the mean of ``times`` in a row.

        Each process tells what it took after its warming up, which has no part in it; the slowest counts.
        """
        for peer in self.peers:
            peer.send("run", form=self.form, seed=seed, times=self.times)
        return max([peer.receive() for peer in self.peers]) / self.times

    def warm(self, at_least: float) -> float:
        """Return the better of two measurements; from then on one repeats until it takes ``at_least`` seconds."""
        seconds = min(self.seconds(998), self.seconds(999))
        self.times = max(1, math.ceil(at_least / seconds))
        return seconds


def in_turns(contenders: Sequence[Contender], rounds: int, pause: float = 0.03) -> dict[str, list[float]]:
    """Return the seconds of each round by contender's name; every second round goes backwards."""
    times: dict[str, list[float]] = {c.name: [] for c in contenders}
    for r in range(rounds):
        for c in contenders[:: 1 if r % 2 == 0 else -1]:
            time.sleep(pause)  # threads that still spin would take a core
            times[c.name].append(c.seconds(seed=r))
    return times

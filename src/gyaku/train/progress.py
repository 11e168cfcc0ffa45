"""Progress while training: rich in a terminal, tqdm in a notebook or without rich, nothing where nobody looks."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from gyaku.base.text import Phrases
from gyaku.train.events import Callback

if TYPE_CHECKING:
    from gyaku.train.loop import Loop

_WORDS = {
    "training": ("training", "学習中"),
    "compiling": ("compiling, once", "コンパイル中 (初回のみ)"),
    "epoch": ("epoch {epoch}/{epochs}", "エポック {epoch}/{epochs}"),
    "loss": ("loss {value:.4f}", "損失 {value:.4f}"),
    "accuracy": ("{part} accuracy {value:.4f}", "{part} 正解率 {value:.4f}"),
    "rmse": ("{part} rmse {value:.4g}", "{part} RMSE {value:.4g}"),
}


def in_notebook() -> bool:
    """Return whether this is a Jupyter kernel."""
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


class Progress(Callback):
    """A bar over all batches with the figures of the last epoch, on stderr."""

    def __init__(self, lang: str | None = None) -> None:
        self.words = Phrases(_WORDS, lang)
        self.bar: Any = None

    def on_fit_start(self, loop: Loop) -> None:
        """Open the bar."""
        self.begin(loop.epochs * loop.batches, loop.step)

    def begin(self, total: int, done: int) -> None:
        """Choose and open a bar of ``total`` steps, ``done`` of which lie behind."""
        if in_notebook():
            self.bar = _Tqdm(self.words("training"), total, done, notebook=True)
        elif sys.stderr is not None and sys.stderr.isatty():
            unicode = (sys.stderr.encoding or "").lower().replace("-", "").startswith("utf")
            rich = unicode and importlib.util.find_spec("rich") is not None
            kind = _Rich if rich else _Tqdm
            self.bar = kind(self.words("training"), total, done)

    def on_steps_end(self, loop: Loop) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.advance(len(loop.losses))

    def on_compile(self, loop: Loop) -> None:
        """Say why nothing moves."""
        if self.bar is not None:
            self.bar.say(self.words("compiling" if loop.compiling else "training"))

    def on_epoch_end(self, loop: Loop) -> None:
        """Show the epoch's figures."""
        if self.bar is None:
            return
        row, metric = loop.history.rows[-1], loop.objective.metric
        part = "dev" if "dev_loss" in row else "train"
        figures = (
            self.words("loss", value=row[f"{part}_loss"]),
            self.words(metric, part=part, value=row[f"{part}_{metric}"]),
        )
        self.bar.say("  ".join([self.words("epoch", epoch=loop.epoch, epochs=loop.epochs), *figures]))

    def on_fit_end(self, loop: Loop) -> None:
        """Close the bar."""
        self.close()

    def close(self) -> None:
        """Take the bar away; safe to call twice, also when training was interrupted."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class _Rich:
    def __init__(self, title: str, total: int, done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, console=Console(stderr=True), refresh_per_second=8)
        self.task = self.progress.add_task(title, total=total, completed=done)
        self.progress.start()

    def advance(self, steps: int) -> None:
        self.progress.advance(self.task, steps)

    def say(self, text: str) -> None:
        self.progress.update(self.task, description=text, refresh=True)

    def close(self) -> None:
        self.progress.stop()


class _Tqdm:
    def __init__(self, title: str, total: int, done: int, *, notebook: bool = False) -> None:
        if notebook:
            from tqdm.notebook import tqdm
        else:
            from tqdm import tqdm
        self.bar: Any = tqdm(desc=title, total=total, initial=done, leave=True)

    def advance(self, steps: int) -> None:
        self.bar.update(steps)

    def say(self, text: str) -> None:
        self.bar.set_description_str(text)

    def close(self) -> None:
        self.bar.close()

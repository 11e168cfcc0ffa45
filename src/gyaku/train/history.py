"""``History``: what ``fit`` returns, one row an epoch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from gyaku.base.errors import UnknownNameError, require

Row = dict[str, Any]


@dataclass
class History:
    """The rows of a training run, in order, and how it ended.

    A row has ``epoch``, ``step``, ``lr``, ``train_loss``, ``train_accuracy`` (or ``train_rmse``), and the same of
    ``dev`` where there is a development part. ``best_epoch`` is the epoch whose weights the model has now; ``stopped``
    says why training ended; ``seconds`` has one number an epoch. ``traces`` counts the programs that the steps were
    compiled to; ``by_run`` says why training was define-by-run instead (empty for machine code).

    >>> history = History([{"epoch": 1, "train_loss": 0.5}])
    >>> history["train_loss"], len(history)
    ([0.5], 1)
    """

    rows: list[Row] = field(default_factory=list)
    best_epoch: int = 0
    stopped: str = ""
    seconds: list[float] = field(default_factory=list)
    traces: int = 0
    by_run: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, column: str) -> list[Any]:
        """Return one column of all rows. Raises ``UnknownNameError`` ("did you mean")."""
        known = self.rows[0] if self.rows else {}
        if column not in known:
            raise UnknownNameError("History", column, known, what="column")
        return [row[column] for row in self.rows]

    @property
    def best(self) -> Row:
        """The row of the best epoch; empty before the first."""
        return next((row for row in self.rows if row["epoch"] == self.best_epoch), {})

    def frame(self) -> Any:
        """Return the rows as a pandas table with ``epoch`` as its index."""
        pandas: Any = require("pandas", where="History.frame", extra="tables")
        return pandas.DataFrame(self.rows).set_index("epoch")


def text_of(rows: list[Row]) -> str:
    """Return rows as text, one line each."""
    return "".join(f"{line_of(row)}\n" for row in rows)


def rows_of(text: str) -> list[Row]:
    """Return the rows that ``text_of`` wrote; the same numbers, bit for bit."""
    return [json.loads(line) for line in text.splitlines()]


def line_of(row: Row) -> str:
    """Return a row as one line of JSON; the same numbers give the same bytes."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))

"""Ctrl-C, or a scheduler's SIGTERM, during training: the batch is finished and a checkpoint saved first."""

from __future__ import annotations

import signal
import threading
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import Any


class Interrupt:
    """While the block runs, the first Ctrl-C or SIGTERM only sets ``asked``; a second one interrupts at once.

    A program's own handler of SIGTERM stays in its place.
    Outside the main thread, where Python delivers no signals, it does nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._note)
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                self._before[signal.SIGTERM] = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def core(self) -> AbstractContextManager[None]:
        """Return what a loop holds while it trains; nothing, where it need not share its cores with other loops."""
        return nullcontext()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

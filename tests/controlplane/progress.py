"""Progress of a long step: a line that updates on a terminal, else a line now and then."""

import dataclasses
import time
from collections.abc import Callable
from typing import TextIO

_REDRAW_SECONDS = 0.2
_HEARTBEAT_SECONDS = 15.0
_BAR_CELLS = 24


def clock(seconds: float) -> str:
    """Show a duration as ``0:07`` or ``12:30``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


@dataclasses.dataclass(slots=True)
class Progress:
    """Tells on ``stream`` how far the current step is."""

    stream: TextIO
    monotonic: Callable[[], float] = time.monotonic
    _label: str = ""
    _began: float = 0.0
    _told: float = 0.0

    def say(self, text: str) -> None:
        """Print a line of its own."""
        self._clear()
        self._write(f"{text}\n")

    def begin(self, label: str) -> None:
        """Start a step: its line on a terminal, or a first line elsewhere."""
        self._label = label
        self._began = self._told = self.monotonic()
        self._write(label if self.stream.isatty() else f"{label} ...\n")

    def update(self, *, done: int, total: int, unit: str) -> None:
        """Tell how far the step is: redrawn on a terminal, else once in 15 seconds.

        ``total`` is an upper bound, 0 when unknown: what a build cache holds is not done again.
        """
        now = self.monotonic()
        if now - self._told < (_REDRAW_SECONDS if self.stream.isatty() else _HEARTBEAT_SECONDS):
            return
        self._told = now
        amount = f"{done} of at most {total} {unit}" if total else f"{done} {unit}"
        elapsed = clock(now - self._began)
        if self.stream.isatty():
            cells = min(_BAR_CELLS, _BAR_CELLS * done // total) if total else 0
            bar = "#" * cells + "-" * (_BAR_CELLS - cells)
            self._clear()
            self._write(f"{self._label} [{bar}] {amount}, {elapsed}")
        else:
            self._write(f"{self._label}: {amount}, {elapsed}\n")

    def end(self, result: str) -> None:
        """Close the step with one line that stays."""
        self._clear()
        self._write(f"{self._label}: {result}, {clock(self.monotonic() - self._began)}\n")

    def _clear(self) -> None:
        if self.stream.isatty():
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()

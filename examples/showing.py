"""What the demo prints: short headings, a few words, and commands with their real answers."""

import contextlib
import dataclasses
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Final, TextIO

PROMPT: Final = "$ "

_WIDTH: Final = 100
_BOLD: Final = "\x1b[1m"
_CYAN: Final = "\x1b[36m"
_PLAIN: Final = "\x1b[0m"


@dataclasses.dataclass(slots=True)
class Screen:
    """Prints to ``stream``; ``in_colour`` is for terminals alone."""

    stream: TextIO
    in_colour: bool = False
    monotonic: Callable[[], float] = time.monotonic
    _headings: int = 0

    def heading(self, text: str) -> None:
        """Begin the next part of the story."""
        self._headings += 1
        line = f"== {self._headings}. {text} "
        self._write(f"\n{self._in(_BOLD, line.ljust(_WIDTH, '='))}\n")

    def say(self, text: str) -> None:
        """Tell something in a paragraph; line breaks in the text mean nothing."""
        self._write(f"\n{textwrap.fill(' '.join(text.split()), _WIDTH)}\n")

    def command(self, line: str) -> None:
        """Show a command as it would be typed."""
        self._write(f"\n{self._in(_CYAN, PROMPT + line)}\n")

    def answer(self, text: str) -> None:
        """Show what a program printed, as it is."""
        self._write(text if not text or text.endswith("\n") else f"{text}\n")

    @contextlib.contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Say what is under way, and how long it took once it is done."""
        began = self.monotonic()
        self._write(f"{label} ...")
        try:
            yield
        except BaseException:
            self._write("\n")
            raise
        self._write(f" {self.monotonic() - began:.1f} s\n")

    def _in(self, code: str, text: str) -> str:
        return f"{code}{text}{_PLAIN}" if self.in_colour else text

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()

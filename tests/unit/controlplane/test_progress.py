"""What a person sees while a long step works."""

import io

import pytest
from controlplane import progress


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        """Give the time that the test has set."""
        return self.now


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_log_gets_a_line_in_fifteen_seconds_and_no_control_codes() -> None:
    """A CI log stays short, and still shows that something moves."""
    stream, clock = io.StringIO(), Clock()
    tell = progress.Progress(stream, monotonic=clock)

    tell.begin("Building x")
    for second in range(1, 35):
        clock.now = second
        tell.update(done=second, total=100, unit="packages")
    tell.end("done")

    expected = [
        "Building x ...",
        "Building x: 15 of at most 100 packages, 0:15",
        "Building x: 30 of at most 100 packages, 0:30",
        "Building x: done, 0:34",
    ]
    assert expected == stream.getvalue().splitlines()


def test_a_terminal_gets_one_line_that_is_redrawn() -> None:
    """A bar moves in its place; only the result stays on the screen."""
    stream, clock = Terminal(), Clock()
    tell = progress.Progress(stream, monotonic=clock)

    tell.begin("Building x")
    clock.now = 75.0
    tell.update(done=50, total=100, unit="packages")
    tell.end("done")

    bar = f"[{'#' * 12}{'-' * 12}]"
    assert f"\r\x1b[2KBuilding x {bar} 50 of at most 100 packages, 1:15" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[2KBuilding x: done, 1:15\n")
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (7.9, "0:07"), (75, "1:15"), (3600, "60:00")]
)
def test_durations_are_shown_as_minutes_and_seconds(seconds: float, shown: str) -> None:
    """Whole seconds are enough for steps of minutes."""
    assert shown == progress.clock(seconds)

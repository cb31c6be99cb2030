"""A task that should never end starts over when it does, and says so."""

import asyncio

import pytest
import structlog
from support import clocks

from guard.cluster import tasks, timing


async def test_a_task_that_dies_or_ends_starts_over_with_growing_waits() -> None:
    """Whatever happens to it, it runs again, after waits that do not storm."""
    clock = clocks.Clock(until_seconds=100.0)
    endings = [ValueError("x"), None, OSError("y")]
    starts = 0

    async def run() -> None:
        nonlocal starts
        starts += 1
        ending = endings[starts % len(endings)]
        if ending is not None:
            raise ending

    with structlog.testing.capture_logs() as logs:
        times = timing.Timing(clock=clock, sleep=clock.sleep, chance=lambda: 1.0)
        task = asyncio.create_task(tasks.guard("walker", run, timing=times))
        await clock.reached.wait()
        task.cancel()

    assert clock.sleeps == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert starts == len(clock.sleeps) == len(logs)
    assert {log["event"] for log in logs} == {
        "a task has died and starts over",
        "a task has ended that should not, and starts over",
    }
    assert {log["task"] for log in logs} == {"walker"}


async def test_a_task_that_was_well_for_long_is_started_at_once_again() -> None:
    """One failure a day does not add up to long waits."""
    clock = clocks.Clock(until_seconds=300.0)

    async def run() -> None:
        clock.now_seconds += 61.0
        message = "x"
        raise ValueError(message)

    times = timing.Timing(clock=clock, sleep=clock.sleep, chance=lambda: 0.0)
    task = asyncio.create_task(tasks.guard("walker", run, timing=times))
    await clock.reached.wait()
    task.cancel()

    assert set(clock.sleeps) == {0.25}


async def test_cancelling_ends_it() -> None:
    """The end of the process is no failure."""
    task = asyncio.create_task(tasks.guard("walker", asyncio.Event().wait))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

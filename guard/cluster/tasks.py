"""The one way to run a task that should never end."""

from collections.abc import Awaitable, Callable

import structlog

from guard.cluster import timing as timings

_logger = structlog.get_logger(__name__)

_STABLE_SECONDS = 60.0
"""A task that ran this long was well: its next failure is a first one again."""


async def guard(
    name: str,
    run: Callable[[], Awaitable[object]],
    *,
    timing: timings.Timing = timings.REAL,
) -> None:
    """Run ``run()``, and again after it has failed or returned, until cancelled.

    Each death is logged with its traceback; the waits in between grow from 0.5 to 30 s. So one
    broken kind or Guard takes down neither the others nor the process, and never ends unseen.
    """
    failures = 0
    while True:
        began = timing.clock()
        try:
            await run()
        except Exception:
            # Whatever it is, others go on.
            _logger.exception("a task has died and starts over", task=name)
        else:
            _logger.error("a task has ended that should not, and starts over", task=name)
        failures = 1 if timing.clock() - began >= _STABLE_SECONDS else failures + 1
        await timing.back_off(failures)

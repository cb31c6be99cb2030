"""When a failed object is tried again: each backs off alone, and none longer than it has to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from guard.api import keys
from guard.cluster import timing as timings
from guard.loop import drift

_MAX_SECONDS: Final = 300.0
"""The longest wait before an object that is refused again and again is tried once more."""


class Retries:
    """Tries failed objects again by ``bring``, in tasks of ``group``."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        *,
        timing: timings.Timing,
        bring: Callable[[drift.Guarded], Awaitable[None]],
    ) -> None:
        self._group = group
        self._timing = timing
        self._bring = bring
        self._tasks: dict[keys.ObjectKey, asyncio.Task[None]] = {}
        self._asleep: dict[keys.ObjectKey, drift.Guarded] = {}
        self._stopped = False

    def later(self, guarded: drift.Guarded) -> None:
        """Try the object again, the later the more often it has failed in a row."""
        self._start(guarded, self._timing.wait_seconds(guarded.failures, max_seconds=_MAX_SECONDS))

    def hurry(self, wanted: Callable[[drift.Guarded], bool]) -> None:
        """Try those now that wait and are wanted: what was in their way may be gone."""
        for guarded in [one for one in self._asleep.values() if wanted(one)]:
            self._start(guarded, 0.0)

    def forget(self, key: keys.ObjectKey) -> None:
        """Do not try the object any more."""
        self._asleep.pop(key, None)
        task = self._tasks.pop(key, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def stop(self) -> None:
        """Start nothing any more: the group that runs the tasks is about to end."""
        self._stopped = True

    def _start(self, guarded: drift.Guarded, wait_seconds: float) -> None:
        self.forget(guarded.key)
        if self._stopped:
            return
        self._asleep[guarded.key] = guarded
        self._tasks[guarded.key] = self._group.create_task(self._retry(guarded, wait_seconds))

    async def _retry(self, guarded: drift.Guarded, wait_seconds: float) -> None:
        await self._timing.sleep(wait_seconds)
        if self._asleep.get(guarded.key) is guarded:
            del self._asleep[guarded.key]
            await self._bring(guarded)
            if self._tasks.get(guarded.key) is asyncio.current_task():
                del self._tasks[guarded.key]

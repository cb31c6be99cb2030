"""Turns: one thing at a time is done to an object, and no object waits for another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

import structlog

from guard.api import keys

_LOG: Final = structlog.get_logger(__name__)

Task = Coroutine[Any, Any, None]


class Turns:
    """Hands out the turn of each object; ``freed`` is called when nobody has it any more.

    Tasks run in ``group``. One that fails is logged and stops no other.
    """

    def __init__(
        self, group: asyncio.TaskGroup, *, freed: Callable[[keys.ObjectKey], None]
    ) -> None:
        self._group = group
        self._freed = freed
        self._taken: set[keys.ObjectKey] = set()
        self._waiting: dict[keys.ObjectKey, list[asyncio.Future[None]]] = {}
        self._stopped = False

    def is_taken(self, key: keys.ObjectKey) -> bool:
        """Tell whether something is being done to the object."""
        return key in self._taken

    def start(self, key: keys.ObjectKey, task: Task) -> None:
        """Run a coroutine in the turn of an object that nobody has."""
        if self._stopped:
            task.close()
            return
        self._taken.add(key)  # here, not in the task: the next event may come before it starts
        self._group.create_task(self._run(key, task))

    async def _run(self, key: keys.ObjectKey, task: Task) -> None:
        try:
            await task
        except Exception:  # noqa: BLE001 - logged with its traceback
            # A fault of ours with one object must not end the guarding of the others.
            _LOG.exception("looking after an object failed", object=key.title)
        finally:
            self._give_back(key)

    @contextlib.asynccontextmanager
    async def of(self, key: keys.ObjectKey) -> AsyncIterator[None]:
        """Wait for the turn of an object, and have it within the block."""
        while key in self._taken:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(key, []).append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                handed = not turn.cancelled()
                if handed and key not in self._taken:  # whoever has it has to pass it on
                    self._give_back(key)
                raise
        self._taken.add(key)
        try:
            yield
        finally:
            self._give_back(key)

    def _give_back(self, key: keys.ObjectKey) -> None:
        self._taken.discard(key)
        waiting = [turn for turn in self._waiting.pop(key, ()) if not turn.done()]
        for turn in waiting:
            turn.set_result(None)
        if not waiting:
            self._freed(key)

    def stop(self) -> None:
        """Start nothing any more: the group that runs the tasks is about to end."""
        self._stopped = True

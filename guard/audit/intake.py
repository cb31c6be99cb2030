"""From the spool into the store, in the guard process. Nothing here may lose a record."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog

from guard.audit import errors, reader, store

POLL_SECONDS: Final = 0.05
"""Records wait at most this long to be taken, and share a commit with all that came meanwhile."""

_FIRST_RETRY_SECONDS: Final = 0.1
_LAST_RETRY_SECONDS: Final = 5.0
"""A store that comes back is noticed within this time."""

_log = structlog.get_logger(__name__)


class Intake:
    """Moves records from every writer's spool below ``spool_root`` into ``target``.

    ``sleep`` stands in for ``asyncio.sleep`` in tests.
    """

    def __init__(
        self,
        spool_root: Path,
        target: store.Store,
        *,
        poll_seconds: float = POLL_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._reader = reader.Reader(spool_root)
        self._store = target
        self._poll_seconds = poll_seconds
        self._sleep = sleep
        self._one_at_a_time = asyncio.Lock()

    @property
    def rejected(self) -> int:
        """How many stretches of the spool were no record, since this process started."""
        return self._reader.rejected

    async def run(self) -> None:
        """Drain until cancelled. A store that cannot be used is tried again; the spool holds on."""
        retry_seconds = 0.0
        while True:
            try:
                batch = await self._step()
            except errors.StoreUnavailable as error:
                if not retry_seconds:
                    _log.warning("audit records wait in the spool", error=str(error))
                retry_seconds = min(
                    max(retry_seconds * 2, _FIRST_RETRY_SECONDS), _LAST_RETRY_SECONDS
                )
                await self._sleep(retry_seconds)
                continue
            if retry_seconds:
                _log.info("the audit store takes records again")
                retry_seconds = 0.0
            if not batch.more:
                await self._sleep(self._poll_seconds)

    async def drain_once(self) -> int:
        """Store all that is in the spool now; gives how many records were moved.

        For the end of the process and for tests. Raises StoreUnavailable; then what is not
        stored stays in the spool.
        """
        total = 0
        more = True
        while more:
            batch = await self._step()
            total += len(batch.lines)
            more = batch.more
        await asyncio.to_thread(self._reader.tidy)
        return total

    async def pending(self) -> int:
        """Count the records that are in the spool and not yet stored."""
        return await asyncio.to_thread(self._reader.pending)

    async def _step(self) -> reader.Batch:
        """Move one batch: read, commit, and only then forget."""
        async with self._one_at_a_time:
            batch = await asyncio.to_thread(self._reader.read)
            if batch:
                await self._store.insert_lines(batch.lines)
                await asyncio.to_thread(self._reader.acknowledge, batch)
            return batch

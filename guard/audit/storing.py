"""All of the guard process that has to do with the audit store, as one task.

The store has one writer, so what feeds it and what reads it live here together: the intake of the
local spool, the record intake for webhook pods, and the door for the CLI. Each of them may fail and
start over without the others.
"""

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from guard.audit import errors, intake, reading, receiving, store, wire
from guard.cluster import tasks
from guard.cluster import timing as timings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RecordIntake:
    """How webhook pods hand their records over.

    ``tls`` gives the context once there is a certificate, however long that takes; who renews it
    loads the new one into the same context. ``identity`` is ``receiving.webhook_identity``. A
    ``host`` of None listens on all addresses.
    """

    tls: Callable[[], Awaitable[ssl.SSLContext]]
    identity: str
    host: str | None = None
    port: int = wire.INTAKE_PORT


async def run(
    state: Path,
    *,
    record_intake: RecordIntake | None = None,
    reading_port: int | None = None,
    timing: timings.Timing = timings.REAL,
) -> None:
    """Keep the store below ``state`` until cancelled; then store what is left in the spool.

    Without ``record_intake`` only the local spool is stored; without ``reading_port`` the store is
    read from its file only. Raises AuditError if the store cannot be opened.
    """
    async with await store.Store.open(state / "audit.db") as records:
        taking = intake.Intake(state / "spool", records)

        async def receive(settings: RecordIntake) -> None:
            await receiving.serve(
                records,
                identity=settings.identity,
                tls=await settings.tls(),
                host=settings.host,
                port=settings.port,
            )

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(taking.run())
                if record_intake is not None:
                    settings = record_intake
                    group.create_task(
                        tasks.guard("record intake", lambda: receive(settings), timing=timing)
                    )
                if reading_port is not None:
                    port = reading_port
                    group.create_task(
                        tasks.guard(
                            "audit reading",
                            lambda: reading.serve(records, port=port),
                            timing=timing,
                        )
                    )
        finally:
            with contextlib.suppress(errors.StoreUnavailable):
                await taking.drain_once()  # what stays in the spool waits for the next process

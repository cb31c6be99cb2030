"""From the spool into the store."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support import polling

from guard.audit import errors, intake, reader, record, spool, store

MakeRecord = Callable[..., record.Record]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Give the path of a store that does not exist yet."""
    return tmp_path / "audit.db"


async def _ids(opened: store.Store) -> list[str]:
    return [each.id for each in await opened.query(store.Filter(limit=None))]


async def test_records_of_all_writers_are_stored_and_the_spool_is_empty(
    root: Path, database: Path, make_record: MakeRecord
) -> None:
    """The final drain at the end of a process leaves nothing behind."""
    one, other = make_record(), make_record()
    for writer, written in (("webhook-1", one), ("webhook-2", other)):
        with spool.Spool(root, writer=writer) as opened:
            opened.append(written)
    async with await store.Store.open(database) as target:
        drain = intake.Intake(root, target)
        assert await drain.pending() == 2
        assert await drain.drain_once() == 2
        assert await drain.pending() == 0
        assert await drain.drain_once() == 0
        assert await _ids(target) == [other.id, one.id]
        assert await asyncio.to_thread(lambda: list(root.iterdir())) == []


async def test_a_backlog_of_many_batches_is_drained_in_one_go(
    root: Path, database: Path, make_record: MakeRecord
) -> None:
    """As after a night without the guard process."""
    with spool.Spool(root, writer="webhook-1", max_segment_bytes=100_000) as opened:
        for _ in range(1_234):
            opened.append(make_record())
    async with await store.Store.open(database) as target:
        assert await intake.Intake(root, target).drain_once() == 1_234
        assert len(await _ids(target)) == 1_234


async def test_running_it_takes_what_comes(
    root: Path, database: Path, make_record: MakeRecord
) -> None:
    """From writers that come while it runs, and those that it found."""
    async with await store.Store.open(database) as target:
        running = asyncio.create_task(intake.Intake(root, target).run())
        written = []
        for number in range(3):
            with spool.Spool(root, writer=f"webhook-{number}") as opened:
                written.append(make_record())
                opened.append(written[-1])
                await polling.eventually(lambda: _stored(target, written))
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_locked_store_delays_records_and_loses_none(
    root: Path, database: Path, make_record: MakeRecord, logged: list[Any]
) -> None:
    """It is tried again, slower each time, and said once when it fails and once when it is back."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 4:
            other.rollback()
        await asyncio.sleep(0)

    written = [make_record() for _ in range(3)]
    with spool.Spool(root, writer="webhook-1") as opened:
        for each in written:
            opened.append(each)
    async with await store.Store.open(database, busy_timeout_seconds=0.01) as target:
        with contextlib.closing(sqlite3.connect(database)) as other:
            other.execute("BEGIN IMMEDIATE")
            running = asyncio.create_task(intake.Intake(root, target, sleep=sleep).run())
            await polling.eventually(lambda: _stored(target, written))
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert [entry["event"] for entry in logged] == [
        "audit records wait in the spool",
        "the audit store takes records again",
    ]


async def test_a_full_store_delays_records_and_loses_none(
    root: Path, database: Path, make_record: MakeRecord
) -> None:
    """SQLite's own *database or disk is full*, until there is room again."""
    written = [make_record(message="x" * 1_000) for _ in range(200)]
    with spool.Spool(root, writer="webhook-1") as opened:
        for each in written:
            opened.append(each)
    async with await store.Store.open(database) as target:
        drain = intake.Intake(root, target)
        with _page_limit(20), pytest.raises(errors.StoreUnavailable, match="full"):
            await drain.drain_once()
        assert await drain.pending() == 200
        with _page_limit(1_000_000):
            assert await drain.drain_once() == 200
        assert await _stored(target, written)


async def test_the_pauses_stay_short_enough_to_notice_the_end(
    root: Path, make_record: MakeRecord
) -> None:
    """However long the store was away, its return is noticed within five seconds."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 20:
            raise asyncio.CancelledError

    with spool.Spool(root, writer="webhook-1") as opened:
        opened.append(make_record())
        drain = intake.Intake(root, _Failing(), sleep=sleep)
        with pytest.raises(asyncio.CancelledError):
            await drain.run()
        assert await drain.pending() == 1

    assert max(pauses) == 5.0


async def test_draining_once_says_if_the_store_cannot_take_it(
    root: Path, make_record: MakeRecord
) -> None:
    """The end of a process must not wait for ever; the records stay where they are."""
    with spool.Spool(root, writer="webhook-1") as opened:
        opened.append(make_record())
        drain = intake.Intake(root, _Failing())
        with pytest.raises(errors.StoreUnavailable):
            await drain.drain_once()
        assert await drain.pending() == 1


async def test_a_death_between_commit_and_position_stores_nothing_twice(
    root: Path, database: Path, make_record: MakeRecord
) -> None:
    """The successor reads the batch again, and the store knows it."""
    written = [make_record() for _ in range(3)]
    with spool.Spool(root, writer="webhook-1") as opened:
        for each in written:
            opened.append(each)
        async with await store.Store.open(database) as target:
            await target.insert(written[:2])
            assert await intake.Intake(root, target).drain_once() == 3
            assert sorted(await _ids(target)) == [each.id for each in written]


async def test_cancelling_it_at_any_step_loses_nothing(
    root: Path, database: Path, make_record: MakeRecord
) -> None:
    """A process that is told to stop in the middle of a batch leaves a spool that can be read."""
    written = [make_record() for _ in range(600)]
    with spool.Spool(root, writer="webhook-1") as opened:
        for each in written:
            opened.append(each)
        async with await store.Store.open(database) as target:
            for turns in range(0, 40, 3):
                running = asyncio.create_task(intake.Intake(root, target).run())
                for _ in range(turns):
                    await asyncio.sleep(0.001)
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
            await intake.Intake(root, target).drain_once()
            assert sorted(await _ids(target)) == [each.id for each in written]


async def test_a_cancelled_insert_leaves_no_lock_behind(
    root: Path, database: Path, make_record: MakeRecord
) -> None:
    """A statement that is abandoned half way would hold the database for everybody."""
    with spool.Spool(root, writer="webhook-1") as opened:
        for _ in range(500):
            opened.append(make_record())
        async with await store.Store.open(database, busy_timeout_seconds=0.01) as target:
            lines = reader.Reader(root).read().lines
            for turns in range(30):
                inserting = asyncio.create_task(target.insert_lines(lines))
                for _ in range(turns):
                    await asyncio.sleep(0)
                inserting.cancel()
                inserting.cancel()
                await asyncio.gather(inserting, return_exceptions=True)
                await target.insert([make_record()])


async def test_run_and_final_drain_may_overlap(
    root: Path, database: Path, make_record: MakeRecord
) -> None:
    """One batch at a time, whoever asks for it."""
    with spool.Spool(root, writer="webhook-1") as opened:
        for _ in range(700):
            opened.append(make_record())
        async with await store.Store.open(database) as target:
            drain = intake.Intake(root, target)
            assert sum(await asyncio.gather(*(drain.drain_once() for _ in range(3)))) == 700


async def test_damage_in_the_spool_is_counted_and_passed_over(
    root: Path, database: Path, make_record: MakeRecord
) -> None:
    """A broken line is no reason to keep the ones behind it from the audit log."""
    written = make_record()
    (root / "webhook-0").mkdir(parents=True)
    (root / "webhook-0" / "0.log").write_bytes(b"garbage\n")
    with spool.Spool(root, writer="webhook-1") as opened:
        opened.append(written)
        async with await store.Store.open(database) as target:
            drain = intake.Intake(root, target)
            assert await drain.drain_once() == 1
            assert await _ids(target) == [written.id]

    assert drain.rejected == 1


class _Failing(store.Store):
    """A store on a disk that is full."""

    def __init__(self) -> None:
        pass

    async def insert_lines(self, lines: object) -> int:
        del lines
        raise errors.StoreUnavailable(Path("audit.db"), "database or disk is full")


async def _stored(target: store.Store, written: list[record.Record]) -> bool:
    return sorted(await _ids(target)) == [each.id for each in written]


@contextlib.contextmanager
def _page_limit(pages: int) -> Iterator[None]:
    """Limit the size of databases, which is all that a full disk is to SQLite."""

    def limit(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    sa.event.listen(sa.Engine, "begin", limit)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "begin", limit)

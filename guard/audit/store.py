"""The audit store: records in SQLite, written in batches by one process and read by any.

``synchronous=FULL`` on purpose: the spool forgets what a commit has taken, so a commit must reach
the disk before it returns. With WAL that is one fsync per batch, a few a second at most.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import math
import sqlite3
import urllib.parse
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext import asyncio as sa_asyncio

from guard.audit import errors, record, schema

BUSY_TIMEOUT_SECONDS: Final = 2.0
"""How long SQLite itself waits for a lock. Beyond it StoreUnavailable, and the caller decides."""

DEFAULT_LIMIT: Final = 100

_PAGE_RECORDS: Final = 500
"""In memory at once when all records are read; large ones have some hundred KiB."""

_T = TypeVar("_T")

_log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which records to give: those that match every criterion given. Empty means any."""

    object: str = ""
    """``name``, or ``Kind/name``; the kind in any case."""
    namespace: str = ""
    user: str = ""
    verdicts: tuple[str, ...] = ()
    """Any of these ``guard.api.verdicts.Verdict``."""
    guard: str = ""
    """``namespace/name``."""
    since: dt.datetime | None = None
    """Aware; the moment itself is included."""
    until: dt.datetime | None = None
    """Aware; the moment itself is not included."""
    limit: int | None = DEFAULT_LIMIT
    """The newest so many; None for all."""


class Store:
    """An open store; made by ``open`` or ``open_readonly``, closed by ``close``.

    Every method raises StoreUnavailable if the database cannot be used at the moment.
    """

    def __init__(self, path: Path, engine: sa_asyncio.AsyncEngine) -> None:
        self._path = path
        self._engine = engine

    @classmethod
    async def open(cls, path: Path, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> Self:
        """Open for writing, making file and tables where there are none.

        Raises StoreTooNew, StoreUnavailable.
        """
        try:
            await asyncio.to_thread(_make_file, path)
        except OSError as error:
            raise errors.StoreUnavailable(path, error.strerror or str(error)) from error
        engine = _engine(path, "rw", busy_timeout_seconds)
        sa.event.listen(engine.sync_engine, "connect", _prepare_writer)
        await _prepare(path, engine, _create)
        return cls(path, engine)

    @classmethod
    async def open_readonly(
        cls, path: Path, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS
    ) -> Self:
        """Open for reading, beside a process that writes or without one.

        Raises StoreMissing, StoreTooNew, StoreUnavailable.
        """
        if not await asyncio.to_thread(path.exists):
            raise errors.StoreMissing(path)
        engine = _engine(path, "ro", busy_timeout_seconds)
        await _prepare(path, engine, _check)
        return cls(path, engine)

    async def close(self) -> None:
        """Close all connections. The store is of no use afterwards."""
        await self._engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def insert(self, records: Iterable[record.Record]) -> int:
        """Store records in one commit; gives how many were new, since ids are stored once."""
        return await self.insert_lines(record.Line(each, record.encode(each)) for each in records)

    async def insert_lines(self, lines: Iterable[record.Line]) -> int:
        """Store records as the very bytes that they came in; otherwise like ``insert``."""
        rows = [_row(line) for line in lines]
        if not rows:
            return 0
        return await _to_its_end(self._insert_rows(rows))

    async def query(self, wanted: Filter) -> list[record.Record]:
        """Give the records that match, newest first."""
        table = schema.records
        statement = (
            sa.select(table.c.id, table.c.record)
            .where(*_conditions(wanted))
            .order_by(table.c.time.desc(), table.c.id.desc())
            .limit(wanted.limit)
        )
        rows = await _to_its_end(self._select(statement))
        return [entry for row in rows if (entry := _read(row.id, row.record)) is not None]

    async def pages(self, wanted: Filter) -> AsyncGenerator[list[str], None]:
        """Give the records that match, newest first and page by page, as the JSON that is stored.

        What one page holds is read in one go, and nothing is kept open between two. A record that
        comes meanwhile is newer than the first page, and not given.
        """
        table = schema.records
        newest_first = (table.c.time.desc(), table.c.id.desc())
        statement = sa.select(table.c.id, table.c.time, table.c.record)
        statement = statement.where(*_conditions(wanted)).order_by(*newest_first)
        place = sa.tuple_(table.c.time, table.c.id)
        left = math.inf if wanted.limit is None else wanted.limit
        page = statement
        while left > 0:
            size = int(min(left, _PAGE_RECORDS))
            rows = await _to_its_end(self._select(page.limit(size)))
            yield [row.record for row in rows if _read(row.id, row.record) is not None]
            if len(rows) < size:
                return
            left -= size
            page = statement.where(place < sa.tuple_(rows[-1].time, rows[-1].id))

    async def counts_since(self, since: dt.datetime) -> dict[str, dict[str, int]]:
        """Count records by Guard and verdict since an aware moment. Dry runs do not count."""
        table = schema.records
        statement = (
            sa.select(table.c.guard, table.c.verdict, sa.func.count().label("number"))
            .where(table.c.time >= record.format_time(since), table.c.dry_run == sa.false())
            .group_by(table.c.guard, table.c.verdict)
        )
        counts: dict[str, dict[str, int]] = {}
        for row in await _to_its_end(self._select(statement)):
            counts.setdefault(row.guard, {})[row.verdict] = row.number
        return counts

    async def _insert_rows(self, rows: list[dict[str, Any]]) -> int:
        statement = sqlite.insert(schema.records).on_conflict_do_nothing()
        async with _translated(self._path), self._engine.begin() as connection:
            result = await connection.execute(
                statement.execution_options(preserve_rowcount=True), rows
            )
        return result.rowcount

    async def _select(self, statement: sa.Select[*tuple[Any, ...]]) -> Sequence[sa.Row[Any]]:
        async with _translated(self._path), self._engine.connect() as connection:
            return (await connection.execute(statement)).all()


async def _to_its_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Await ``work`` so that a cancelled caller still waits for its end: it takes seconds at most.

    A statement that is abandoned goes on in aiosqlite's thread, outside any transaction that
    somebody will end, and its connection keeps the database locked until it is collected.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    finally:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # Looked at, or the loop would report it as forgotten.


@contextlib.asynccontextmanager
async def _translated(path: Path) -> AsyncIterator[None]:
    """Turn every error of the database into StoreUnavailable, with SQLite's words only."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise errors.StoreUnavailable(path, str(error.orig)) from error
    except sqlite3.Error as error:
        raise errors.StoreUnavailable(path, str(error)) from error
    except sa.exc.SQLAlchemyError as error:
        raise errors.StoreUnavailable(path, type(error).__name__) from error


def _make_file(path: Path) -> None:
    """Make an empty file where there is none. SQLite would make it readable to all.

    The files of its write-ahead log take over the mode.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)


def _engine(path: Path, mode: str, busy_timeout_seconds: float) -> sa_asyncio.AsyncEngine:
    url = sa.URL.create(
        "sqlite+aiosqlite",
        database=f"file:{urllib.parse.quote(str(path))}",
        query={"mode": mode, "uri": "true"},
    )
    # hide_parameters: errors and their tracebacks would quote whole records.
    return sa_asyncio.create_async_engine(
        url, connect_args={"timeout": busy_timeout_seconds}, hide_parameters=True
    )


async def _prepare(
    path: Path,
    engine: sa_asyncio.AsyncEngine,
    preparation: Callable[[sa.Connection, Path], object],
) -> None:
    """Run ``preparation`` on a first connection; if it fails, leave no connection behind."""
    try:
        async with _translated(path), engine.begin() as connection:
            await connection.run_sync(preparation, path)
    except BaseException:
        await engine.dispose()
        raise


def _prepare_writer(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _check(connection: sa.Connection, path: Path) -> int:
    """Give the schema version of the store. Raises StoreTooNew."""
    found = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if found > schema.VERSION:
        raise errors.StoreTooNew(path, found=found, known=schema.VERSION)
    return found


def _create(connection: sa.Connection, path: Path) -> None:
    """Make the tables of a new store. Two processes that start at once wait for each other."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    if _check(connection, path) < schema.VERSION:
        schema.metadata.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")


def _row(line: record.Line) -> dict[str, Any]:
    entry = line.record
    return {
        "id": entry.id,
        "time": entry.time,
        "guard": entry.guard,
        "verdict": str(entry.verdict),
        "outcome": str(entry.outcome),
        "operation": entry.operation,
        "user": entry.user,
        "kind": entry.object.kind,
        "namespace": entry.object.namespace,
        "name": entry.object.name,
        "uid": entry.object.uid,
        "dry_run": entry.dry_run,
        "record": line.data.decode(errors="replace"),
    }


def _conditions(wanted: Filter) -> Iterable[sa.ColumnElement[bool]]:
    columns = schema.records.c
    if wanted.object:
        kind, _, name = wanted.object.rpartition("/")
        yield columns.name == name
        if kind:
            yield sa.func.lower(columns.kind) == kind.lower()
    if wanted.namespace:
        yield columns.namespace == wanted.namespace
    if wanted.user:
        yield columns.user == wanted.user
    if wanted.verdicts:
        yield columns.verdict.in_([str(verdict) for verdict in wanted.verdicts])
    if wanted.guard:
        yield columns.guard == wanted.guard
    if wanted.since is not None:
        yield columns.time >= record.format_time(wanted.since)
    if wanted.until is not None:
        yield columns.time < record.format_time(wanted.until)


def _read(identity: str, text: str) -> record.Record | None:
    """Read a stored record; one that is damaged is logged, and the others are still shown."""
    try:
        return record.decode(text.encode())
    except errors.UnreadableRecord:
        _log.exception("a stored audit record cannot be read", id=identity)
        return None

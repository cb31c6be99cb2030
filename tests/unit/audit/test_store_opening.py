"""Opening a store: new, old, foreign, missing, read-only, in use."""

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from guard.audit import errors, record, schema, store

MakeRecord = Callable[..., record.Record]


async def test_a_new_store_is_for_its_owner_alone(tmp_path: Path, make_record: MakeRecord) -> None:
    """Who may read the audit log is not left to the umask, for the write-ahead log neither."""
    path = tmp_path / "state" / "audit.db"
    async with await store.Store.open(path) as opened:
        await opened.insert([make_record()])
        modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}

    assert modes == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_store_survives_reopening(tmp_path: Path, make_record: MakeRecord) -> None:
    """Opening a store that exists changes nothing in it."""
    path = tmp_path / "a folder?with#odd%20characters" / "audit.db"
    written = make_record()
    async with await store.Store.open(path) as opened:
        await opened.insert([written])
    async with await store.Store.open(path) as opened:
        assert await opened.query(store.Filter()) == [written]


async def test_commits_reach_the_disk_before_they_return(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    """The spool forgets what a commit has taken, so NORMAL would lose it with the power."""
    seen: set[tuple[str, int]] = set()

    def look(connection: sa.Connection) -> None:
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        seen.add((journal, connection.exec_driver_sql("PRAGMA synchronous").scalar_one()))

    async with await store.Store.open(tmp_path / "audit.db") as opened:
        sa.event.listen(sa.Engine, "commit", look)
        try:
            await opened.insert([make_record()])
        finally:
            sa.event.remove(sa.Engine, "commit", look)

    assert seen == {("wal", 2)}  # 2 is FULL.


async def test_a_reader_works_beside_the_writer(tmp_path: Path, make_record: MakeRecord) -> None:
    """The CLI sees each commit while the guard process goes on writing."""
    path = tmp_path / "audit.db"
    first, second = make_record(), make_record()
    async with await store.Store.open(path) as writer:
        await writer.insert([first])
        async with await store.Store.open_readonly(path) as reader:
            assert await reader.query(store.Filter()) == [first]
            await writer.insert([second])
            assert await reader.query(store.Filter()) == [second, first]


async def test_a_reader_works_without_the_writer(tmp_path: Path, make_record: MakeRecord) -> None:
    """The log can be read while the guard process is away."""
    path = tmp_path / "audit.db"
    written = make_record()
    async with await store.Store.open(path) as writer:
        await writer.insert([written])
    async with await store.Store.open_readonly(path) as reader:
        assert await reader.query(store.Filter()) == [written]


async def test_a_reader_cannot_write(tmp_path: Path, make_record: MakeRecord) -> None:
    """Read-only is SQLite's promise, not only ours."""
    path = tmp_path / "audit.db"
    await (await store.Store.open(path)).close()
    async with await store.Store.open_readonly(path) as reader:
        with pytest.raises(errors.StoreUnavailable, match="readonly"):
            await reader.insert([make_record()])


async def test_a_missing_store_is_named_and_not_made(tmp_path: Path) -> None:
    """Looking must not leave an empty database behind, which would read as *nothing happened*."""
    path = tmp_path / "audit.db"
    with pytest.raises(errors.StoreMissing, match=r"there is no audit store at .*audit\.db"):
        await store.Store.open_readonly(path)

    assert not path.exists()


@pytest.mark.parametrize("opening", [store.Store.open, store.Store.open_readonly])
async def test_a_newer_store_is_refused(
    tmp_path: Path, opening: Callable[..., object], make_record: MakeRecord
) -> None:
    """An older program after a rollback says so, rather than writing what the newer misreads."""
    path = tmp_path / "audit.db"
    async with await store.Store.open(path) as opened:
        await opened.insert([make_record()])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")

    with pytest.raises(errors.StoreTooNew, match="newer Holdfast"):
        await opening(path)


@pytest.mark.parametrize("opening", [store.Store.open, store.Store.open_readonly])
async def test_a_file_that_is_no_database_is_refused(
    tmp_path: Path, opening: Callable[..., object]
) -> None:
    """And it is left as it was: it may be somebody's file."""
    path = tmp_path / "audit.db"
    path.write_text("shopping list\n" * 100)
    with pytest.raises(errors.StoreUnavailable, match="not a database"):
        await opening(path)

    assert path.read_text() == "shopping list\n" * 100


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in the way of the state folder is an error with a path in it."""
    (tmp_path / "state").write_text("")
    with pytest.raises(errors.StoreUnavailable, match=r"state/audit\.db"):
        await store.Store.open(tmp_path / "state" / "audit.db")


async def test_a_locked_store_is_unavailable_and_its_error_quotes_no_record(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    """An error of the database, cause included, never carries what was to be written."""
    path = tmp_path / "audit.db"
    async with await store.Store.open(path, busy_timeout_seconds=0.01) as opened:
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(errors.StoreUnavailable, match="locked") as caught:
                await opened.insert([make_record(user="marker-of-alice")])

    assert "marker-of-alice" not in str(caught.value)
    assert "marker-of-alice" not in str(caught.value.__cause__)


async def test_opening_a_locked_new_store_is_unavailable(tmp_path: Path) -> None:
    """Two processes that start at once: the second waits, then says why it cannot."""
    path = tmp_path / "audit.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(errors.StoreUnavailable, match="locked"):
            await store.Store.open(path, busy_timeout_seconds=0.01)

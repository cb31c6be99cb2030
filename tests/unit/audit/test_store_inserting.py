"""Putting records into the store."""

from collections.abc import Callable
from pathlib import Path

from guard.audit import record, store

MakeRecord = Callable[..., record.Record]


async def test_what_is_inserted_comes_back_whole(tmp_path: Path, make_record: MakeRecord) -> None:
    """Every field of a record survives the store."""
    written = make_record(
        groups=("dev", "system:authenticated"),
        extra={"scopes": ("a", "b")},
        changes=(record.FieldChange(path="spec.replicas", kind="changed", old=3, new=5, source=3),),
        dry_run=True,
        duration_ms=2.5,
    )
    async with await store.Store.open(tmp_path / "audit.db") as opened:
        assert await opened.insert([written]) == 1
        assert await opened.query(store.Filter()) == [written]


async def test_a_record_is_stored_once_however_often_it_is_inserted(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    """The spool may hand out a record twice; the store counts only the new ones."""
    first, second = make_record(), make_record()
    async with await store.Store.open(tmp_path / "audit.db") as opened:
        assert await opened.insert([first]) == 1
        assert await opened.insert([first, second, second]) == 1
        assert await opened.query(store.Filter()) == [second, first]


async def test_inserting_nothing_is_fine(tmp_path: Path) -> None:
    """An empty batch costs no commit and no error."""
    async with await store.Store.open(tmp_path / "audit.db") as opened:
        assert await opened.insert([]) == 0


async def test_fields_of_a_newer_writer_are_kept(tmp_path: Path, make_record: MakeRecord) -> None:
    """The bytes are stored as they came, so that a later version still finds what this ignores."""
    data = record.encode(make_record())[:-1] + b',"anchor":"abc"}'
    path = tmp_path / "audit.db"
    async with await store.Store.open(path) as opened:
        await opened.insert_lines([record.Line(record.decode(data), data)])

    assert b'"anchor":"abc"' in path.read_bytes() + _log_of(path)


async def test_hostile_text_is_data(tmp_path: Path, make_record: MakeRecord) -> None:
    """Quotes, NULs and wildcards in names neither break a statement nor match anything else."""
    name = "x'; DROP TABLE records; -- %\x00"
    written = make_record(user=name)
    async with await store.Store.open(tmp_path / "audit.db") as opened:
        await opened.insert([written, make_record()])
        assert await opened.query(store.Filter(user=name)) == [written]
        assert await opened.query(store.Filter(user="%")) == []


def _log_of(path: Path) -> bytes:
    log = path.with_name(path.name + "-wal")
    return log.read_bytes() if log.exists() else b""

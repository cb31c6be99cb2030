"""The reading end of the spool."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guard.audit import framing, reader, record, spool

MakeRecord = Callable[..., record.Record]


def _write(root: Path, *records: record.Record, writer: str = "webhook-1", **options: Any) -> None:
    """Leave records as a writer does that has gone."""
    with spool.Spool(root, writer=writer, **options) as opened:
        for each in records:
            opened.append(each)


def _records(batch: reader.Batch) -> list[record.Record]:
    return [line.record for line in batch.lines]


def _files(root: Path) -> list[str]:
    return sorted(str(each.relative_to(root)) for each in root.rglob("*") if each.is_file())


def _segment(root: Path, writer: str = "webhook-1") -> Path:
    (path,) = (root / writer).glob("*.log")
    return path


def test_a_root_that_is_not_there_yet_is_empty(root: Path, logged: list[Any]) -> None:
    """The guard process may start before the first webhook; that is no trouble."""
    found = reader.Reader(root)

    assert not found.read()
    assert found.pending() == 0
    assert logged == []


def test_without_acknowledgement_the_same_comes_again(root: Path, make_record: MakeRecord) -> None:
    """Reading is no promise; only what is stored is behind us."""
    written = make_record()
    _write(root, written)
    found = reader.Reader(root)

    assert _records(found.read()) == [written]
    assert _records(found.read()) == [written]
    assert _records(reader.Reader(root).read()) == [written]


def test_what_is_acknowledged_does_not_come_again(root: Path, make_record: MakeRecord) -> None:
    """Not after a restart of the reader either."""
    with spool.Spool(root, writer="webhook-1") as opened:
        first, second = make_record(), make_record()
        opened.append(first)
        found = reader.Reader(root)
        found.acknowledge(found.read())
        opened.append(second)

        assert _records(found.read()) == [second]
        assert _records(reader.Reader(root).read()) == [second]


def test_new_writers_are_found_while_reading(root: Path, make_record: MakeRecord) -> None:
    """A webhook that comes later needs no restart of the guard process."""
    found = reader.Reader(root)
    assert not found.read()
    written = make_record()
    _write(root, written, writer="webhook-2")

    assert _records(found.read()) == [written]


def test_what_a_dead_writer_left_is_deleted_once_it_is_stored(
    root: Path, make_record: MakeRecord
) -> None:
    """Pods come and go; their folders must not pile up."""
    _write(root, make_record(), make_record(), make_record(), max_segment_bytes=500)
    found = reader.Reader(root)
    batch = found.read()
    assert len(_files(root)) == 3

    found.acknowledge(batch)
    found.tidy()

    assert list(root.iterdir()) == []


def test_the_segment_of_a_living_writer_stays(root: Path, make_record: MakeRecord) -> None:
    """Even if all of it is stored: the next record goes there."""
    with spool.Spool(root, writer="webhook-1", max_segment_bytes=500) as opened:
        opened.append(make_record())
        opened.append(make_record())
        found = reader.Reader(root)
        found.acknowledge(found.read())
        found.tidy()
        assert len(list((root / "webhook-1").glob("*.log"))) == 1
        written = make_record()
        opened.append(written)

        assert _records(found.read()) == [written]


def test_an_unfinished_line_of_a_living_writer_is_waited_for(
    root: Path, make_record: MakeRecord, logged: list[Any]
) -> None:
    """It is not torn, it is on its way."""
    first, second = make_record(), make_record()
    line = framing.frame(second)
    with spool.Spool(root, writer="webhook-1") as opened:
        opened.append(first)
        with _segment(root).open("ab", buffering=0) as file:
            file.write(line[:50])
            found = reader.Reader(root)
            batch = found.read()
            assert _records(batch) == [first]
            found.acknowledge(batch)
            assert not found.read()
            file.write(line[50:])

        assert _records(found.read()) == [second]
    assert logged == []


def test_a_torn_last_line_of_a_dead_writer_is_set_aside(
    root: Path, make_record: MakeRecord, logged: list[Any]
) -> None:
    """It was never answered for; the rest is stored and the segment goes."""
    written = make_record()
    _write(root, written)
    with _segment(root).open("ab") as file:
        file.write(framing.frame(make_record())[:-1])
    segment = _segment(root)
    size = segment.stat().st_size
    found = reader.Reader(root)
    batch = found.read()
    found.acknowledge(batch)
    found.tidy()

    assert _records(batch) == [written]
    assert found.rejected == 1
    assert [(entry["file"], entry["why"]) for entry in logged] == [
        (str(segment), "its writer died before it was whole")
    ]
    assert logged[0]["offset"] + logged[0]["length_bytes"] == size
    assert [Path(each).parent.name for each in _files(root)] == [".rejected"]


GARBAGE = [
    b"\n",
    b"garbage\n",
    b"\x00" * 4096 + b"\n",
    b"00000000 {}\n",
    b"a3830e2f5 {}\n",
    b"99914b93 {}\n",  # The right checksum of what is no record.
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_broken_line_is_set_aside_and_does_not_block_the_others(
    root: Path, make_record: MakeRecord, logged: list[Any], garbage: bytes
) -> None:
    """It is counted, logged with file and offset, and its bytes are kept as evidence."""
    before, after = make_record(), make_record()
    _write(root, before)
    with _segment(root).open("ab") as file:
        file.write(garbage + framing.frame(after))
    segment = _segment(root)
    found = reader.Reader(root)
    batch = found.read()
    assert found.rejected == 0
    found.acknowledge(batch)

    assert _records(batch) == [before, after]
    assert found.rejected == 1
    assert [(entry["file"], entry["offset"]) for entry in logged] == [
        (str(segment), len(framing.frame(before)))
    ]
    assert [each.read_bytes() for each in (root / ".rejected").iterdir()] == [garbage]
    assert not found.read()


def test_a_flipped_bit_is_noticed(root: Path, make_record: MakeRecord) -> None:
    """A record that the disk changed is not shown as if somebody had done that."""
    _write(root, make_record(user="alice"))
    segment = _segment(root)
    segment.write_bytes(segment.read_bytes().replace(b'"alice"', b'"alicd"'))
    found = reader.Reader(root)
    found.acknowledge(found.read())

    assert found.rejected == 1


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema":1,"offsets":{}}', b'{"offsets":3}'])
def test_a_lost_or_torn_position_makes_records_come_again(
    root: Path, make_record: MakeRecord, content: bytes
) -> None:
    """Again is fine, since the store knows their ids; skipped would be a loss."""
    written = make_record()
    with spool.Spool(root, writer="webhook-1") as opened:
        opened.append(written)
        found = reader.Reader(root)
        found.acknowledge(found.read())
        (root / "webhook-1" / "position").write_bytes(content)

        assert _records(reader.Reader(root).read()) == [written]


def test_a_position_of_a_newer_version_is_understood(root: Path, make_record: MakeRecord) -> None:
    """Fields that this version does not know are passed over."""
    first, second = make_record(), make_record()
    _write(root, first, second)
    name = _segment(root).name
    offset = len(framing.frame(first))
    (root / "webhook-1" / "position").write_text(
        f'{{"schema":2,"offsets":{{"{name}":{offset}}},"seal":"00"}}'
    )

    assert _records(reader.Reader(root).read()) == [second]


def test_a_batch_ends_at_its_limit_and_says_so(root: Path, make_record: MakeRecord) -> None:
    """A long backlog comes in pieces, in order."""
    written = [make_record() for _ in range(5)]
    _write(root, *written, max_segment_bytes=1_000)
    found = reader.Reader(root)
    pieces = []
    more = True
    while more:
        batch = found.read(max_records=2)
        found.acknowledge(batch)
        pieces.append(len(batch.lines))
        more = batch.more

    assert pieces == [2, 2, 1]
    assert found.pending() == 0


def test_a_batch_of_large_records_ends_early(root: Path, make_record: MakeRecord) -> None:
    """500 records of large objects at once would not fit a small pod."""
    written = [make_record(message="x" * 3_000_000) for _ in range(4)]
    _write(root, *written)
    found = reader.Reader(root)
    batch = found.read()
    assert (len(batch.lines), batch.more) == (3, True)
    found.acknowledge(batch)

    assert _records(found.read()) == written[3:]


def test_a_long_backlog_does_not_starve_the_other_writers(
    root: Path, make_record: MakeRecord
) -> None:
    """Each has its turn."""
    _write(root, *(make_record() for _ in range(20)), writer="busy")
    quiet = make_record()
    _write(root, quiet, writer="quiet")
    found = reader.Reader(root)
    seen: list[record.Record] = []
    for _ in range(2):
        batch = found.read(max_records=3)
        found.acknowledge(batch)
        seen += _records(batch)

    assert quiet in seen


def test_pending_counts_what_is_not_stored(root: Path, make_record: MakeRecord) -> None:
    """Another process, such as the CLI, counts the same from the position files."""
    with spool.Spool(root, writer="webhook-1") as opened:
        opened.append(make_record())
        found = reader.Reader(root)
        found.acknowledge(found.read())
        opened.append(make_record())
        opened.append(make_record())

        assert found.pending() == 2
        assert reader.Reader(root).pending() == 2


def test_a_segment_that_cannot_be_read_does_not_stop_the_others(
    root: Path, make_record: MakeRecord, logged: list[Any]
) -> None:
    """And it is logged once, not twenty times a second."""
    written = make_record()
    _write(root, written)
    (root / "webhook-1" / "0000.log").mkdir()
    found = reader.Reader(root)

    for _ in range(3):
        assert _records(found.read()) == [written]
    assert [entry["file"] for entry in logged] == [str(root / "webhook-1" / "0000.log")]


def test_strange_files_are_left_alone(root: Path, make_record: MakeRecord) -> None:
    """Only segments are read and deleted; a link to elsewhere is no writer."""
    _write(root, make_record())
    (root / "notes.txt").write_text("mine")
    (root / "webhook-1" / "notes.txt").write_text("mine")
    (root / "elsewhere").symlink_to(root / "webhook-1")
    found = reader.Reader(root)
    found.acknowledge(found.read())
    found.tidy()

    assert {"notes.txt", "webhook-1/notes.txt"} <= set(_files(root))


def test_a_position_that_cannot_be_written_loses_nothing(
    root: Path, make_record: MakeRecord, logged: list[Any]
) -> None:
    """On a full disk the drained segments must still go: that is what makes room."""
    with spool.Spool(root, writer="webhook-1") as opened:
        opened.append(make_record())
        (root / "webhook-1" / "position").mkdir()
        found = reader.Reader(root)
        found.acknowledge(found.read())
        assert not found.read()
    found.tidy()

    assert list((root / "webhook-1").glob("*.log")) == []
    assert len(logged) == 1

"""The writing end of the spool."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guard.audit import errors, reader, record, spool

MakeRecord = Callable[..., record.Record]


def _drained(root: Path) -> list[record.Record]:
    return [line.record for line in reader.Reader(root).read().lines]


def test_what_is_appended_can_be_read_at_once(root: Path, make_record: MakeRecord) -> None:
    """In the order of the appends, while the writer still lives."""
    written = [make_record() for _ in range(3)]
    with spool.Spool(root, writer="webhook-1") as opened:
        for each in written:
            opened.append(each)
        assert _drained(root) == written


def test_the_spool_is_for_its_owner_alone(root: Path, make_record: MakeRecord) -> None:
    """Records say who did what; the umask has no say in who reads them."""
    before = os.umask(0)
    try:
        with spool.Spool(root, writer="webhook-1") as opened:
            opened.append(make_record())
    finally:
        os.umask(before)
    folder = root / "webhook-1"

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()] == [0o600]


def test_one_append_is_one_write(root: Path, make_record: MakeRecord) -> None:
    """So that there is no moment at which half a record is all that a kill leaves."""
    calls: list[bytes] = []

    def write(descriptor: int, data: bytes) -> int:
        calls.append(data)
        return os.write(descriptor, data)

    with spool.Spool(root, writer="webhook-1", write=write) as opened:
        opened.append(make_record())

    assert [(call.count(b"\n"), call[-1:]) for call in calls] == [(1, b"\n")]


def test_a_full_segment_is_followed_by_another(root: Path, make_record: MakeRecord) -> None:
    """Segments stay small, and what is larger than one has one for itself."""
    written = [make_record(), make_record(message="x" * 4_000), make_record(), make_record()]
    with spool.Spool(root, writer="webhook-1", max_segment_bytes=2_000) as opened:
        for each in written:
            opened.append(each)
        sizes = [each.stat().st_size for each in sorted((root / "webhook-1").iterdir())]
        assert _drained(root) == written

    assert len(sizes) == 3
    assert sizes[1] > 4_000


def test_a_writer_that_returns_begins_a_new_segment(root: Path, make_record: MakeRecord) -> None:
    """Nothing is ever appended behind what a dead process may have left torn."""
    written = [make_record(), make_record()]
    for each in written:
        with spool.Spool(root, writer="webhook-1") as opened:
            opened.append(each)

    assert len(list((root / "webhook-1").iterdir())) == 2
    assert _drained(root) == written


def test_two_processes_of_one_name_do_not_harm_each_other(
    root: Path, make_record: MakeRecord
) -> None:
    """A pod that is slow to die and its successor may meet."""
    with spool.Spool(root, writer="w") as old, spool.Spool(root, writer="w") as new:
        written = [make_record() for _ in range(4)]
        for index, each in enumerate(written):
            (old if index % 2 else new).append(each)
        assert sorted(_drained(root), key=lambda each: each.id) == written


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_without_room_nothing_of_a_record_stays_and_the_next_is_whole(
    root: Path, make_record: MakeRecord, code: int
) -> None:
    """A disk that fills takes half a line; half a line must not spoil the next one."""
    room_bytes = 900

    def write(descriptor: int, data: bytes) -> int:
        free_bytes = room_bytes - os.fstat(descriptor).st_size
        if free_bytes <= 0:
            raise OSError(code, os.strerror(code))
        return os.write(descriptor, data[:free_bytes])

    first, lost, second = make_record(), make_record(), make_record()
    with spool.Spool(root, writer="webhook-1", write=write) as opened:
        opened.append(first)
        with pytest.raises(errors.SpoolFull, match=str(root / "webhook-1")):
            opened.append(lost)
        assert _drained(root) == [first]
        room_bytes = 100_000
        opened.append(second)
        assert _drained(root) == [first, second]

    assert reader.Reader(root).read().lines[-1].record == second


def test_another_failure_is_not_called_full(root: Path, make_record: MakeRecord) -> None:
    """A person must not look for space where the disk is broken."""

    def write(_: int, __: bytes) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with (
        spool.Spool(root, writer="webhook-1", write=write) as opened,
        pytest.raises(errors.SpoolUnwritable, match="Input/output error") as caught,
    ):
        opened.append(make_record())

    assert not isinstance(caught.value, errors.SpoolFull)


def test_a_torn_line_that_cannot_be_cut_off_is_left_behind(
    root: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    """Then the next record goes to a new segment: behind a torn one it would be unreadable."""
    failing = True

    def write(descriptor: int, data: bytes) -> int:
        if not failing:
            return os.write(descriptor, data)
        if os.fstat(descriptor).st_size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.write(descriptor, data[:10])

    def refuse(_: int, __: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    written = make_record()
    with spool.Spool(root, writer="webhook-1", write=write) as opened:
        with monkeypatch.context() as patched:
            patched.setattr(os, "ftruncate", refuse)
            with pytest.raises(errors.SpoolUnwritable):
                opened.append(make_record())
        failing = False
        opened.append(written)

        assert _drained(root) == [written]
    assert [entry["log_level"] for entry in logged] == ["error"]


def test_a_cleared_folder_is_made_again(root: Path, make_record: MakeRecord) -> None:
    """A record must not vanish into a file that has no name any more."""
    written = make_record()
    with spool.Spool(root, writer="webhook-1") as opened:
        opened.append(make_record())
        for each in (root / "webhook-1").iterdir():
            each.unlink()
        (root / "webhook-1").rmdir()
        opened.append(written)
        assert _drained(root) == [written]


def test_fsync_is_asked_for_after_each_record(
    root: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the option is on, an answer means that the disk has the record."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    with spool.Spool(root, writer="webhook-1", fsync=True) as opened:
        opened.append(make_record())
        opened.append(make_record())

    assert len(synced) == 2


def test_a_failed_fsync_is_an_error_and_ends_the_segment(
    root: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line may be read already, so it stays; the next goes where the disk may be better."""

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    doubtful, good = make_record(), make_record()
    with spool.Spool(root, writer="webhook-1", fsync=True) as opened:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", refuse)
            with pytest.raises(errors.SpoolUnwritable):
                opened.append(doubtful)
        opened.append(good)
        assert _drained(root) == [doubtful, good]

        assert len(list((root / "webhook-1").iterdir())) == 2


def test_an_unwritable_record_leaves_no_trace(root: Path, make_record: MakeRecord) -> None:
    """It is refused before a byte is written."""
    change = record.FieldChange(path="a", kind="changed", new=object())
    with spool.Spool(root, writer="webhook-1") as opened:
        with pytest.raises(errors.UnwritableRecord):
            opened.append(make_record(changes=(change,)))
        assert [each.stat().st_size for each in (root / "webhook-1").iterdir()] == [0]


def test_a_closed_spool_takes_nothing(root: Path, make_record: MakeRecord) -> None:
    """Closing twice is fine, writing afterwards is an error and no silent loss."""
    opened = spool.Spool(root, writer="webhook-1")
    opened.close()
    opened.close()
    with pytest.raises(errors.SpoolUnwritable, match="closed"):
        opened.append(make_record())


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".rejected", "-x", "a\n"])
def test_a_writer_cannot_leave_the_root(root: Path, name: str) -> None:
    """Names come from pods and hosts."""
    with pytest.raises(errors.SpoolUnwritable):
        spool.Spool(root, writer=name)

    assert not root.exists()


def test_a_root_that_cannot_be_made_is_named(root: Path) -> None:
    """The process learns at its start that it could not record, not at the first edit."""
    root.parent.mkdir(parents=True)
    root.write_text("")
    with pytest.raises(errors.SpoolUnwritable, match=str(root)):
        spool.Spool(root, writer="webhook-1")

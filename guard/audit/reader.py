"""The reading end of the spool: hands out records in batches, and forgets one once it is stored.

How far each segment is stored stands in the writer's ``position`` file, written after the store
has committed. It is a hint that saves work, no more: a position that is lost, torn or old makes
records be read again, and the store knows their ids. What must never happen is a position *ahead*
of the store; so it is written last, and names of segments are never used twice.
"""

import contextlib
import dataclasses
import math
import os
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import structlog

from guard.audit import framing, record, segments, spool

POSITION_FILE: Final = "position"
REJECTED_FOLDER: Final = ".rejected"

MAX_RECORDS: Final = 500
"""Per batch. One commit for so many is 90 times quicker than one for each."""

_MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
"""A batch ends with the line that reaches this: records of large objects are large."""

_MAX_NAME_CHARACTERS: Final = 200
"""Of a record's id in a file name; file systems allow 255."""

_log = structlog.get_logger(__name__)


class _Position(msgspec.Struct, frozen=True):
    """The content of a position file: stored bytes of each segment, by file name."""

    schema: int
    offsets: dict[str, int]


@dataclasses.dataclass(frozen=True, slots=True)
class _Part:
    """What a batch took from one segment."""

    writer: str
    segment: str
    taken: segments.Taken


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Records to be stored together, each writer's in order. Falsy if there is nothing to do."""

    parts: tuple[_Part, ...]
    more: bool
    """Whether a limit ended it, so that the next is worth reading at once."""

    @property
    def lines(self) -> list[record.Line]:
        """The records, each with the bytes that are to be stored."""
        return [line for part in self.parts for line in part.taken.lines]

    def __bool__(self) -> bool:
        return bool(self.parts)


class Reader:
    """Reads every writer's segments below ``root``, which need not exist yet. Thread-safe.

    ``rejected`` counts the stretches of bytes that were no record since this reader was made.
    """

    def __init__(self, root: Path) -> None:
        self.rejected = 0
        self._root = root
        self._offsets: dict[str, dict[str, int]] = {}
        self._turn = 0
        self._troubled: set[Path] = set()
        self._lock = threading.Lock()

    def read(self, max_records: int = MAX_RECORDS) -> Batch:
        """Give the next records, at most ``max_records``; deletes what is stored on its way.

        Nothing is marked as read: without ``acknowledge`` the next call gives the same again.
        A segment that cannot be read is logged and passed over; it never stops the others.
        """
        with self._lock:
            parts: list[_Part] = []
            records_left, bytes_left = max_records, _MAX_BATCH_BYTES
            for writer, segment, offset in self._unread():
                path = self._root / writer / segment
                with self._troubles(path):
                    taken = segments.take(
                        path, offset, max_records=records_left, max_bytes=bytes_left
                    )
                    if taken.end > offset:
                        parts.append(_Part(writer, segment, taken))
                    records_left -= len(taken.lines)
                    bytes_left -= taken.end - offset
                if records_left <= 0 or bytes_left <= 0:
                    return Batch(tuple(parts), more=True)
            return Batch(tuple(parts), more=False)

    def acknowledge(self, batch: Batch) -> None:
        """Note that the records of ``batch`` are stored for good."""
        with self._lock:
            for part in batch.parts:
                for rejected in part.taken.rejected:
                    self._set_aside(part, rejected)
                self._known(part.writer)[part.segment] = part.taken.end
            for writer in {part.writer for part in batch.parts}:
                self._save_position(writer)

    def refuse(self, line: record.Line, why: str) -> None:
        """Set aside a record that is whole, but which the store's keeper will never take.

        To be called before ``acknowledge``, which forgets it.
        """
        with self._lock:
            self.rejected += 1
            _log.error(
                "an audit record is refused",
                id=line.record.id,
                about=line.record.object.title,
                why=why,
            )
            # The id is the writer's word: it must name a file, and none elsewhere.
            name = urllib.parse.quote(line.record.id, safe="")[:_MAX_NAME_CHARACTERS]
            self._keep(f"refused-{name}", framing.line_of(line.data))

    def tidy(self) -> None:
        """Delete what ``read`` would delete on its way; for the end, when no other read follows."""
        with self._lock:
            for _ in range(2):  # First the segments, then the folders that are empty for it.
                for _ in self._unread():
                    pass

    def pending(self) -> int:
        """Count the lines that are not known to be stored. Reads them all."""
        total = 0
        with self._lock:
            for writer in self._writers():
                for segment, offset in self._segments(writer) or ():
                    path = self._root / writer / segment
                    with self._troubles(path):
                        total += segments.count_lines(path, offset)
        return total

    def pending_bytes(self) -> int:
        """Give the size of what is not known to be stored; reads nothing of it."""
        with self._lock:
            sizes = [
                _size_bytes(self._root / writer / segment) - offset
                for writer in self._writers()
                for segment, offset in self._segments(writer) or ()
            ]
        return sum(int(size) for size in sizes if 0 < size < math.inf)

    def _writers(self) -> list[str]:
        """Give the writers. Another one is first each time: no backlog starves the others."""
        entries = self._scan(self._root) or ()
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        self._turn = (self._turn + 1) % max(len(names), 1)
        return names[self._turn :] + names[: self._turn]

    def _segments(self, writer: str) -> list[tuple[str, int]] | None:
        """Give the segments of a writer, oldest first, each with its stored offset."""
        entries = self._scan(self._root / writer)
        if entries is None:
            return None
        names = sorted(entry.name for entry in entries if entry.name.endswith(spool.SEGMENT_SUFFIX))
        known = self._known(writer)
        for gone in known.keys() - set(names):
            del known[gone]
        return [(name, known.get(name, 0)) for name in names]

    def _unread(self) -> Iterator[tuple[str, str, int]]:
        """Give writer, segment and offset of what is not stored; delete what is, on the way."""
        for writer in self._writers():
            found = self._segments(writer)
            if found is None:
                continue
            if not found:  # A living writer always has a segment.
                self._remove_folder(writer)
            for segment, offset in found:
                path = self._root / writer / segment
                if _size_bytes(path) > offset:
                    yield writer, segment, offset
                    continue
                with self._troubles(path):
                    segments.delete_if_stored(path, offset)

    def _scan(self, folder: Path) -> list[os.DirEntry[str]] | None:
        """Give the entries of a folder, hidden ones left out; None if it cannot be read."""
        try:
            with os.scandir(folder) as entries:
                found = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            self._note(folder, error)
            return None
        self._note(folder, None)
        return found

    def _known(self, writer: str) -> dict[str, int]:
        """Give the offsets of a writer's segments: those of its file at first, then ours."""
        if writer not in self._offsets:
            path = self._root / writer / POSITION_FILE
            try:
                self._offsets[writer] = msgspec.json.decode(
                    path.read_bytes(), type=_Position
                ).offsets
            except (OSError, msgspec.DecodeError):
                self._offsets[writer] = {}  # Missing or torn: what is there is read again.
        return self._offsets[writer]

    def _save_position(self, writer: str) -> None:
        """Replace the position file in one step. Failing is no loss: see the module's text."""
        path = self._root / writer / POSITION_FILE
        fresh = path.with_suffix(".new")
        with self._troubles(path):
            fresh.write_bytes(msgspec.json.encode(_Position(1, self._known(writer))))
            fresh.replace(path)

    def _set_aside(self, part: _Part, rejected: segments.Rejected) -> None:
        """Count and log bytes that are no record, and keep them: they may be evidence."""
        self.rejected += 1
        _log.error(
            "bytes in the audit spool are no record",
            file=str(self._root / part.writer / part.segment),
            offset=rejected.offset,
            length_bytes=len(rejected.data),
            why=rejected.why,
        )
        self._keep(f"{part.writer}-{part.segment}-{rejected.offset}", rejected.data)

    def _keep(self, name: str, data: bytes) -> None:
        folder = self._root / REJECTED_FOLDER
        with self._troubles(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            (folder / name).write_bytes(data)

    def _remove_folder(self, writer: str) -> None:
        """Remove the folder of a writer that left nothing; of one that starts just now it stays."""
        folder = self._root / writer
        self._offsets.pop(writer, None)
        with contextlib.suppress(OSError):  # Not empty after all, or gone: both are fine.
            folder.joinpath(POSITION_FILE).unlink(missing_ok=True)
            folder.rmdir()

    @contextlib.contextmanager
    def _troubles(self, path: Path) -> Iterator[None]:
        """Pass over what fails on ``path``, noting it."""
        try:
            yield
        except OSError as error:
            self._note(path, error)
        else:
            self._note(path, None)

    def _note(self, path: Path, error: OSError | None) -> None:
        """Log a path that fails once, when it begins to, not twenty times a second.

        What is not there is no trouble: the root before the first writer, or a segment that
        another guard process, on its way out, has tidied up.
        """
        if error is None or isinstance(error, FileNotFoundError):
            self._troubled.discard(path)
        elif path not in self._troubled:
            self._troubled.add(path)
            _log.warning("the audit spool is troubled", file=str(path), error=error.strerror)


def _size_bytes(path: Path) -> float:
    """Give the size of a file; endless if it cannot be told, so that whoever reads it says why."""
    try:
        return path.stat().st_size
    except OSError:
        return math.inf

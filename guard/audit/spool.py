"""The spool: where a process leaves its records before it answers.

Layout below the root, one folder per writer::

    <root>/<writer>/<id>.log      a segment: framed records, a line each (framing.py)
    <root>/<writer>/position      how far each segment is stored (written by the reader)
    <root>/.rejected/             bytes that could not be read, kept for a person

A segment is appended to by the one process that made it, which holds a flock on it for as long;
nobody ever reopens one for writing. So a segment without a lock is final, and every line of it
that does not end in a newline was never acknowledged to anybody.
"""

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from guard.audit import errors, framing, record

SEGMENT_SUFFIX: Final = ".log"

MAX_SEGMENT_BYTES: Final = 8 * 1024 * 1024
"""What a reader may have to read again after a crash, and what a slow store holds on disk."""

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_WRITER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_OPEN_ATTEMPTS: Final = 10
"""A reader that tidies up may take an empty segment away before it is locked, once per attempt."""

_log = structlog.get_logger(__name__)


class Spool:
    """The writing end, for one process. Not for use from several threads at once.

    ``directory`` is the root that all writers share; ``writer`` names the folder below it.
    ``fsync`` makes each append wait for the disk; without it a record survives the death of the
    process, but the last ones may go with the node. ``write`` stands in for ``os.write`` in tests.
    """

    def __init__(
        self,
        directory: Path,
        *,
        writer: str,
        max_segment_bytes: int = MAX_SEGMENT_BYTES,
        fsync: bool = False,
        write: Callable[[int, bytes], int] = os.write,
    ) -> None:
        """Make the folder and the first segment. Raises SpoolUnwritable."""
        if not _WRITER_NAME.fullmatch(writer):
            raise errors.SpoolUnwritable(directory, f"{writer!r} cannot name a folder")
        self._folder = directory / writer
        self._max_segment_bytes = max_segment_bytes
        self._fsync = fsync
        self._write = write
        self._descriptor = -1
        self._size_bytes = 0
        self._spoilt = False
        try:
            self._descriptor = self._new_segment()
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def append(self, entry: record.Record) -> None:
        """Write one record; when this returns, ``kill -9`` of this process cannot lose it.

        Raises SpoolFull or SpoolUnwritable; then nothing of the record stays (unless it was the
        disk's promise that failed, with ``fsync``), and a later append works as soon as there is
        room. Raises UnwritableRecord for a value that is no JSON.
        """
        line = framing.frame(entry)
        if self._descriptor < 0:
            raise errors.SpoolUnwritable(self._folder, "it is closed")
        fits = self._size_bytes + len(line) <= self._max_segment_bytes or not self._size_bytes
        # A file without a name would swallow records in silence, if somebody cleared the folder.
        lost = self._spoilt or not os.fstat(self._descriptor).st_nlink
        if lost or not fits:
            self._rotate(must=lost)
        try:
            self._write_line(line)
        except OSError as error:
            self._take_back()
            raise _unwritable(self._folder, error) from error
        self._size_bytes += len(line)
        if self._fsync:
            self._sync()

    def close(self) -> None:
        """Release the segment: a reader may delete it once it is stored. Closing twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _write_line(self, line: bytes) -> None:
        """One write(2) as a rule. A short one is followed up only to learn why it was short."""
        written = self._write(self._descriptor, line)
        while written < len(line):
            written += self._write(self._descriptor, line[written:])

    def _take_back(self) -> None:
        """Cut off what a failed append left; failing that, leave this segment for good."""
        try:
            os.ftruncate(self._descriptor, self._size_bytes)
        except OSError:
            self._spoilt = True
            _log.exception("a torn line stays in the audit spool", folder=str(self._folder))

    def _sync(self) -> None:
        """Wait for the disk. A line that did not get there stays: a reader may have taken it."""
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._spoilt = True  # What the kernel dropped once, a second fsync reports as fine.
            raise _unwritable(self._folder, error) from error

    def _rotate(self, *, must: bool) -> None:
        """Go on in a new segment. Without room for one, the old one does, unless that is lost."""
        try:
            descriptor = self._new_segment()
        except OSError as error:
            if must:
                raise _unwritable(self._folder, error) from error
            return
        os.close(self._descriptor)
        self._descriptor, self._size_bytes, self._spoilt = descriptor, 0, False

    def _new_segment(self) -> int:
        """Create and lock a segment; gives its descriptor. Raises OSError."""
        for _ in range(_OPEN_ATTEMPTS):
            name = record.new_id(time.time_ns(), os.urandom(8)) + SEGMENT_SUFFIX
            path = self._folder / name
            self._folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            try:
                descriptor = os.open(path, flags, _FILE_MODE)
            except FileNotFoundError:  # A reader removed the empty folder meanwhile.
                continue
            try:
                if _lock(descriptor) and _is_at(path, descriptor):
                    if self._fsync:
                        _sync_folders(self._folder, self._folder.parent)
                    return descriptor
            except OSError:
                os.close(descriptor)
                raise
            os.close(descriptor)
        raise OSError(errno.EBUSY, "a new segment was taken away each time", str(self._folder))


def _lock(descriptor: int) -> bool:
    """Take the lock that says this segment is written to; False if a reader has it just now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Tell whether the open file is still the one at ``path``: a reader may have unlinked it."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _sync_folders(*folders: Path) -> None:
    """Bring the names of new files to the disk: syncing a file does not sync its name."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unwritable(folder: Path, error: OSError) -> errors.SpoolUnwritable:
    why = error.strerror or type(error).__name__
    if error.errno in _NO_ROOM:
        return errors.SpoolFull(folder, why)
    return errors.SpoolUnwritable(folder, why)

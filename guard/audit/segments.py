"""One segment of a spool, read from an offset on.

Its writer holds a flock on it for as long as it may append. Nobody ever reopens one for writing,
so a segment that nobody holds is final: what is missing at its end never comes.
"""

import dataclasses
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from guard.audit import errors, framing, record

_READ_BYTES: Final = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """Bytes that are no record: a broken line, or the torn end of a dead writer."""

    offset: int
    data: bytes
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """What was read in one go."""

    end: int
    """Offset behind the last byte that was used: where to read on."""
    lines: tuple[record.Line, ...]
    rejected: tuple[Rejected, ...]


def take(path: Path, offset: int, *, max_records: int, max_bytes: int) -> Taken:
    """Read whole lines from ``offset`` on; ends with the line that reaches a limit.

    The start of a line that a living writer has not finished is left for the next time. Raises
    OSError.
    """
    lines: list[record.Line] = []
    rejected: list[Rejected] = []
    end = offset
    with path.open("rb", buffering=0) as file:
        # Asked for before the size: what a writer adds from here on is not in it.
        final = _hold(file.fileno())
        available_bytes = os.fstat(file.fileno()).st_size - offset
        file.seek(offset)
        for raw in _raw_lines(file.fileno(), available_bytes):
            if not raw.endswith(b"\n"):
                if final:
                    rejected.append(Rejected(end, raw, "its writer died before it was whole"))
                    end += len(raw)
                break
            try:
                lines.append(framing.parse(raw))
            except errors.UnreadableRecord as error:
                rejected.append(Rejected(end, raw, str(error)))
            end += len(raw)
            if len(lines) >= max_records or end - offset >= max_bytes:
                break
    return Taken(end, tuple(lines), tuple(rejected))


def delete_if_stored(path: Path, offset: int) -> bool:
    """Delete a segment that is final and holds nothing behind ``offset``. Raises OSError.

    The lock is held until the name is gone: a writer that has made the file and not yet locked it
    finds the lock taken or the name gone, and makes another.
    """
    with path.open("rb", buffering=0) as file:
        if not _hold(file.fileno()) or os.fstat(file.fileno()).st_size > offset:
            return False
        path.unlink()
        return True


def count_lines(path: Path, offset: int) -> int:
    """Count the lines behind ``offset``, without reading into them. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(_READ_BYTES), b""))


def _hold(descriptor: int) -> bool:
    """Lock the segment until it is closed; False if its writer lives."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _raw_lines(descriptor: int, available_bytes: int) -> Iterator[bytes]:
    """Give the lines of the next ``available_bytes``, newlines kept; the last may lack one."""
    rest = b""
    while available_bytes > 0:
        chunk = os.read(descriptor, min(_READ_BYTES, available_bytes))
        if not chunk:
            break
        available_bytes -= len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest

"""How a record stands in a spool file: ``crc32 as 8 hex digits, space, JSON, newline``.

The checksum tells a whole line from one that a full disk or a lost node cut short or left as
zeros. It is no protection against a person: who can write the file can compute it.
"""

import zlib
from typing import Final

from guard.audit import errors, record

_CHECKSUM_DIGITS: Final = 8


def frame(entry: record.Record) -> bytes:
    """Give the line of a record, newline included. Raises UnwritableRecord."""
    return line_of(record.encode(entry))


def line_of(data: bytes) -> bytes:
    """Give the line of a record that is JSON already, newline included."""
    return b"%08x %b\n" % (zlib.crc32(data), data)


def parse(line: bytes) -> record.Line:
    """Read a line, newline included. Raises UnreadableRecord."""
    checksum, _, data = line[:-1].partition(b" ")
    if len(checksum) != _CHECKSUM_DIGITS or checksum != b"%08x" % zlib.crc32(data):
        raise errors.UnreadableRecord
    return record.Line(record.decode(data), data)

"""Records between a webhook pod and the guard process: what both ends agree on.

A batch is the very lines of a spool, checksums included, in one body; the answer is a receipt that
counts them. Only a receipt that counts right makes the sender forget: a stray 200, of a proxy or of
another service, does not. Pods are upgraded one after the other, so within ``/v1`` things are only
added, and what is unknown is ignored.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from guard.audit import errors, framing, record

INTAKE_PORT: Final = 9443
READING_PORT: Final = 9444

RECORDS_PATH: Final = "/v1/records"
COUNTS_PATH: Final = "/v1/counts"
CONTENT_TYPE: Final = "application/vnd.holdfast.records"

MAX_RECORD_BYTES: Final = 16 * 1024 * 1024
"""A record holds a changed object's old, new and source values; the API server takes objects of
up to 3 MiB."""

MAX_BODY_BYTES: Final = MAX_RECORD_BYTES + 9 * 1024 * 1024
"""A reader's batch ends with the line that reaches 8 MiB."""

MAX_RECORDS: Final = 1_000
"""In a body; a reader's batch has half of them."""


class Refusal(msgspec.Struct, frozen=True):
    """A record of a batch that was not stored, and never will be as it is."""

    index: int
    """In the batch, from 0."""
    why: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch. All of it that is not refused is stored for good."""

    received: int
    refused: tuple[Refusal, ...] = ()


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it arrives."""

    lines: tuple[record.Line, ...]
    receipt: Receipt


_DECODER: Final = msgspec.json.Decoder(Receipt)


def pack(lines: Sequence[record.Line]) -> bytes:
    """Give the body of a batch."""
    return b"".join(framing.line_of(line.data) for line in lines)


def unpack(body: bytes) -> Parcel:
    """Read a body; records that cannot be read are refused, the others are not held up by them.

    Raises BadParcel for a body that holds no or too many records, or that is cut short.
    """
    raw = body.split(b"\n", MAX_RECORDS)
    if raw.pop():
        message = "the body does not end with the end of a record, or holds too many of them"
        raise errors.BadParcel(message)
    if not raw:
        message = "the body holds no records"
        raise errors.BadParcel(message)
    lines: list[record.Line] = []
    refused: list[Refusal] = []
    for index, line in enumerate(raw):
        try:
            lines.append(framing.parse(line + b"\n"))
        except errors.UnreadableRecord as error:
            refused.append(Refusal(index, str(error)))
    return Parcel(lines=tuple(lines), receipt=Receipt(received=len(raw), refused=tuple(refused)))


def write_receipt(receipt: Receipt) -> bytes:
    """Give the JSON of a receipt."""
    return msgspec.json.encode(receipt)


def read_receipt(data: bytes, *, sent: int) -> Receipt:
    """Read the receipt for so many records. Raises BadParcel if it is none for them."""
    try:
        receipt = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        receipt = Receipt(received=-1)
    indexes = {refusal.index for refusal in receipt.refused}
    if receipt.received != sent or not indexes <= set(range(sent)):
        message = "the answer is no receipt for the records that were sent"
        raise errors.BadParcel(message)
    return receipt

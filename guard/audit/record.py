"""One record of the audit log: what a person reads months later, so nothing in it is a guess.

The JSON form is an upgrade contract: webhook and guard process are upgraded one after the other,
and a store outlives both. Within one ``schema`` number, fields are only ever added, each with a
default, and unknown ones are ignored on reading. That is also why ``verdict``, ``outcome`` and
``FieldChange.kind`` are read as plain strings: a word that a newer writer knows must not make its
record unreadable. Writers pass members of ``guard.api.verdicts``.
"""

import datetime as dt
import uuid
from typing import Any, Final

import msgspec

from guard.api import verdicts
from guard.audit import errors

SCHEMA: Final = 1

ABSENT: Final = msgspec.UNSET
"""The value of a field that is not there, as opposed to null. It is left out of the JSON."""

_RANDOM_BYTES: Final = 8


class ObjectRef(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The object that a record is about, as it was named when it happened."""

    cluster: str = ""
    """Name of the cluster; empty for the one that the guard process runs in."""
    group: str = ""
    version: str = ""
    kind: str
    namespace: str = ""
    name: str
    uid: str = ""
    resource_version: str = ""
    """The version that the act was meant for, or that the drift was seen in."""

    @property
    def title(self) -> str:
        """The object for a person: ``Deployment shop/web``, or ``Namespace shop``."""
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"


class FieldChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One field that an act or a drift changed. Values are JSON values, already masked."""

    path: str
    """Readable, as people write it: ``spec.template.spec.containers[name=app].image``."""
    kind: str
    """A ``guard.api.verdicts.ChangeKind``."""
    old: Any = ABSENT
    new: Any = ABSENT
    source: Any = ABSENT
    """What the source says; absent where the source does not name the field."""


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One act or one drift, and what was decided about it."""

    schema: int = SCHEMA
    id: str
    """From ``new_id``. The store holds an id once, however often it is drained."""
    time: str
    """When it was decided, from ``timestamp``: RFC 3339, UTC, microseconds."""
    installation: str = ""
    guard: str = ""
    """``namespace/name`` of the Guard."""
    revision: str = ""
    """The revision that was applied at the time, such as ``main@3f2c1d9``."""
    file: str = ""
    """The file that declares the object, from the root of the source."""
    object: ObjectRef
    verdict: str
    """A ``guard.api.verdicts.Verdict``: what was decided, which is an attempt."""
    outcome: str = verdicts.Outcome.ATTEMPTED
    """A ``guard.api.verdicts.Outcome``: what became of it."""
    operation: str = ""
    """CREATE, UPDATE, DELETE or CONNECT as admission names it; empty where nobody saw the act."""
    subresource: str = ""
    user: str = ""
    """The name in the review's userInfo; empty if only the watch saw the change. Never guessed."""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}
    field_manager: str = ""
    request_uid: str = ""
    """The uid of the admission review, by which the webhook's log names the same request."""
    dry_run: bool = False
    changes: tuple[FieldChange, ...] = ()
    reason: str = ""
    """Why this verdict: the rule, the mode or the exemption that decided."""
    message: str = ""
    """A sentence for a person, such as the text of the denial or of the error."""
    duration_ms: float | None = None
    """Of a restore: from the event that showed the drift to the answer that ended it."""


class Line(msgspec.Struct, frozen=True):
    """A record beside the very bytes that it was read from.

    The bytes are what is stored, so that an older guard process keeps the fields that a newer
    webhook wrote and that it does not know.
    """

    record: Record
    data: bytes


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Record)


def encode(record: Record) -> bytes:
    """Give the JSON of a record: one line, UTF-8. Raises UnwritableRecord."""
    try:
        return _ENCODER.encode(record)
    except (TypeError, ValueError, OverflowError, RecursionError):
        # The cause is cut off: encoders name the value that they choke on.
        raise errors.UnwritableRecord(record.id, record.object.title) from None


def decode(data: bytes) -> Record:
    """Read what ``encode`` of this or another version wrote. Raises UnreadableRecord."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise errors.UnreadableRecord from error


def new_id(now_ns: int, random_bytes: bytes) -> str:
    """Make an id that sorts by time: the layout of UUID version 7 (RFC 9562, 5.7).

    ``now_ns`` is nanoseconds since the epoch; the 12 bits after the milliseconds carry their
    fraction (RFC 9562, 6.2, method 3), so that ids of one process sort within a millisecond too.
    ``random_bytes`` gives at least 8 bytes.
    """
    milliseconds, rest_ns = divmod(now_ns, 1_000_000)
    fraction = (rest_ns << 12) // 1_000_000
    noise = int.from_bytes(random_bytes[:_RANDOM_BYTES], "big") & ((1 << 62) - 1)
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76 | fraction << 64 | 0b10 << 62 | noise
    return str(uuid.UUID(int=value))


def timestamp(now_ns: int) -> str:
    """Give ``now_ns`` (since the epoch) as RFC 3339 in UTC with microseconds; it sorts as text."""
    return format_time(
        dt.datetime.fromtimestamp(now_ns // 1_000_000_000, tz=dt.UTC).replace(
            microsecond=now_ns // 1_000 % 1_000_000
        )
    )


def format_time(moment: dt.datetime) -> str:
    """Give an aware datetime in the very form of ``timestamp``."""
    utc = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="microseconds") + "Z"

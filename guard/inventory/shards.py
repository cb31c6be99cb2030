"""The blob of an inventory shard: gzipped JSON, the same bytes for the same entries. Pure.

The format is an upgrade contract (docs/decisions)::

    {"v": 1, "layout": 3,
     "sets": [fieldsV1, ...],
     "entries": [{"group", "version", "kind", "namespace", "name", "resource", "uid", "set",
                  "digest", "sent", "replicas", "state", "file"}, ...]}

``sets`` holds each declared set once, and ``set`` is an index into it: objects of one shape share
it. A reader ignores keys that it does not know; ``v`` grows only when that is not enough.
``layout`` counts how often the shards were cut anew: after a writer died in between, the higher one
rules.
"""

import functools
import gzip
import hashlib
import sys
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from guard.api import inventories, keys
from guard.fields import errors as fields_errors
from guard.fields import fieldset
from guard.inventory import entries as entries_
from guard.inventory import errors

FORMAT: Final = 1
MAX_BYTES: Final = 256 << 10
"""Above it a shard is split: a write stays at some ten milliseconds, and one lost costs little."""

_MAX_PLAIN_BYTES: Final = 64 << 20  # far beyond what fits a shard; a bomb is larger
_COMPRESSION: Final = 6
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class Blob(NamedTuple):
    """What a shard's blob holds."""

    layout: int
    entries: tuple[entries_.Entry, ...]


class _Entry(msgspec.Struct, omit_defaults=True):
    kind: str
    name: str
    resource: str
    set: int
    state: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    uid: str = ""
    digest: str = ""
    sent: str = ""
    replicas: int | None = None
    file: str = ""


class _Document(msgspec.Struct):
    v: int
    layout: int
    sets: list[dict[str, Any]]
    entries: list[_Entry]


class _Version(msgspec.Struct):
    v: int


def place(key: keys.ObjectKey, shards: int) -> int:
    """Give the shard, of so many, that keeps an object. It depends on the key alone."""
    digest = hashlib.sha256(str(key).encode()).digest()
    return int.from_bytes(digest[:4], "big") % shards


def encode(entries: Iterable[entries_.Entry], *, layout: int = 0) -> bytes:
    """Give the blob of some entries, whatever their order."""
    ordered = sorted(entries, key=lambda entry: entry.key)
    sets: dict[fieldset.FieldSet, int] = {}
    written = [
        _Entry(
            group=entry.key.group,
            version=entry.gvk.version,
            kind=entry.key.kind,
            namespace=entry.key.namespace,
            name=entry.key.name,
            resource=entry.resource,
            uid=entry.uid,
            set=sets.setdefault(entry.declared, len(sets)),
            digest=entry.digest,
            sent=entry.sent,
            replicas=entry.replicas,
            state=entry.state.value,
            file=entry.file,
        )
        for entry in ordered
    ]
    document = {
        "v": FORMAT,
        "layout": layout,
        "sets": [declared.to_v1() for declared in sets],
        "entries": written,
    }
    return gzip.compress(msgspec.json.encode(document), compresslevel=_COMPRESSION, mtime=0)


def decode(blob: bytes) -> tuple[entries_.Entry, ...]:
    """Give the entries of a blob, sorted by key. Raises InventoryError."""
    return read(blob).entries


def read(blob: bytes) -> Blob:
    """Read a whole blob. Raises NewerInventory or UnreadableInventory."""
    plain = _decompress(blob)
    try:
        version = msgspec.json.decode(plain, type=_Version).v
        if version != FORMAT:
            message = (
                f"The inventory is in format {version}, this Holdfast reads format {FORMAT}: "
                "upgrade Holdfast to the version that wrote it."
            )
            raise errors.NewerInventory(message)
        document = msgspec.json.decode(plain, type=_Document)
        sets = [fieldset.FieldSet.from_v1(raw) for raw in document.sets]
        return Blob(document.layout, tuple(_entry(one, sets) for one in document.entries))
    except (msgspec.MsgspecError, fields_errors.FieldsError, ValueError, LookupError) as error:
        message = "The inventory is damaged: its content is not in the form that Holdfast writes."
        raise errors.UnreadableInventory(message) from error


def _decompress(blob: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = unpacker.decompress(blob, _MAX_PLAIN_BYTES)
    except zlib.error as error:
        message = "The inventory is damaged: it cannot be decompressed."
        raise errors.UnreadableInventory(message) from error
    if not unpacker.eof:
        message = "The inventory is damaged: it is cut short, or larger than any inventory."
        raise errors.UnreadableInventory(message)
    return plain


def _entry(one: _Entry, sets: Sequence[fieldset.FieldSet]) -> entries_.Entry:
    if one.set < 0:
        raise IndexError(one.set)
    # Thousands of entries repeat these few words, and a webhook keeps all of them.
    group, version, kind, namespace, resource, file = map(
        sys.intern, (one.group, one.version, one.kind, one.namespace, one.resource, one.file)
    )
    return entries_.Entry(
        gvk=_gvk(group, version, kind),
        key=keys.ObjectKey(group, kind, namespace, one.name),
        resource=resource,
        uid=one.uid,
        declared=sets[one.set],
        digest=one.digest,
        replicas=one.replicas,
        state=entries_.State(one.state),
        file=file,
        sent=one.sent,
    )


@functools.lru_cache(maxsize=1024)
def _gvk(group: str, version: str, kind: str) -> keys.GroupVersionKind:
    return keys.GroupVersionKind(group, version, kind)


def split(
    entries: Iterable[entries_.Entry], *, max_bytes: int = MAX_BYTES, at_least: int = 1
) -> tuple[tuple[entries_.Entry, ...], ...]:
    """Cut entries into a power of two of shards, sorted by key, each at most ``max_bytes`` packed.

    ``at_least`` is the number to start from, itself a power of two. Which shard keeps an object
    depends on its key and their number alone; so a shard stays as it is when others change. Raises
    OversizedInventory if not even the most shards that are allowed are enough.
    """
    found = list(entries)
    count = at_least
    while count <= inventories.MAX_SHARDS:
        cut = distribute(found, count)
        if all(len(encode(shard)) <= max_bytes for shard in cut):
            return cut
        count *= 2
    message = (
        f"The inventory of {len(found)} objects does not fit into "
        f"{inventories.MAX_SHARDS} shards of {max_bytes} bytes."
    )
    raise errors.OversizedInventory(message)


def distribute(
    entries: Iterable[entries_.Entry], shards: int
) -> tuple[tuple[entries_.Entry, ...], ...]:
    """Put entries into so many shards, whatever their size; each sorted by key."""
    cut: list[list[entries_.Entry]] = [[] for _ in range(shards)]
    for entry in sorted(entries, key=lambda entry: entry.key):
        cut[place(entry.key, shards)].append(entry)
    return tuple(map(tuple, cut))

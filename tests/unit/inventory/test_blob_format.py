"""The blob is small, always the same for the same entries, and read by every later version."""

import base64
import dataclasses
import gzip
import hashlib
import json
import random
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guard.api import keys
from guard.fields.fieldset import FieldSet
from guard.inventory import errors, shards
from guard.inventory.entries import Entry, State

GOLDEN = Path(__file__).parents[2] / "data" / "inventory" / "shard-v1.base64"


def blob_of(document: Any) -> bytes:
    """Pack any JSON as a blob."""
    return gzip.compress(json.dumps(document).encode())


def test_what_is_packed_is_unpacked(make_entry: Callable[..., Entry]) -> None:
    """Sorted by key, whatever the order was."""
    entries = [make_entry(f"web-{n}", state=state) for n, state in enumerate(State)]
    bare = dataclasses.replace(
        make_entry("bare"),
        key=keys.ObjectKey("", "Namespace", "", "bare"),
        gvk=keys.GroupVersionKind("", "v1", "Namespace"),
        uid="",
        digest="",
        replicas=None,
        file="",
        sent="",
    )

    assert shards.decode(shards.encode([*reversed(entries), bare])) == (bare, *entries)
    assert shards.decode(shards.encode([])) == ()


def test_the_same_entries_give_the_same_bytes(make_entry: Callable[..., Entry]) -> None:
    """Neither time nor order is in them: what is stored already is not written again."""
    entries = [make_entry(f"web-{n}") for n in range(20)]

    packed = shards.encode(entries)

    assert shards.encode(reversed(entries)) == packed
    assert shards.encode(entries, layout=1) != packed
    assert shards.read(shards.encode(entries, layout=7)).layout == 7


def test_a_blob_of_the_first_version_is_still_read(make_entry: Callable[..., Entry]) -> None:
    """If this fails, an upgrade loses every inventory. Never write the file anew."""
    packed = base64.b64decode(GOLDEN.read_text())

    assert shards.read(packed) == shards.Blob(
        3, (make_entry("api", state=State.DRIFTED), make_entry("web"))
    )


def test_keys_of_later_versions_are_ignored() -> None:
    """A newer guard process and an older webhook run side by side in an upgrade."""
    entry = {
        "kind": "Job",
        "name": "a",
        "resource": "jobs",
        "set": 0,
        "state": "Synced",
        "later": [1],
    }
    document = {"v": 1, "layout": 0, "later": {}, "sets": [{}], "entries": [entry]}

    assert [one.key.name for one in shards.decode(blob_of(document))] == ["a"]


def test_a_newer_format_asks_for_an_upgrade() -> None:
    """Rather than being misread."""
    with pytest.raises(errors.NewerInventory, match=r"format 2.*upgrade Holdfast"):
        shards.decode(blob_of({"v": 2, "anything": "else"}))


ENTRY = {"kind": "Job", "name": "a", "resource": "jobs", "set": 0, "state": "Synced"}


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"no gzip",
        shards.encode([])[:-9],
        gzip.compress(b"no json"),
        blob_of([]),
        blob_of({"v": 1}),
        blob_of({"v": "1"}),
        blob_of({"v": 1, "layout": 0, "sets": [], "entries": [ENTRY]}),
        blob_of({"v": 1, "layout": 0, "sets": [{}], "entries": [ENTRY | {"set": -1}]}),
        blob_of({"v": 1, "layout": 0, "sets": [{"x": {}}], "entries": [ENTRY]}),
        blob_of({"v": 1, "layout": 0, "sets": [{}], "entries": [ENTRY | {"state": "Odd"}]}),
    ],
)
def test_a_damaged_blob_is_an_error_that_says_so(blob: bytes) -> None:
    """Never a crash, and never half an inventory."""
    with pytest.raises(errors.UnreadableInventory, match=r"^The inventory is damaged: "):
        shards.decode(blob)


def test_a_bomb_is_not_unpacked() -> None:
    """A few hundred kilobytes may stand for gigabytes."""
    with pytest.raises(errors.UnreadableInventory, match="larger than any inventory"):
        shards.decode(gzip.compress(bytes(65 << 20), compresslevel=9))


def test_five_hundred_entries_take_some_fifty_kilobytes() -> None:
    """With uids and digests that cannot be compressed, and 40 declared sets."""
    rng = random.Random(1)  # no secret
    sets = [
        FieldSet.from_v1({"f:data": {f"f:key-{n}-{m}": {} for m in range(20)}}) for n in range(40)
    ]
    entries = [
        Entry(
            gvk=keys.GroupVersionKind("", "v1", "ConfigMap"),
            key=keys.ObjectKey("", "ConfigMap", f"shop-{n % 7}", f"settings-of-part-{n}"),
            resource="configmaps",
            uid=str(uuid.UUID(int=rng.getrandbits(128))),
            declared=sets[n % 40],
            digest=hashlib.sha256(str(n).encode()).hexdigest(),
            replicas=None,
            state=State.SYNCED,
            file=f"apps/part-{n}/settings.yaml",
            sent=hashlib.sha256(str(-n).encode()).hexdigest()[:16],
        )
        for n in range(500)
    ]

    assert len(shards.encode(entries)) < 54_000

"""Keeps one Guard's inventory in the cluster, as Inventory objects written whole by PUT."""

import asyncio
import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from guard.api import inventories, keys, names, objects
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.cluster import resources
from guard.inventory import entries as entries_
from guard.inventory import errors, shards

RESOURCE: Final = resources.Resource(
    group=names.GROUP,
    version=names.VERSION,
    kind=inventories.KIND,
    plural=inventories.PLURAL,
    namespaced=True,
)

_MANAGER: Final = "holdfast"
_MAX_ATTEMPTS: Final = (
    5  # nobody else should write our shards; somebody who keeps doing so is an error
)
_SPARSE: Final = 8  # cut anew once shards are filled to an eighth, or they would come and go


class _Stored(NamedTuple):
    """What we know to be stored in one shard."""

    uid: str
    resource_version: str
    layout: int
    size_bytes: int
    entries: tuple[entries_.Entry, ...]


class _Shard(NamedTuple):
    """One shard as it was read."""

    name: str
    owner: str
    number: int
    total: int
    stored: _Stored


class InventoryStore:
    """The stored inventory of one Guard. Only one process may write it: the leader.

    ``namespace``, ``guard`` and ``guard_uid`` are the Guard's. It owns its shards, so that the
    garbage collector removes them with it. Call ``load`` before the first ``save``.
    """

    def __init__(
        self,
        client: clients.Client,
        *,
        namespace: str,
        guard: str,
        guard_uid: str,
        guard_hash: str,
        max_bytes: int = shards.MAX_BYTES,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._guard = guard
        self._guard_uid = guard_uid
        self._guard_hash = guard_hash
        self._max_bytes = max_bytes
        self._lock = asyncio.Lock()
        self._stored: dict[str, _Stored] = {}
        self._count = 1
        self._layout = 0

    async def load(self) -> dict[keys.ObjectKey, entries_.Entry]:
        """Read all shards.

        After a writer that died while it cut the shards anew, an object may stand in an old and in
        a new one, or only in an old one: the newer layout rules wherever its shard is there. Raises
        InventoryError, which names the shard, for one that cannot be read, and ClusterError.
        """
        async with self._lock:
            found = [_read(obj) for obj in await self._list()]
            # A shard of an earlier Guard of the same name goes with that one: it is written anew.
            self._stored = {one.name: one.stored for one in found if one.owner == self._guard_uid}
            self._layout = max((one.stored.layout for one in found), default=0)
            self._count = max(
                (one.total for one in found if one.stored.layout == self._layout), default=1
            )
            return _merged(found)

    async def save(self, entries: Iterable[entries_.Entry], *, revision: str) -> int:
        """Store the entries; give the number of writes, deletions included.

        A shard whose content is stored already is not written, not even for a new revision: its
        ``revision`` is the one of its last change. When shards are cut anew, the new ones are
        written before the old ones are replaced, and these before any is deleted, so that no entry
        is missing at any time. Raises InventoryError and ClusterError.
        """
        async with self._lock:
            cut = self._cut(list(entries))
            if len(cut) != self._count:
                self._layout += 1
                self._count = len(cut)
            writes = 0
            for number in reversed(range(len(cut))):
                writes += await self._save_shard(number, cut[number], revision)
            for name in self._stored.keys() - {self._name(number) for number in range(len(cut))}:
                await self._delete(name, self._stored.pop(name).uid)
                writes += 1
            return writes

    async def is_lost(self, name: str, *, uid: str, resource_version: str, deleted: bool) -> bool:
        """Tell whether somebody else has deleted or written a shard that we had stored.

        Told what a watch shows of it. The next ``save`` then writes it, whatever it holds.
        """
        async with self._lock:  # of a write of ours, the watch may tell before the answer is here
            stored = self._stored.get(name)
            if stored is None:
                return False
            if deleted:
                lost = stored.uid == uid
            else:
                lost = stored.uid != uid or _is_newer(resource_version, stored.resource_version)
            if lost:
                del self._stored[name]
            return lost

    async def delete_all(self) -> None:
        """Delete all shards, those of an earlier layout included. Raises ClusterError."""
        async with self._lock:
            for obj in await self._list():
                metadata = objects.metadata_of(obj)
                await self._delete(metadata["name"], metadata["uid"])
            self._stored.clear()
            self._count = 1

    def _cut(self, entries: Sequence[entries_.Entry]) -> tuple[tuple[entries_.Entry, ...], ...]:
        """Cut entries into shards: as many as now, unless these would be too full or too empty."""
        kept = shards.distribute(entries, self._count)
        sizes = []
        for number, shard in enumerate(kept):
            stored = self._stored.get(self._name(number))
            is_known = stored is not None and stored.entries == shard
            sizes.append(stored.size_bytes if stored and is_known else len(shards.encode(shard)))
        if max(sizes) > self._max_bytes:
            return shards.split(entries, max_bytes=self._max_bytes, at_least=self._count)
        if self._count > 1 and sum(sizes) * _SPARSE <= self._max_bytes * self._count:
            return shards.split(entries, max_bytes=self._max_bytes)
        return kept

    async def _save_shard(
        self, number: int, entries: tuple[entries_.Entry, ...], revision: str
    ) -> int:
        name = self._name(number)
        stored = self._stored.get(name)
        if stored is not None and stored.layout == self._layout and stored.entries == entries:
            return 0
        blob = shards.encode(entries, layout=self._layout)
        answer = await self._write(self._object(number, entries, blob, revision), stored)
        metadata = objects.metadata_of(answer)
        self._stored[name] = _Stored(
            metadata["uid"], metadata["resourceVersion"], self._layout, len(blob), entries
        )
        return 1

    async def _write(self, obj: objects.RawObject, stored: _Stored | None) -> objects.RawObject:
        """Create or replace one shard, whatever somebody else has made of it meanwhile."""
        name = obj["metadata"]["name"]
        lock: dict[str, str] | None = None
        if stored is not None:
            lock = {"uid": stored.uid, "resourceVersion": stored.resource_version}
        attempts = 0
        while True:
            attempts += 1
            try:
                if lock is None:
                    return await verbs.create(self._client, RESOURCE, obj, _MANAGER)
                locked = {**obj, "metadata": {**obj["metadata"], **lock}}
                return await verbs.replace(self._client, RESOURCE, locked, _MANAGER)
            except (cluster_errors.Conflict, cluster_errors.NotFound):
                if attempts == _MAX_ATTEMPTS:
                    raise
                lock = await self._lock_of(name)

    async def _lock_of(self, name: str) -> dict[str, str] | None:
        try:
            live = await verbs.get(self._client, RESOURCE, self._namespace, name)
        except cluster_errors.NotFound:
            return None
        metadata = objects.metadata_of(live)
        return {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}

    async def _delete(self, name: str, uid: str) -> None:
        try:
            await verbs.delete(self._client, RESOURCE, self._namespace, name, uid=uid)
        except (cluster_errors.NotFound, cluster_errors.Conflict):
            return  # gone, or somebody has put another object there, which is not ours to delete

    async def _list(self) -> list[objects.RawObject]:
        return await verbs.list_all(
            self._client,
            RESOURCE,
            namespace=self._namespace,
            label_selector=f"{names.LABEL_INVENTORY}={self._guard_hash}",
        )

    def _name(self, number: int) -> str:
        return f"{self._guard}-{number}"

    def _object(
        self, number: int, entries: tuple[entries_.Entry, ...], blob: bytes, revision: str
    ) -> objects.RawObject:
        states = [entry.state for entry in entries]
        return {
            "apiVersion": names.API_VERSION,
            "kind": inventories.KIND,
            "metadata": {
                "name": self._name(number),
                "namespace": self._namespace,
                # Not the guarded objects' label: our own webhook's selector would see this.
                "labels": {names.LABEL_INVENTORY: self._guard_hash},
                "ownerReferences": [
                    {
                        "apiVersion": names.API_VERSION,
                        "kind": "Guard",
                        "name": self._guard,
                        "uid": self._guard_uid,
                        "controller": True,
                    }
                ],
            },
            "spec": {
                "guard": self._guard,
                "shard": number,
                "shards": self._count,
                "revision": revision,
                "objects": len(entries),
                "drifted": states.count(entries_.State.DRIFTED),
                "failed": states.count(entries_.State.FAILED),
                "data": base64.b64encode(blob).decode(),
            },
        }


def _is_newer(seen: str, stored: str) -> bool:
    """Compare versions of one resource, which are integers (KEP-5504, Kubernetes 1.35)."""
    if seen.isdigit() and stored.isdigit():
        return int(seen) > int(stored)
    return seen != stored


def _read(obj: objects.RawObject) -> _Shard:
    metadata = objects.metadata_of(obj)
    name = metadata["name"]
    spec: dict[str, Any] = obj.get("spec") or {}
    try:
        packed = base64.b64decode(spec.get("data", ""), validate=True)
        blob = shards.read(packed)
    except errors.InventoryError as error:
        message = f"Inventory {metadata.get('namespace')}/{name}: {error}"
        raise type(error)(message) from error
    except binascii.Error as error:
        message = f"Inventory {metadata.get('namespace')}/{name}: its data is no base64."
        raise errors.UnreadableInventory(message) from error
    stored = _Stored(
        metadata["uid"], metadata["resourceVersion"], blob.layout, len(packed), blob.entries
    )
    owners = metadata.get("ownerReferences") or []
    owner = owners[0]["uid"] if owners else ""
    return _Shard(name, owner, spec.get("shard", 0), spec.get("shards", 1), stored)


def _merged(found: Iterable[_Shard]) -> dict[keys.ObjectKey, entries_.Entry]:
    """Unite shards of several layouts: an entry counts unless a newer shard is to hold its key."""
    merged: dict[keys.ObjectKey, entries_.Entry] = {}
    newer: list[_Shard] = []
    for one in sorted(found, key=lambda one: one.stored.layout, reverse=True):
        for entry in one.stored.entries:
            if not any(
                shards.place(entry.key, above.total) == above.number
                for above in newer
                if above.stored.layout > one.stored.layout
            ):
                merged.setdefault(entry.key, entry)
        newer.append(one)
    return merged

"""Finding the object that a person means, and who guards it."""

import dataclasses

from guard.api import keys, names, objects
from guard.cli import errors, session
from guard.cluster import client as clients
from guard.cluster import discovery, resources
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.inventory import entries, mark
from guard.inventory import store as inventory_store


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """An object as a person names it: a kind in any of its spellings, and a name."""

    kind: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """An object and who guards it.

    ``live`` is None when the cluster does not have it, ``entry`` None when the inventory does not
    (yet) have it and only its mark tells. ``version`` is the one in which it is declared.
    """

    key: keys.ObjectKey
    version: str
    live: objects.RawObject | None
    namespace: str
    guard: str
    guard_hash: str
    entry: entries.Entry | None
    file: str


def reference(words: tuple[str, ...]) -> Reference:
    """Read ``KIND/NAME`` or ``KIND NAME``. Raises BadReference."""
    text = " ".join(words)
    kind, _, name = words[0].partition("/") if len(words) == 1 else (words[0], "", words[-1])
    if len(words) not in {1, 2} or not kind or not name or "/" in name:
        raise errors.BadReference(text)
    return Reference(kind, name)


async def find(client: clients.Client, wanted: Reference, *, namespace: str) -> Guarded:
    """Find an object and its Guard: by the inventory, to which the object's mark leads.

    Without a mark of its own (somebody took it away, or the whole object) all inventories are
    looked through. Raises NoSuchKind, NoSuchObject, NotGuarded, ClusterError, InventoryError.
    """
    kinds = [
        kind
        for kind in await discovery.Discovery(client).search(wanted.kind)
        if not kind.verbs or "get" in kind.verbs
    ]
    if not kinds:
        raise errors.NoSuchKind(wanted.kind)
    candidates = [(kind, _key(kind, namespace, wanted.name)) for kind in kinds]
    for kind, key in candidates:
        try:
            live = await verbs.get(client, kind, key.namespace, key.name)
        except cluster_errors.NotFound:
            continue
        return await _find_guard(client, key, live)
    for kind, key in candidates:
        found = await _search(client, key, live=None, version=kind.version)
        if found is not None:
            return found
    raise errors.NoSuchObject(candidates[0][1].title)


def _key(kind: resources.Resource, namespace: str, name: str) -> keys.ObjectKey:
    return keys.ObjectKey(kind.group, kind.kind, namespace if kind.namespaced else "", name)


async def _find_guard(
    client: clients.Client, key: keys.ObjectKey, live: objects.RawObject
) -> Guarded:
    version = keys.GroupVersionKind.of(live).version
    marked = mark.read(live)
    told = None
    if marked is not None and marked.origin is not None and mark.is_own(live, marked):
        namespace, _, guard = marked.origin.guard.partition("/")
        told = Guarded(
            key=key,
            version=version,
            live=live,
            namespace=namespace,
            guard=guard,
            guard_hash=marked.guard_hash,
            entry=None,
            file=marked.origin.file,
        )
        entry = await _entry(client, told)
        if entry is not None:
            return dataclasses.replace(
                told, entry=entry, file=entry.file, version=entry.gvk.version
            )
    found = await _search(client, key, live=live, version=version) or told
    if found is None:
        raise errors.NotGuarded(key.title)
    return found


async def _search(
    client: clients.Client, key: keys.ObjectKey, *, live: objects.RawObject | None, version: str
) -> Guarded | None:
    """Look for an object in every inventory that the caller may list."""
    try:
        shards = await session.list_own(client, inventory_store.RESOURCE)
    except errors.ListForbidden:
        if not key.namespace:
            raise
        # Most Guards live beside their objects, and there the caller may well look.
        shards = await session.list_own(client, inventory_store.RESOURCE, namespace=key.namespace)
    seen = {
        (
            shard["metadata"]["namespace"],
            shard["spec"]["guard"],
            (shard["metadata"].get("labels") or {}).get(names.LABEL_INVENTORY, ""),
        )
        for shard in shards
    }
    for namespace, guard, guard_hash in sorted(seen):
        found = Guarded(
            key=key,
            version=version,
            live=live,
            namespace=namespace,
            guard=guard,
            guard_hash=guard_hash,
            entry=None,
            file="",
        )
        entry = await _entry(client, found)
        if entry is not None:
            return dataclasses.replace(
                found, entry=entry, file=entry.file, version=entry.gvk.version
            )
    return None


async def _entry(client: clients.Client, guarded: Guarded) -> entries.Entry | None:
    inventory = inventory_store.InventoryStore(
        client,
        namespace=guarded.namespace,
        guard=guarded.guard,
        guard_uid="",  # is needed for writing only
        guard_hash=guarded.guard_hash,
    )
    return (await inventory.load()).get(guarded.key)

"""Letting go of guarded objects, so that an uninstall leaves nothing of ours.

The Guard goes first: while it stands, the guard process puts marks back and the webhook refuses to
have them removed. It is deleted with `Orphan`, which keeps its inventory until every object is let
go of: what is interrupted, or fails, goes on where it stopped when it is run again.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Sequence
from typing import Final

from guard import errors
from guard.api import keys, names, objects
from guard.cli import errors as cli_errors
from guard.cli import output, session, unmarking
from guard.cluster import client as clients
from guard.cluster import discovery, resources, timing
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.inventory import errors as inventory_errors
from guard.inventory import mark, store

MANAGER: Final = "holdfast-cli"

_AT_ONCE: Final = 8
_ATTEMPTS: Final = 20
_ROUNDS: Final = 3
_GONE_WITHIN_SECONDS: Final = 30.0
"""The garbage collector takes the finalizer of `Orphan` off, usually within a second."""
_LEARNT_WITHIN_SECONDS: Final = 5.0
"""How long a webhook may go on refusing for a Guard that is gone: it learns of it by a watch."""
_EVERY_SECONDS: Final = 0.2
_SETTLING_SECONDS: Final = 1.0
"""What the guard process had sent before it learnt of the end has arrived by then."""

Kind = tuple[str, str]
"""Group and kind."""

_EVERYDAY_KINDS: Final[tuple[Kind, ...]] = (
    *(("", kind) for kind in ("ConfigMap", "Namespace", "PersistentVolumeClaim", "Secret")),
    *(("", kind) for kind in ("Service", "ServiceAccount")),
    *(("apps", kind) for kind in ("DaemonSet", "Deployment", "StatefulSet")),
    *(("batch", kind) for kind in ("CronJob", "Job")),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("policy", "PodDisruptionBudget"),
    *(("networking.k8s.io", kind) for kind in ("Ingress", "NetworkPolicy")),
    *(
        ("rbac.authorization.k8s.io", kind)
        for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
)
"""Where marks are looked for when no inventory tells the kinds."""


@dataclasses.dataclass(slots=True)
class Release:
    """One Guard that is let go of, and how far that is. ``uid`` is empty where it is gone."""

    installation: str
    namespace: str
    name: str
    uid: str = ""
    inventoried: set[keys.ObjectKey] = dataclasses.field(default_factory=set)
    is_known: bool = False
    """Whether an inventory tells its objects."""
    is_set_aside: bool = False
    """Whether the Guard is gone, so that its objects stay as they are left."""
    released: set[keys.ObjectKey] = dataclasses.field(default_factory=set)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    """A sentence by the title of what failed."""

    @property
    def title(self) -> str:
        """The Guard as ``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def hash(self) -> str:
        """The label value of its mark."""
        return names.guard_hash(self.installation, self.namespace, self.name)


class Releasing:
    """Lets go of the objects of Guards, one Guard after the other."""

    def __init__(
        self,
        client: clients.Client,
        *,
        installation: str,
        is_dry: bool = False,
        timing_: timing.Timing = timing.REAL,
    ) -> None:
        self._client = client
        self._installation = installation
        self._is_dry = is_dry
        self._timing = timing_
        self._discovery = discovery.Discovery(client)
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._refused_until = 0.0
        self._kinds: set[Kind] = set()

    async def find(self, wanted: str, *, namespace: str) -> list[Release]:
        """Give the Guards that are meant by ``name`` or ``namespace/name``; all if empty.

        A Guard that is gone counts while its inventory is there. For all, also those count that
        only marks of this installation still name. A Guard that nothing knows is given where the
        name comes with a namespace: marks may be left of it. Raises NoSuchGuard, NotInstalled and
        ClusterError.
        """
        place, _, name = wanted.rpartition("/")
        place = place or namespace
        found: dict[str, Release] = {}
        for guard in await self._own(session.GUARDS, place):
            metadata = guard["metadata"]
            one = self._add(found, metadata["namespace"], metadata["name"])
            one.uid = metadata["uid"]
        for shard in await self._own(session.INVENTORIES, place):
            spec = shard.get("spec") or {}
            one = self._add(found, shard["metadata"]["namespace"], str(spec.get("guard") or ""))
            one.is_known = True
        for one in found.values():
            await self._read_inventory(one)
            self._kinds |= {(key.group, key.kind) for key in one.inventoried}
        if name:
            found = {title: one for title, one in found.items() if one.name == name}
            if not found and place:
                self._add(found, place, name)
            if not found:
                raise cli_errors.NoSuchGuard(wanted, place)
        else:
            await self._add_forgotten(found, place)
        return [found[title] for title in sorted(found)]

    async def release(self, guards: Sequence[Release]) -> None:
        """Set all Guards aside, then let go of their objects; tells of failures in the Guards."""
        for one in guards:
            await self._noting(one, f"Guard {one.title}", self._set_aside(one))
        # Webhooks may refuse for a moment after the last Guard has gone, and no longer.
        self._refused_until = self._timing.clock() + _LEARNT_WITHIN_SECONDS
        for one in guards:
            if one.is_set_aside:
                await self._release_objects(one)
                if not one.failed and not self._is_dry:
                    await self._noting(one, f"The inventory of {one.title}", self._forget(one))

    def _add(self, found: dict[str, Release], namespace: str, name: str) -> Release:
        one = Release(self._installation, namespace, name)
        return found.setdefault(one.title, one)

    async def _own(self, resource: resources.Resource, namespace: str) -> list[objects.RawObject]:
        return await session.list_own(self._client, resource, namespace=namespace)

    async def _add_forgotten(self, found: dict[str, Release], place: str) -> None:
        """Add the Guards of this installation that only marks still name."""
        for kind in sorted({*self._kinds, *_EVERYDAY_KINDS}):
            for obj in await self._marked(kind, names.LABEL_GUARD):
                marked = mark.read(obj)
                origin = None if marked is None else marked.origin
                if origin is None or origin.installation != self._installation:
                    continue
                namespace, _, name = origin.guard.partition("/")
                if name and place in {"", namespace}:
                    self._add(found, namespace, name)

    def _store(self, one: Release) -> store.InventoryStore:
        return store.InventoryStore(
            self._client,
            namespace=one.namespace,
            guard=one.name,
            guard_uid=one.uid,
            guard_hash=one.hash,
        )

    async def _read_inventory(self, one: Release) -> None:
        try:
            one.inventoried |= (await self._store(one).load()).keys()
        except inventory_errors.InventoryError as error:
            one.is_known = False
            output.tell(f"{output.one_line(str(error))} Its objects are looked for by their marks.")

    async def _noting(self, one: Release, title: str, work: Awaitable[None]) -> None:
        """Do a piece of work, and keep why it failed: the rest goes on."""
        try:
            await work
        except errors.HoldfastError as error:
            one.failed[title] = f"{title}: {error}"

    async def _set_aside(self, one: Release) -> None:
        """Delete the Guard, wait until it is gone, and read what it has applied to the last."""
        if one.uid and not self._is_dry:
            await self._delete_guard(one)
            await self._keep_inventory(one)
            await self._until_gone(one)
            await self._read_inventory(one)
        one.is_set_aside = True

    async def _delete_guard(self, one: Release) -> None:
        """Delete the Guard; one that is itself guarded may be refused until its Guard is gone."""
        until = self._timing.clock() + _LEARNT_WITHIN_SECONDS
        while True:
            try:
                await verbs.delete(
                    self._client,
                    session.GUARDS,
                    one.namespace,
                    one.name,
                    uid=one.uid,
                    propagation_policy="Orphan",
                )
            except (cluster_errors.NotFound, cluster_errors.Conflict):
                return  # gone; a Guard that was made anew meanwhile was not asked for
            except cluster_errors.Forbidden:
                if self._timing.clock() > until:
                    raise
                await self._timing.sleep(_EVERY_SECONDS)
            else:
                return

    async def _keep_inventory(self, one: Release) -> None:
        """Part the shards from their Guard, as `Orphan` should.

        A garbage collector that has not yet learnt of a kind (it looks every 30 s) parts none, and
        deletes them later.
        """
        for shard in await self._own(session.INVENTORIES, one.namespace):
            labels = shard["metadata"].get("labels") or {}
            if labels.get(names.LABEL_INVENTORY) == one.hash:
                await verbs.patch(
                    self._client,
                    session.INVENTORIES,
                    one.namespace,
                    shard["metadata"]["name"],
                    {"metadata": {"ownerReferences": None}},
                    content_type=verbs.MERGE_PATCH,
                    manager=MANAGER,
                )

    async def _until_gone(self, one: Release) -> None:
        """Wait until the Guard is gone. Raises GuardStays."""
        until = self._timing.clock() + _GONE_WITHIN_SECONDS
        while self._timing.clock() < until:
            guard = await session.get_own(self._client, session.GUARDS, one.namespace, one.name)
            if guard is None:
                return
            if guard["metadata"]["uid"] != one.uid:
                raise cli_errors.GuardStays(one.title, "somebody has made it anew")
            await self._timing.sleep(_EVERY_SECONDS)
        raise cli_errors.GuardStays(
            one.title, f"it is still there {_GONE_WITHIN_SECONDS:g} s later"
        )

    async def _release_objects(self, one: Release) -> None:
        kinds = self._kinds | {(key.group, key.kind) for key in one.inventoried}
        if not one.is_known:
            kinds |= set(_EVERYDAY_KINDS)
        pending = set(one.inventoried)
        for number in range(_ROUNDS):
            for kind in sorted(kinds):
                found = await self._marked(kind, f"{names.LABEL_GUARD}={one.hash}", one)
                pending |= {keys.ObjectKey.of(obj) for obj in found}
            pending -= {key for key in pending if key.title in one.failed}
            if not pending:
                return
            async with asyncio.TaskGroup() as group:
                for key in sorted(pending):
                    group.create_task(self._noting(one, key.title, self._release_object(one, key)))
            if self._is_dry or not one.uid or number == _ROUNDS - 1:
                return
            await self._timing.sleep(_SETTLING_SECONDS)
            pending = set()

    async def _marked(
        self, kind: Kind, selector: str, one: Release | None = None
    ) -> list[objects.RawObject]:
        """List the marked objects of a kind; none where the kind is not served.

        What cannot be listed counts as a failure of ``one``, unless it has an inventory: that
        names the objects, and who may only touch some namespaces cannot list in all of them.
        """
        try:
            resource = await self._discovery.find_kind(*kind)
            return await verbs.list_all(self._client, resource, label_selector=selector)
        except cluster_errors.ClusterError as error:
            is_unserved = isinstance(
                error, cluster_errors.UnknownKind | cluster_errors.NotServed
            ) and not isinstance(error, cluster_errors.GroupUnavailable)
            if one is not None and not one.is_known and not is_unserved:
                title = f"{kind[1]}.{kind[0]}" if kind[0] else kind[1]
                one.failed[title] = f"{title} of {one.title} could not be looked for: {error}"
            return []

    async def _release_object(self, one: Release, key: keys.ObjectKey) -> None:
        """Take what is ours off one object; nothing where there is nothing, or no object.

        Raises ClusterError.
        """
        async with self._at_once:
            try:
                resource = await self._discovery.find_kind(key.group, key.kind)
                if await self._unmark(resource, key, one.hash):
                    one.released.add(key)
            except cluster_errors.GroupUnavailable:
                raise
            except (cluster_errors.UnknownKind, cluster_errors.NotFound):
                return

    async def _unmark(
        self, resource: resources.Resource, key: keys.ObjectKey, guard_hash: str
    ) -> bool:
        attempts = 0
        while True:
            live = await verbs.get(self._client, resource, key.namespace, key.name)
            patch = unmarking.patch_of(live, guard_hash=guard_hash)
            if self._is_dry or not patch:
                return bool(patch)
            attempts += 1
            try:
                await verbs.patch(
                    self._client,
                    resource,
                    key.namespace,
                    key.name,
                    patch,
                    content_type=verbs.JSON_PATCH,
                    manager=MANAGER,
                )
            except cluster_errors.Conflict:  # somebody was quicker
                if attempts == _ATTEMPTS:
                    raise
            except cluster_errors.Forbidden:
                if self._timing.clock() > self._refused_until:
                    raise
                await self._timing.sleep(_EVERY_SECONDS)
            else:
                return True

    async def _forget(self, one: Release) -> None:
        """Delete what the guard process has kept about the Guard. Raises ClusterError."""
        await self._store(one).delete_all()
        for report in await self._own(session.REPORTS, one.namespace):
            if (report.get("spec") or {}).get("guard") != one.name:
                continue
            metadata = report["metadata"]
            try:
                await verbs.delete(
                    self._client,
                    session.REPORTS,
                    one.namespace,
                    metadata["name"],
                    uid=metadata["uid"],
                )
            except (cluster_errors.NotFound, cluster_errors.Conflict):
                continue

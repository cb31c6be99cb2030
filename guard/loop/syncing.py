"""Bringing a Guard's objects to one revision: render, check, record intent, apply, record."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Container, Iterable
from typing import Any, Final, Protocol

import structlog

from guard import errors as root_errors
from guard.api import keys, objects
from guard.cluster import discovery, resources
from guard.cluster import errors as cluster_errors
from guard.inventory import entries, mark
from guard.inventory import store as inventory_store
from guard.loop import applying, drift, errors, keeper, plan
from guard.render import cache, manifests
from guard.sources import source

_LOG: Final = structlog.get_logger(__name__)

_ESTABLISHED_WITHIN_SECONDS: Final = 30.0
_ESTABLISHED_EVERY_SECONDS: Final = 0.1


Known = dict[keys.ObjectKey, entries.Entry]
"""What an inventory says that was applied."""

_ORPHANED: Final = entries.State.ORPHANED
_NEEDED_VERBS: Final = frozenset({"get", "list", "patch", "watch"})


class Watches(Protocol):
    """Where the loop asks for a kind to be watched."""

    def watch(self, resource: resources.Resource, namespace: str) -> None:
        """Watch the guarded objects of a kind from now on; again is no harm.

        In one namespace, or in all if it is empty.
        """


class Pin(Protocol):
    """Keeps a revision readable; ``whole`` once all of it is known, so that no older is needed."""

    def __call__(self, revision: source.Revision, *, whole: bool = False) -> Awaitable[None]:
        """Keep it. Raises SourceError."""


@dataclasses.dataclass(frozen=True, slots=True)
class Synced:
    """The end of one pass. ``faults`` are for a person to mend; the rest was applied."""

    revision: source.Revision
    faults: tuple[root_errors.HoldfastError, ...]


class Syncer:
    """Brings the objects of one Guard to a revision.

    ``pin`` keeps a revision readable in the mirror.
    """

    def __init__(
        self,
        *,
        owner: plan.Owner,
        keeper_: keeper.Keeper,
        applier: applying.Applier,
        discovery_: discovery.Discovery,
        inventory: inventory_store.InventoryStore,
        watches: Watches,
        pin: Pin,
    ) -> None:
        self._owner = owner
        self._keeper = keeper_
        self._applier = applier
        self._discovery = discovery_
        self._inventory = inventory
        self._watches = watches
        self._pin = pin
        self._parsed = cache.ParsedFiles()
        self._left: dict[keys.ObjectKey, entries.Entry] = {}
        """What an earlier process applied and no revision that was read since has named."""

    async def load(self) -> bool:
        """Read what an earlier process left; tell whether there is anything.

        It is compared instead of applied where a revision says the same of it, and stays in the
        inventory until a revision without faults does not name it. Raises ClusterError,
        InventoryError.
        """
        known = await self._inventory.load()
        self._left = {
            key: one
            for key, one in known.items()
            if one.state is not _ORPHANED and key not in self._keeper.objects
        }
        self._keeper.orphans.update({k: one for k, one in known.items() if one.state is _ORPHANED})
        return bool(known)

    @property
    def has_left(self) -> bool:
        """Tell whether something that an earlier process applied is not guarded by this one."""
        return bool(self._left)

    async def sync(self, tree: source.Tree, *, target_namespace: str | None) -> Synced:
        """Bring every object to what the tree says; one refused object never stops the others.

        Raises ClusterError, InventoryError and SourceError where the API server does not say what
        it serves, or the intent cannot be recorded: nothing was applied then, and what was applied
        before stays guarded.
        """
        rendering = await asyncio.to_thread(manifests.render, tree, cache=self._parsed)
        faults: list[root_errors.HoldfastError] = list(rendering.faults)
        if not rendering.manifests and not rendering.faults:
            faults.append(errors.NothingRendered(self._owner, tree.revision.short))
        desired, unserved = await self._desire(rendering.manifests, faults, target_namespace)
        changed, known = await self._accept(desired, tree.revision, target_namespace)
        first = [guarded for guarded in changed if plan.goes_first(guarded.desired.gvk)]
        await self._bring(first, known, faults)
        if unserved:  # the definitions that came first may serve them now
            again = [one for one, _ in unserved]
            later, still_unserved = await self._desire(again, faults, target_namespace)
            faults.extend(fault for _, fault in still_unserved)
            late, known_too = await self._accept(later, tree.revision, target_namespace)
            desired |= later
            changed += late
            known |= known_too
        rest = [guarded for guarded in changed if not plan.goes_first(guarded.desired.gvk)]
        await self._bring(rest, known, faults)
        if not faults:
            await self._orphan(desired, target_namespace)
            await self._pin(tree.revision, whole=True)
        return Synced(tree.revision, tuple(faults))

    async def take_up_left(self, tree: source.Tree, *, target_namespace: str | None) -> None:
        """Guard what is left as an older revision says, where that is what was applied last.

        For files that the newest revision has broken. Raises ClusterError.
        """
        rendering = await asyncio.to_thread(manifests.render, tree)
        named = [one for one in rendering.manifests if self._is_left(one, target_namespace)]
        desired, _ = await self._desire(named, [], target_namespace)
        same = {key: one for key, one in desired.items() if _is_same(self._left.get(key), one)}
        changed, known = self._switch(same, target_namespace)
        await self._bring(changed, known, [])

    def _is_left(self, manifest: manifests.Manifest, target_namespace: str | None) -> bool:
        key = manifest.key
        namespaces = {key.namespace, target_namespace or self._owner.namespace, ""}
        return any(dataclasses.replace(key, namespace=one) in self._left for one in namespaces)

    async def _desire(
        self,
        rendered: Iterable[manifests.Manifest],
        faults: list[root_errors.HoldfastError],
        target_namespace: str | None,
    ) -> tuple[
        dict[keys.ObjectKey, plan.Desired], list[tuple[manifests.Manifest, errors.NotServed]]
    ]:
        """Make desired objects; manifests of kinds that are not served (yet) come back.

        Raises ClusterError where the server does not say what it serves: that is no fault of any
        one object.
        """
        found: list[plan.Desired] = []
        unserved: list[tuple[manifests.Manifest, errors.NotServed]] = []
        unknown: set[keys.GroupVersionKind] = set()  # asked for once, however many objects
        for one in rendered:
            try:
                resource = await self._find(one.gvk, unknown)
                _check_verbs(one, resource)
                found.append(
                    plan.desire(
                        one,
                        resource,
                        owner=self._owner,
                        target_namespace=target_namespace,
                    )
                )
            except cluster_errors.UnknownKind as error:
                sentence = f"the API server serves no {one.gvk}"
                if isinstance(error, cluster_errors.GroupUnavailable):
                    sentence = str(error)
                fault = errors.NotServed(one.key, one.file, one.line, sentence)
                unserved.append((one, fault))
            except cluster_errors.ClusterError:
                raise
            except root_errors.HoldfastError as error:
                faults.append(error)
            except Exception as error:  # noqa: BLE001 - logged; the other manifests go on
                _LOG.exception("a manifest cannot be used", file=one.file, line=one.line)
                sentence = f"a fault of Holdfast ({type(error).__name__}); its log tells more"
                faults.append(errors.Unforeseen(one.key, one.file, one.line, sentence))
        desired, twice = plan.unique(found)
        faults.extend(twice)
        return desired, unserved

    async def _find(
        self, gvk: keys.GroupVersionKind, unknown: set[keys.GroupVersionKind]
    ) -> resources.Resource:
        if gvk in unknown:
            raise cluster_errors.UnknownKind(str(gvk))
        try:
            return await self._discovery.find(gvk)
        except cluster_errors.UnknownKind:
            unknown.add(gvk)
            raise

    async def _accept(
        self,
        desired: dict[keys.ObjectKey, plan.Desired],
        revision: source.Revision,
        target_namespace: str | None,
    ) -> tuple[list[drift.Guarded], Known]:
        """Record what is about to be applied, keep its revision, and make it the desired one.

        A process that dies in the middle of applying then still knows what may exist, and goes on
        with this revision, not with an older one. Nothing is switched before both are written.
        """
        intended = {entry.key: entry for entry in self._entries()}
        for key, one in desired.items():
            guarded = self._keeper.objects.get(key)
            before = intended.get(key)
            if before is None or key in self._keeper.orphans:
                uid = before.uid if before is not None else ""
                intended[key] = drift.Guarded(one, uid=uid).entry()
            elif guarded is not None and guarded.desired.sent == one.sent and guarded.is_applied:
                continue
            elif not _is_same(self._left.get(key), one):
                intended[key] = dataclasses.replace(before, state=entries.State.PENDING)
        await self._inventory.save(intended.values(), revision=revision.id)
        await self._pin(revision)
        self._keeper.notes.revision = revision.short
        return self._switch(desired, target_namespace)

    def _switch(
        self, desired: dict[keys.ObjectKey, plan.Desired], target_namespace: str | None
    ) -> tuple[list[drift.Guarded], Known]:
        """Make this the desired state, all at once; give the objects to bring.

        From here on nothing older is written to them. What an earlier process recorded of them is
        given too.
        """
        guarded_now = self._keeper.objects
        changed: list[drift.Guarded] = []
        known: Known = {}
        for key, one in desired.items():
            guarded = guarded_now.get(key)
            if guarded is None:
                guarded = guarded_now[key] = drift.Guarded(one)
                orphan = self._keeper.orphans.pop(key, None)
                left = self._left.pop(key, None)
                if left is not None:
                    known[key] = left
                entry = left or orphan
                if entry is not None:
                    guarded.uid = entry.uid
            elif guarded.desired.sent == one.sent and guarded.is_applied:
                guarded.desired = one
                continue
            guarded.desired = one
            guarded.state = entries.State.PENDING
            changed.append(guarded)
        for resource in {guarded.desired.resource for guarded in changed}:
            self._watches.watch(resource, target_namespace or "")
        return changed, known

    async def save(self, revision_id: str) -> None:
        """Write what is guarded into the inventory; only shards that changed are written."""
        await self._inventory.save(self._entries(), revision=revision_id)

    def _entries(self) -> list[entries.Entry]:
        known = [guarded.entry() for guarded in self._keeper.objects.values()]
        return [*known, *self._keeper.orphans.values(), *self._left.values()]

    async def _bring(
        self,
        changed: list[drift.Guarded],
        known: Known,
        faults: list[root_errors.HoldfastError],
    ) -> None:
        lives = await self._applier.lives([guarded.desired for guarded in changed])
        async with asyncio.TaskGroup() as group:
            for guarded in changed:
                entry = known.get(guarded.key)
                live = lives.get(guarded.key)
                if entry is not None and _is_same(entry, guarded.desired):
                    group.create_task(self._keeper.adopt(guarded, entry, live))
                else:
                    group.create_task(self._keeper.bring(guarded, live))
        definitions = [
            guarded
            for guarded in changed
            if guarded.key.kind == "CustomResourceDefinition" and guarded.is_applied
        ]
        waited = await asyncio.gather(*map(self._wait_established, definitions))
        faults.extend(fault for fault in waited if fault is not None)

    async def _wait_established(self, guarded: drift.Guarded) -> errors.NotEstablished | None:
        """Wait until a CustomResourceDefinition is served; give what is wrong if it is not."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _ESTABLISHED_WITHIN_SECONDS
        while True:
            why = ""
            try:
                live = await self._applier.get(guarded.desired)
            except cluster_errors.ClusterError as error:
                live, why = None, f" ({error})"
            if live is not None and _is_established(live):
                return None
            if loop.time() >= deadline:
                return errors.NotEstablished(
                    guarded.key,
                    guarded.desired.file,
                    guarded.desired.line,
                    f"is not Established after {_ESTABLISHED_WITHIN_SECONDS:.0f} s{why}",
                )
            await asyncio.sleep(_ESTABLISHED_EVERY_SECONDS)

    async def _orphan(
        self, desired: Container[keys.ObjectKey], target_namespace: str | None
    ) -> None:
        """Report what left the source; it is not deleted, and no longer kept."""
        leaving = [one for key, one in self._keeper.objects.items() if key not in desired]
        for guarded in leaving:
            self._keeper.forget(guarded.key)
        left, self._left = self._left, {}
        for entry in [*left.values(), *(guarded.entry() for guarded in leaving)]:
            orphan = await self._as_orphan(entry)
            if orphan is not None:
                self._keeper.orphans[entry.key] = orphan
                _LOG.info(
                    "an object left the source", guard=str(self._owner), object=entry.key.title
                )
        for entry in self._keeper.orphans.values():
            self._watches.watch(_resource_of(entry), target_namespace or "")

    async def _as_orphan(self, entry: entries.Entry) -> entries.Entry | None:
        """Give what is reported; None where the object was never applied."""
        if not entry.uid:  # intended, but what became of it is not on record
            try:
                live = await self._applier.get_at(entry.key, _resource_of(entry))
            except cluster_errors.ClusterError:
                live = None
            found = mark.read(live) if live is not None else None
            if live is None or found is None or found.guard_hash != self._owner.hash:
                return None
            entry = dataclasses.replace(entry, uid=objects.metadata_of(live)["uid"])
        return dataclasses.replace(entry, state=_ORPHANED)


def _is_same(entry: entries.Entry | None, desired: plan.Desired) -> bool:
    """Tell whether an earlier process has applied just what would be applied now."""
    return (
        entry is not None
        and entry.state is not entries.State.PENDING
        and entry.sent == desired.sent_digest
    )


def _check_verbs(manifest: manifests.Manifest, resource: resources.Resource) -> None:
    missing = sorted(_NEEDED_VERBS - resource.verbs)
    if missing:
        raise errors.Unsupported(
            manifest.key,
            manifest.file,
            manifest.line,
            f"a {resource.kind} cannot be guarded: the API server offers no {missing[0]} for it",
        )


def _resource_of(entry: entries.Entry) -> resources.Resource:
    gvk = entry.gvk
    return resources.Resource(
        gvk.group, gvk.version, gvk.kind, entry.resource, namespaced=bool(entry.key.namespace)
    )


def _is_established(crd: dict[str, Any]) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(
        one.get("type") == "Established" and one.get("status") == "True" for one in conditions
    )

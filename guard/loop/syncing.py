"""Bringing a Guard's objects to one revision: render, check, record intent, apply, record."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import structlog

from guard import errors as root_errors
from guard.api import keys
from guard.cluster import discovery, resources
from guard.cluster import errors as cluster_errors
from guard.inventory import entries
from guard.inventory import store as inventory_store
from guard.loop import applying, drift, errors, keeper, plan
from guard.render import cache, manifests
from guard.sources import source

_LOG: Final = structlog.get_logger(__name__)

_ESTABLISHED_WITHIN_SECONDS: Final = 30.0
_ESTABLISHED_EVERY_SECONDS: Final = 0.1


Known = Mapping[keys.ObjectKey, entries.Entry]
"""What an inventory says that was applied."""


class Watches(Protocol):
    """Where the loop asks for a kind to be watched."""

    def watch(self, resource: resources.Resource) -> None:
        """Watch the guarded objects of a kind from now on; again is no harm."""


@dataclasses.dataclass(frozen=True, slots=True)
class Synced:
    """The end of one pass. ``faults`` are for a person to mend; the rest was applied."""

    revision: source.Revision
    faults: tuple[root_errors.HoldfastError, ...]


class Syncer:
    """Brings the objects of one Guard to a revision.

    ``target_namespace`` gives ``spec.target.namespace``, which may change between passes; ``pin``
    keeps a revision readable in the mirror.
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
        target_namespace: Callable[[], str | None],
        pin: Callable[[source.Revision], Awaitable[None]],
    ) -> None:
        self._owner = owner
        self._keeper = keeper_
        self._applier = applier
        self._discovery = discovery_
        self._inventory = inventory
        self._watches = watches
        self._target_namespace = target_namespace
        self._pin = pin
        self._parsed = cache.ParsedFiles()

    async def load(self) -> Known:
        """Read what an earlier process left; what had left the source stays known as such.

        Raises ClusterError, InventoryError.
        """
        known = await self._inventory.load()
        self._keeper.orphans.update(
            {k: entry for k, entry in known.items() if entry.state is entries.State.ORPHANED}
        )
        return {k: entry for k, entry in known.items() if k not in self._keeper.orphans}

    async def sync(
        self,
        tree: source.Tree,
        *,
        adopting: Known | None = None,
    ) -> Synced:
        """Bring every object to what the tree says; one refused object never stops the others.

        ``adopting`` is the inventory of an earlier process that applied this very revision: what
        it names is compared instead of applied.

        Raises ClusterError and InventoryError where the intent cannot be recorded: nothing was
        applied then.
        """
        rendering = await asyncio.to_thread(manifests.render, tree, cache=self._parsed)
        faults: list[root_errors.HoldfastError] = list(rendering.faults)
        if not rendering.manifests and not rendering.faults:
            faults.append(errors.NothingRendered(self._owner, tree.revision.short))
        desired, unserved = await self._desire(rendering.manifests, faults)
        changed = self._switch(desired, tree.revision, adopting)
        await self._record_intent(changed, tree.revision, adopting)
        await self._bring([g for g in changed if plan.goes_first(g.desired.gvk)], adopting, faults)
        if unserved:  # the definitions that came first may serve them now
            later, still_unserved = await self._desire([one for one, _ in unserved], faults)
            faults.extend(fault for _, fault in still_unserved)
            late = self._switch(later, tree.revision, adopting)
            await self._record_intent(late, tree.revision, adopting)
            desired |= later
            changed += late
        rest = [g for g in changed if not plan.goes_first(g.desired.gvk)]
        await self._bring(rest, adopting, faults)
        if not faults:
            self._orphan(desired)
        return Synced(tree.revision, tuple(faults))

    async def _desire(
        self,
        rendered: Iterable[manifests.Manifest],
        faults: list[root_errors.HoldfastError],
    ) -> tuple[
        dict[keys.ObjectKey, plan.Desired], list[tuple[manifests.Manifest, errors.NotServed]]
    ]:
        """Make desired objects; manifests of kinds that are not served (yet) come back."""
        found: list[plan.Desired] = []
        unserved: list[tuple[manifests.Manifest, errors.NotServed]] = []
        unknown: set[keys.GroupVersionKind] = set()  # asked for once, however many objects
        for one in rendered:
            try:
                resource = await self._find(one.gvk, unknown)
                found.append(
                    plan.desire(
                        one,
                        resource,
                        owner=self._owner,
                        target_namespace=self._target_namespace(),
                    )
                )
            except cluster_errors.UnknownKind:
                fault = errors.NotServed(
                    one.key, one.file, one.line, f"the API server serves no {one.gvk}"
                )
                unserved.append((one, fault))
            except root_errors.HoldfastError as error:
                faults.append(error)
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

    def _switch(
        self,
        desired: dict[keys.ObjectKey, plan.Desired],
        revision: source.Revision,
        adopting: Known | None,
    ) -> list[drift.Guarded]:
        """Make the new revision the desired one, all at once; give the objects to bring.

        From here on nothing older is written to them.
        """
        objects = self._keeper.objects
        self._keeper.revision = revision.short
        changed: list[drift.Guarded] = []
        for key, one in desired.items():
            guarded = objects.get(key)
            if guarded is None:
                guarded = objects[key] = drift.Guarded(one)
                orphan = self._keeper.orphans.pop(key, None)
                entry = (adopting or {}).get(key) or orphan
                if entry is not None:
                    guarded.uid = entry.uid
            elif guarded.desired.sent == one.sent and guarded.is_applied:
                guarded.desired = one
                continue
            guarded.desired = one
            guarded.state = entries.State.PENDING
            changed.append(guarded)
        return changed

    async def _record_intent(
        self,
        changed: list[drift.Guarded],
        revision: source.Revision,
        adopting: Known | None,
    ) -> None:
        """Write down what is about to be applied, and keep its revision.

        A process that dies in the middle of applying then still knows what may exist, and goes on
        with this revision, not with an older one.
        """
        if adopting is None and changed:
            await self.save(revision.id)
        await self._pin(revision)

    async def save(self, revision_id: str) -> None:
        """Write what is guarded into the inventory; only shards that changed are written."""
        known = [guarded.entry() for guarded in self._keeper.objects.values()]
        await self._inventory.save([*known, *self._keeper.orphans.values()], revision=revision_id)

    async def _bring(
        self,
        changed: list[drift.Guarded],
        adopting: Known | None,
        faults: list[root_errors.HoldfastError],
    ) -> None:
        for resource in {guarded.desired.resource for guarded in changed}:
            self._watches.watch(resource)
        lives = await self._applier.lives([guarded.desired for guarded in changed])
        async with asyncio.TaskGroup() as group:
            for guarded in changed:
                entry = (adopting or {}).get(guarded.key)
                live = lives.get(guarded.key)
                if entry is not None and _is_adoptable(guarded, entry):
                    group.create_task(self._keeper.adopt(guarded, entry, live))
                else:
                    group.create_task(self._keeper.bring(guarded, live))
        for guarded in changed:
            if guarded.key.kind == "CustomResourceDefinition" and guarded.is_applied:
                try:
                    await self._wait_established(guarded)
                except root_errors.HoldfastError as error:
                    faults.append(error)

    async def _wait_established(self, guarded: drift.Guarded) -> None:
        """Wait until a CustomResourceDefinition is served. Raises NotEstablished, ClusterError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _ESTABLISHED_WITHIN_SECONDS
        while True:
            live = await self._applier.get(guarded.desired)
            if live is not None and _is_established(live):
                return
            if loop.time() >= deadline:
                raise errors.NotEstablished(
                    guarded.key,
                    guarded.desired.file,
                    guarded.desired.line,
                    f"is not Established after {_ESTABLISHED_WITHIN_SECONDS:.0f} s",
                )
            await asyncio.sleep(_ESTABLISHED_EVERY_SECONDS)

    def _orphan(self, desired: dict[keys.ObjectKey, plan.Desired]) -> None:
        """Report what left the source; it is not deleted, and no longer kept."""
        for key in [key for key in self._keeper.objects if key not in desired]:
            guarded = self._keeper.objects[key]
            self._keeper.forget(key)
            if guarded.uid:
                self._keeper.orphans[key] = dataclasses.replace(
                    guarded.entry(), state=entries.State.ORPHANED
                )
                _LOG.info("an object left the source", guard=str(self._owner), object=key.title)


def _is_adoptable(guarded: drift.Guarded, entry: entries.Entry) -> bool:
    """Tell whether an earlier process has applied just what would be applied now."""
    return entry.state is not entries.State.PENDING and entry.sent == guarded.desired.sent_digest


def _is_established(crd: dict[str, Any]) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(
        one.get("type") == "Established" and one.get("status") == "True" for one in conditions
    )

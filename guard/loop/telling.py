"""Writing down how one Guard fares: inventory, DriftReport, status, Events. Only on change."""

import asyncio
import dataclasses
from typing import Final

import structlog

from guard import errors as root_errors
from guard.api import guards, objects
from guard.cluster import errors as cluster_errors
from guard.inventory import errors as inventory_errors
from guard.inventory import store as inventory_store
from guard.loop import keeper, plan, publishing, reporting, status, syncing
from guard.loop import tools as tools_
from guard.sources import source

_LOG: Final = structlog.get_logger(__name__)

_PUBLISH_EVERY_SECONDS: Final = 0.2
"""Changes within this time share one status write."""

RECONCILING_AFTER_SECONDS: Final = 1.0
"""A pass that is quicker is not worth a write that says that it is under way."""


@dataclasses.dataclass(slots=True)
class Progress:
    """What one loop knows of itself.

    ``syncing_since`` is the monotonic time at which the pass began that is under way;
    ``source_fault`` is why the source cannot be read, ``blocked`` why nothing can be applied at
    all, ``invalid`` what is wrong with the newest spec.
    """

    raw: objects.RawObject
    spec: guards.GuardSpec | None = None
    observed: source.Revision | None = None
    synced: syncing.Synced | None = None
    syncing_since: float | None = None
    source_fault: root_errors.HoldfastError | None = None
    blocked: root_errors.HoldfastError | None = None
    invalid: root_errors.HoldfastError | None = None


class Teller:
    """Writes what changed; satisfies ``notes.Journal``. Ask for a write by ``state_changed``."""

    def __init__(self, progress: Progress, *, owner: plan.Owner, tools: tools_.Tools) -> None:
        self._progress = progress
        self._owner = owner
        self._tools = tools
        self._dirty = asyncio.Event()
        self._inventory_due = False
        self._seen: dict[tuple[str, str], publishing.Seen] = {}
        standing: guards.GuardStatus = progress.raw.get("status") or {}
        self._conditions = standing.get("conditions") or []
        self._applied = ""
        self._applied_time = ""
        self._applied_before = (
            standing.get("appliedRevision", ""),
            standing.get("lastAppliedTime", ""),
        )

    def state_changed(self) -> None:
        """Let the status be written soon: the state of an object changed."""
        self._dirty.set()

    def inventory_changed(self) -> None:
        """Let status and inventory be written soon: an object is another one than recorded."""
        self._inventory_due = True
        self._dirty.set()

    def saw(self, seen: publishing.Seen) -> None:
        """Look at what became of an Inventory or DriftReport: nobody else should write them."""
        self._seen[seen.kind, seen.name] = seen
        self._dirty.set()

    async def run(
        self,
        keeper_: keeper.Keeper,
        syncer: syncing.Syncer,
        inventory: inventory_store.InventoryStore,
        publisher: publishing.Publisher,
    ) -> None:
        """Write until cancelled; what cannot be written is tried again."""
        attempt = 0
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._check(inventory, publisher)
                await self._save(syncer)
                await self._publish(keeper_, publisher)
            except (cluster_errors.ClusterError, inventory_errors.InventoryError) as error:
                attempt += 1
                _LOG.warning(
                    "the state of a Guard was not written", guard=str(self._owner), error=str(error)
                )
                await self._tools.timing.back_off(attempt)
                self._dirty.set()
                continue
            attempt = 0
            await self._tools.timing.sleep(_PUBLISH_EVERY_SECONDS)

    async def _check(
        self, inventory: inventory_store.InventoryStore, publisher: publishing.Publisher
    ) -> None:
        while self._seen:
            _, seen = self._seen.popitem()
            if seen.kind == publishing.REPORTS.kind:
                publisher.saw_report(seen)
            elif await inventory.is_lost(
                seen.name,
                uid=seen.uid,
                resource_version=seen.resource_version,
                deleted=seen.deleted,
            ):
                _LOG.warning(
                    "somebody changed an Inventory, which is written again",
                    guard=str(self._owner),
                    inventory=seen.name,
                )
                self._inventory_due = True

    async def _save(self, syncer: syncing.Syncer) -> None:
        progress = self._progress
        if not self._inventory_due or progress.syncing_since is not None or not progress.synced:
            return
        self._inventory_due = False
        try:
            await syncer.save(progress.synced.revision.id)
        except BaseException:
            self._inventory_due = True
            raise

    async def _publish(self, keeper_: keeper.Keeper, publisher: publishing.Publisher) -> None:
        view = self._view(keeper_)
        written = status.status_of(view, self._conditions, now=self._tools.now())
        self._conditions = written["conditions"]
        await publisher.write_report(
            reporting.report_of(
                keeper_.objects.values(),
                keeper_.orphans.values(),
                owner=self._owner,
                masker=self._tools.masker,
                revision=keeper_.notes.revision,
                orphaned_since=self._applied_time or self._tools.now_text(),
            )
        )
        await publisher.write_status(written)  # after the report that it points to
        await publisher.tell_all(status.news_of(view))

    def _view(self, keeper_: keeper.Keeper) -> status.View:
        everything = list(keeper_.objects.values())
        progress = self._progress
        synced = progress.synced
        if (
            synced is not None
            and not synced.faults
            and synced.revision.short != self._applied
            and all(one.is_applied for one in everything)
        ):
            self._applied = synced.revision.short
            before, time = self._applied_before
            self._applied_time = time if before == self._applied else self._tools.now_text()
        since = progress.syncing_since
        return status.View(
            generation=objects.metadata_of(progress.raw).get("generation", 0),
            source=_describe_source(progress.spec),
            observed=progress.observed.short if progress.observed else "",
            applied=self._applied,
            applied_time=self._applied_time,
            objects=everything,
            orphaned=len(keeper_.orphans),
            restored=keeper_.restored,
            faults=synced.faults if synced else (),
            source_fault=progress.source_fault,
            blocked=progress.invalid or progress.blocked,
            reconciling=since is not None
            and self._tools.timing.clock() - since >= RECONCILING_AFTER_SECONDS,
        )


def _describe_source(spec: guards.GuardSpec | None) -> str:
    if spec is None:
        return ""
    return f"{source.shown_url(spec.source.git.url)}#{spec.source.git.path}"

"""One Guard's loop: from its source to the cluster, and back again for as long as it exists."""

import asyncio
import contextlib
from typing import Final

import structlog

from guard import errors as root_errors
from guard.api import errors as api_errors
from guard.api import guards, names, objects
from guard.cluster import discovery
from guard.cluster import errors as cluster_errors
from guard.inventory import errors as inventory_errors
from guard.inventory import store as inventory_store
from guard.loop import (
    applying,
    errors,
    keeper,
    plan,
    publishing,
    recording,
    reporting,
    status,
    syncing,
    watching,
)
from guard.loop import (
    tools as tools_,
)
from guard.sources import errors as source_errors
from guard.sources import source

_LOG: Final = structlog.get_logger(__name__)

_PUBLISH_EVERY_SECONDS: Final = 0.2
"""Changes within this time share one status write."""

_RETRY_MAX_SECONDS: Final = 300.0
"""The longest wait before a revision with faults that may heal is tried again."""

_RECONCILING_AFTER_SECONDS: Final = 1.0
"""A pass that is quicker is not worth a write that says that it is under way."""

_MAY_HEAL: Final = (errors.NotServed, errors.NotEstablished, cluster_errors.ClusterError)
"""Faults of a pass that may pass by themselves, so that the same revision is tried again."""


class GuardLoop:
    """Runs one Guard. ``update`` tells it of a changed spec, ``trigger`` asks for a pass now."""

    def __init__(self, raw: objects.RawObject, tools: tools_.Tools) -> None:
        metadata = objects.metadata_of(raw)
        self.owner = plan.Owner(
            installation=tools.installation,
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
        )
        self._tools = tools
        self._raw = raw
        self._spec: guards.GuardSpec | None = None
        self._source: source.Source | None = None
        self._source_of = ("", "", "")
        self._wake = asyncio.Event()
        self._dirty = asyncio.Event()
        self._inventory_due = False
        self._syncing_since: float | None = None
        self._observed: source.Revision | None = None
        self._synced: syncing.Synced | None = None
        self._applied = ""
        self._applied_time = ""
        self._source_fault: root_errors.HoldfastError | None = None
        self._blocked: root_errors.HoldfastError | None = None
        self._again = False
        self._attempt = 0
        self._read_spec()

    # What the API says.

    def update(self, raw: objects.RawObject) -> None:
        """Take over a changed Guard. An invalid spec keeps the last good one in force."""
        if objects.metadata_of(raw).get("generation") == objects.metadata_of(self._raw).get(
            "generation"
        ):
            return
        self._raw = raw
        self._read_spec()
        self._wake.set()
        self._dirty.set()

    def trigger(self) -> None:
        """Ask for a pass now instead of after the interval."""
        self._wake.set()

    def _read_spec(self) -> None:
        try:
            self._spec = guards.GuardSpec.parse(self._raw.get("spec") or {})
        except api_errors.InvalidGuard as error:
            self._blocked = error
        else:
            if isinstance(self._blocked, api_errors.InvalidGuard):
                self._blocked = None

    # The loop.

    async def run(self) -> None:
        """Run until cancelled. What was applied stays in the cluster."""
        tools = self._tools
        applier = applying.Applier(tools.client, owner=self.owner)
        publisher = publishing.Publisher(
            tools.client, owner=self.owner, now=tools.now, suffix=lambda: tools.entropy(8).hex()
        )
        async with asyncio.TaskGroup() as group:
            keeper_ = keeper.Keeper(
                owner=self.owner,
                applier=applier,
                recorder=recording.Recorder(self.owner, tools),
                group=group,
                restores=self._restores,
                journal=self,
                tools=tools,
            )
            syncer = syncing.Syncer(
                owner=self.owner,
                keeper_=keeper_,
                applier=applier,
                discovery_=discovery.Discovery(tools.client),
                inventory=inventory_store.InventoryStore(
                    tools.client,
                    namespace=self.owner.namespace,
                    guard=self.owner.name,
                    guard_uid=self.owner.uid,
                    guard_hash=self.owner.hash,
                ),
                watches=watching.Watches(
                    tools.client,
                    keeper_=keeper_,
                    group=group,
                    label_selector=f"{names.LABEL_GUARD}={self.owner.hash}",
                    namespace=lambda: self._target_namespace() or "",
                ),
                target_namespace=self._target_namespace,
                pin=self._pin,
            )
            try:
                group.create_task(self._publish_forever(keeper_, syncer, publisher))
                await self._start(syncer)
                await self._poll_forever(keeper_, syncer)
            finally:
                keeper_.stop()
                await self._close_source()

    async def _start(self, syncer: syncing.Syncer) -> None:
        """Take up what an earlier process left: its inventory, and the revision that it applied."""
        attempt = 0
        while True:
            try:
                await self._take_up(syncer)
            except (cluster_errors.ClusterError, inventory_errors.InventoryError) as error:
                self._blocked = error
                self._dirty.set()
                attempt += 1
                await self._pause(self._tools.timing.wait_seconds(attempt))
                continue
            if not isinstance(self._blocked, api_errors.InvalidGuard):
                self._blocked = None
            self._dirty.set()
            return

    async def _take_up(self, syncer: syncing.Syncer) -> None:
        known = await syncer.load()
        if not known:
            return
        try:
            source_ = await self._open_source()
            pinned = await source_.pinned() if source_ is not None else None
            if source_ is None or pinned is None:
                return
            tree = await source_.read(pinned)
        except source_errors.SourceError as error:
            # The mirror is gone: the newest revision is applied instead, once it can be read.
            _LOG.warning(
                "the applied revision cannot be read", guard=str(self.owner), error=str(error)
            )
            return
        self._observed = pinned
        await self._pass(syncer, tree, adopting=known)

    async def _poll_forever(self, keeper_: keeper.Keeper, syncer: syncing.Syncer) -> None:
        restored = self._restores()
        while True:
            await self._poll(syncer)
            if self._restores() and not restored:
                keeper_.recheck_drifted()
            restored = self._restores()
            interval_seconds = self._spec.source.git.interval_seconds if self._spec else 3600.0
            if self._again:
                self._attempt += 1
                wait_seconds = self._tools.timing.wait_seconds(
                    self._attempt, max_seconds=_RETRY_MAX_SECONDS
                )
                interval_seconds = min(interval_seconds, wait_seconds)
            else:
                self._attempt = 0
            await self._pause(interval_seconds)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    async def _poll(self, syncer: syncing.Syncer) -> None:
        """Ask the source for its newest revision, and apply it if it is new."""
        fault: root_errors.HoldfastError | None = None
        try:
            source_ = await self._open_source()
            if source_ is None:
                return
            revision = await source_.resolve()
            if self._again or self._synced is None or self._synced.revision.id != revision.id:
                tree = await source_.read(revision)
                self._observed = revision
                await self._pass(syncer, tree)
        except source_errors.SourceError as error:
            fault = error
        except (cluster_errors.ClusterError, inventory_errors.InventoryError) as error:
            self._blocked = error
            self._again = True
        if str(fault) != str(self._source_fault):
            self._dirty.set()
        self._source_fault = fault

    async def _pass(
        self,
        syncer: syncing.Syncer,
        tree: source.Tree,
        *,
        adopting: syncing.Known | None = None,
    ) -> None:
        self._syncing_since = self._tools.timing.clock()
        later = asyncio.get_running_loop().call_later(_RECONCILING_AFTER_SECONDS, self._dirty.set)
        try:
            self._synced = await syncer.sync(tree, adopting=adopting)
            if adopting is None:
                await syncer.save(tree.revision.id)
                self._inventory_due = False
        finally:
            later.cancel()
            self._syncing_since = None
        self._again = any(isinstance(fault, _MAY_HEAL) for fault in self._synced.faults)
        if not isinstance(self._blocked, api_errors.InvalidGuard):
            self._blocked = None
        self._dirty.set()

    # The source.

    async def _open_source(self) -> source.Source | None:
        """Give the source that the spec names now; another one is closed first."""
        spec = self._spec.source if self._spec else None
        if spec is None:
            return None
        wanted = (spec.git.url, spec.git.ref, spec.git.path)
        if self._source is None or self._source_of != wanted:
            await self._close_source()
            self._source = self._tools.open_source(spec, str(self.owner))
            self._source_of = wanted
        return self._source

    async def _close_source(self) -> None:
        if self._source is not None:
            await self._source.close()
            self._source = None

    async def _pin(self, revision: source.Revision) -> None:
        if self._source is not None:
            await self._source.pin(revision)

    # What is told.

    def state_changed(self) -> None:
        """Let the status be written soon: the state of an object changed."""
        self._dirty.set()

    def inventory_changed(self) -> None:
        """Let status and inventory be written soon: an object is another one than recorded."""
        self._inventory_due = True
        self._dirty.set()

    def _restores(self) -> bool:
        return self._spec is not None and self._spec.drift.restore

    def _target_namespace(self) -> str | None:
        return self._spec.target.namespace if self._spec else None

    async def _publish_forever(
        self, keeper_: keeper.Keeper, syncer: syncing.Syncer, publisher: publishing.Publisher
    ) -> None:
        attempt = 0
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._publish(keeper_, syncer, publisher)
            except (cluster_errors.ClusterError, inventory_errors.InventoryError) as error:
                attempt += 1
                _LOG.warning(
                    "the state of a Guard was not written", guard=str(self.owner), error=str(error)
                )
                await self._tools.timing.back_off(attempt)
                self._dirty.set()
                continue
            attempt = 0
            await self._tools.timing.sleep(_PUBLISH_EVERY_SECONDS)

    async def _publish(
        self, keeper_: keeper.Keeper, syncer: syncing.Syncer, publisher: publishing.Publisher
    ) -> None:
        revision = self._synced.revision if self._synced else None
        if self._inventory_due and self._syncing_since is None and revision is not None:
            self._inventory_due = False
            await syncer.save(revision.id)
        view = self._view(keeper_)
        known = (self._raw.get("status") or {}).get("conditions") or []
        written = status.status_of(view, known, now=self._tools.now())
        self._raw = {**self._raw, "status": written}
        await publisher.write_report(
            reporting.report_of(
                keeper_.objects.values(),
                keeper_.orphans.values(),
                owner=self.owner,
                masker=self._tools.masker,
                revision=keeper_.revision,
                orphaned_since=self._applied_time or self._tools.now_text(),
            )
        )
        await publisher.write_status(written)  # after the report that it points to
        await publisher.tell_all(status.news_of(view))

    def _view(self, keeper_: keeper.Keeper) -> status.View:
        everything = list(keeper_.objects.values())
        synced = self._synced
        if (
            synced is not None
            and not synced.faults
            and synced.revision.short != self._applied
            and all(one.is_applied for one in everything)
        ):
            self._applied = synced.revision.short
            self._applied_time = self._tools.now_text()
        since = self._syncing_since
        return status.View(
            generation=objects.metadata_of(self._raw).get("generation", 0),
            source=self._describe_source(),
            observed=self._observed.short if self._observed else "",
            applied=self._applied,
            applied_time=self._applied_time,
            objects=everything,
            orphaned=len(keeper_.orphans),
            restored=keeper_.restored,
            faults=synced.faults if synced else (),
            source_fault=self._source_fault,
            blocked=self._blocked,
            reconciling=since is not None
            and self._tools.timing.clock() - since >= _RECONCILING_AFTER_SECONDS,
        )

    def _describe_source(self) -> str:
        if self._spec is None:
            return ""
        git = self._spec.source.git
        return f"{source.shown_url(git.url)}#{git.path}"

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
    syncing,
    telling,
    watching,
)
from guard.loop import (
    tools as tools_,
)
from guard.sources import errors as source_errors
from guard.sources import source

_LOG: Final = structlog.get_logger(__name__)

_RETRY_MAX_SECONDS: Final = 300.0
"""The longest wait before a revision with faults that may heal is tried again."""

_WITHOUT_SPEC_SECONDS: Final = 3600.0
"""How long to wait for a spec that can be read: its change wakes the loop."""

_MAY_HEAL: Final = (errors.NotServed, errors.NotEstablished, cluster_errors.ClusterError)
"""Faults of a pass that may pass by themselves, so that the same revision is tried again."""


_BLOCKING: Final = (
    cluster_errors.ClusterError,
    inventory_errors.InventoryError,
    errors.PassFailed,
)
"""What keeps a whole pass from being done; it is tried again with growing waits."""


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
        self._progress = telling.Progress(raw)
        self._teller = telling.Teller(self._progress, owner=self.owner, tools=tools)
        self._source: source.Source | None = None
        self._source_of = ("", "", "")
        self._wake = asyncio.Event()
        self._synced_as: tuple[object, ...] = ()
        """What the last pass went by besides the revision."""
        self._again = False
        self._attempt = 0
        self._read_spec()

    # What the API says.

    def update(self, raw: objects.RawObject) -> None:
        """Take over a changed Guard. An invalid spec keeps the last good one in force."""
        before = objects.metadata_of(self._progress.raw).get("generation")
        if objects.metadata_of(raw).get("generation") == before:
            return
        self._progress.raw = raw
        self._read_spec()
        self._wake.set()
        self._teller.state_changed()

    def trigger(self) -> None:
        """Ask for a pass now instead of after the interval."""
        self._wake.set()

    def saw(self, seen: publishing.Seen) -> None:
        """Look at what became of an Inventory or DriftReport of this Guard."""
        self._teller.saw(seen)

    def _read_spec(self) -> None:
        progress = self._progress
        try:
            progress.spec = guards.GuardSpec.parse(progress.raw.get("spec") or {})
            progress.invalid = None
        except api_errors.InvalidGuard as error:
            progress.invalid = error

    # The loop.

    async def run(self) -> None:
        """Run until cancelled. What was applied stays in the cluster."""
        tools = self._tools
        progress = self._progress
        # A run that follows one that died knows nothing of what that one had applied.
        progress.synced = progress.observed = progress.syncing_since = None
        applier = applying.Applier(tools.client, owner=self.owner, is_off=tools.is_off)
        inventory = inventory_store.InventoryStore(
            tools.client,
            namespace=self.owner.namespace,
            guard=self.owner.name,
            guard_uid=self.owner.uid,
            guard_hash=self.owner.hash,
        )
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
                journal=self._teller,
                tools=tools,
            )
            syncer = syncing.Syncer(
                owner=self.owner,
                keeper_=keeper_,
                applier=applier,
                discovery_=discovery.Discovery(tools.client),
                inventory=inventory,
                watches=watching.Watches(
                    tools.client,
                    keeper_=keeper_,
                    group=group,
                    label_selector=f"{names.LABEL_GUARD}={self.owner.hash}",
                ),
                pin=self._pin,
            )
            try:
                group.create_task(self._teller.run(keeper_, syncer, inventory, publisher))
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
            except _BLOCKING as error:
                self._progress.blocked = error
                self._teller.state_changed()
                attempt += 1
                await self._pause(self._tools.timing.wait_seconds(attempt))
                continue
            self._progress.blocked = None
            self._teller.state_changed()
            return

    async def _take_up(self, syncer: syncing.Syncer) -> None:
        if not await syncer.load():
            return
        try:
            source_ = await self._open_source()
            pinned = await source_.pinned() if source_ is not None else None
            if source_ is None or pinned is None:
                return
            tree = await source_.read(pinned)
            self._progress.observed = pinned
            await self._pass(syncer, tree)
            if not syncer.has_left:
                return
            # Files that were broken since: their objects stay as they were before.
            whole = await source_.pinned(whole=True)
            if whole is not None and whole.id != pinned.id:
                tree = await source_.read(whole)
                await syncer.take_up_left(tree, target_namespace=self._target_namespace())
        except source_errors.SourceError as error:
            # The mirror is gone: the newest revision is applied instead, once it can be read.
            _LOG.warning(
                "the applied revision cannot be read", guard=str(self.owner), error=str(error)
            )

    async def _poll_forever(self, keeper_: keeper.Keeper, syncer: syncing.Syncer) -> None:
        restored = self._restores()
        while True:
            await self._poll(syncer)
            if self._restores() and not restored:
                keeper_.recheck_drifted()
            restored = self._restores()
            spec = self._progress.spec
            interval_seconds = (
                spec.source.git.interval_seconds if spec is not None else _WITHOUT_SPEC_SECONDS
            )
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
        progress = self._progress
        before = (str(progress.source_fault), str(progress.blocked))
        if isinstance(progress.blocked, errors.EnforcementOff):
            progress.blocked = None
        fault: root_errors.HoldfastError | None = None
        try:
            source_ = await self._open_source()
            if source_ is None:
                return
            self._check_switch()
            revision = await source_.resolve()
            if (
                self._again
                or progress.synced is None
                or progress.synced.revision != revision
                or self._synced_as != self._goes_by()
            ):
                tree = await source_.read(revision)
                progress.observed = revision
                await self._pass(syncer, tree)
        except source_errors.SourceError as error:
            fault = error
        except errors.EnforcementOff as error:
            progress.blocked = error  # until somebody turns it on, which wakes this loop
        except _BLOCKING as error:
            progress.blocked = error
            self._again = True
        progress.source_fault = fault
        if (str(progress.source_fault), str(progress.blocked)) != before:
            self._teller.state_changed()

    def _check_switch(self) -> None:
        if self._tools.is_off():
            raise errors.EnforcementOff

    async def _pass(self, syncer: syncing.Syncer, tree: source.Tree) -> None:
        progress = self._progress
        goes_by = self._goes_by()
        progress.syncing_since = self._tools.timing.clock()
        later = asyncio.get_running_loop().call_later(
            telling.RECONCILING_AFTER_SECONDS, self._teller.state_changed
        )
        try:
            progress.synced = await syncer.sync(tree, target_namespace=self._target_namespace())
            self._synced_as = goes_by
            await syncer.save(tree.revision.id)
        except root_errors.HoldfastError:
            raise
        except Exception as error:
            # Else the loop would start over with nothing guarded, and meet the same fault again.
            _LOG.exception("a revision could not be applied", guard=str(self.owner))
            raise errors.PassFailed(tree.revision.short, error) from error
        finally:
            later.cancel()
            progress.syncing_since = None
            self._teller.state_changed()
        self._again = any(isinstance(fault, _MAY_HEAL) for fault in progress.synced.faults)
        progress.blocked = None

    def _goes_by(self) -> tuple[object, ...]:
        """Give what a pass depends on besides the revision: a change of it asks for a pass."""
        return (*self._source_of, self._target_namespace())

    # The source.

    async def _open_source(self) -> source.Source | None:
        """Give the source that the spec names now; another one is closed first."""
        spec = self._progress.spec
        if spec is None:
            return None
        git = spec.source.git
        wanted = (git.url, git.ref, git.path)
        if self._source is None or self._source_of != wanted:
            await self._close_source()
            self._source = self._tools.open_source(spec.source, str(self.owner))
            self._source_of = wanted
        return self._source

    async def _close_source(self) -> None:
        if self._source is not None:
            await self._source.close()
            self._source = None

    async def _pin(self, revision: source.Revision, *, whole: bool = False) -> None:
        if self._source is not None:
            await self._source.pin(revision, whole=whole)

    # The rules.

    def _restores(self) -> bool:
        spec = self._progress.spec
        return spec is not None and spec.drift.restore and not self._tools.is_off()

    def _target_namespace(self) -> str | None:
        spec = self._progress.spec
        return spec.target.namespace if spec is not None else None

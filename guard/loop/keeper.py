"""The keeper of one Guard's objects: events in, restores out, each object on its own."""

import asyncio
from collections.abc import Callable, Container
from typing import Final

import structlog

from guard import errors as root_errors
from guard.api import keys, objects, verdicts
from guard.cluster import errors as cluster_errors
from guard.cluster import reflector, resources
from guard.fields import declaration, digests, values
from guard.inventory import entries
from guard.loop import applying, drift, errors, notes, plan, recording, retries, turns
from guard.loop import tools as tools_

_LOG: Final = structlog.get_logger(__name__)


class Keeper:
    """Keeps guarded objects at their desired state.

    Objects never wait for each other: what is under way for one is noted by its key alone, and
    events that arrive meanwhile are looked at once it is done. A failing object backs off alone.

    ``restores`` tells whether drift is put back or only reported; ``journal`` hears of changes.
    """

    def __init__(
        self,
        *,
        owner: plan.Owner,
        applier: applying.Applier,
        recorder: recording.Recorder,
        group: asyncio.TaskGroup,
        restores: Callable[[], bool],
        journal: notes.Journal,
        tools: tools_.Tools,
    ) -> None:
        self.owner = owner
        self.objects: dict[keys.ObjectKey, drift.Guarded] = {}
        self.orphans: dict[keys.ObjectKey, entries.Entry] = {}
        self.restored = 0
        self._applier = applier
        self.notes = notes.Notes(owner=owner, recorder=recorder, journal=journal, tools=tools)
        self._restores = restores
        self._journal = journal
        self._tools = tools
        self._turns = turns.Turns(group, freed=self._freed)
        self._retries = retries.Retries(group, timing=tools.timing, bring=self.bring)
        self._group = group
        self._waiting: dict[keys.ObjectKey, reflector.Event] = {}

    # What the watches say.

    def on_event(self, event: reflector.Event) -> None:
        """Look at one watch event. Never blocks; what is to be done becomes a task."""
        key = keys.ObjectKey.of(event.object)
        guarded = self.objects.get(key)
        if guarded is None:
            if event.type is reflector.EventType.DELETED and key in self.orphans:
                del self.orphans[key]
                self._journal.inventory_changed()
        elif self._turns.is_taken(key):
            self._waiting[key] = event
        else:
            self._look(guarded, event)

    def on_listed(self, seen: Container[keys.ObjectKey], resource: resources.Resource) -> None:
        """Check the objects that a complete list of their kind does not show."""
        missed = [
            guarded
            for key, guarded in self.objects.items()
            if guarded.desired.resource.collection() == resource.collection()
            and key not in seen
            and not self._turns.is_taken(key)
            and guarded.state is not entries.State.PENDING
            and guarded.applied is not None
        ]
        for guarded in missed:
            self._start(guarded, self._recheck(guarded, self._tools.timing.clock()))
        for key, entry in self.orphans.items():
            if (
                (key.group, key.kind) == (resource.group, resource.kind)
                and key not in seen
                and not self._turns.is_taken(key)
            ):
                self._turns.start(key, self._recheck_orphan(entry, resource))

    def _look(self, guarded: drift.Guarded, event: reflector.Event) -> None:
        if guarded.state is entries.State.PENDING:
            return  # its apply is due, and looks at the live object itself
        if event.type is reflector.EventType.DELETED:
            # A label that somebody removed arrives as DELETED as well: read before saying so.
            self._start(guarded, self._recheck(guarded, event.received_at))
            return
        metadata = objects.metadata_of(event.object)
        if metadata.get("uid") == guarded.uid and drift.is_stale(
            metadata.get("resourceVersion", ""), guarded.resource_version
        ):
            return
        task = self._judge(guarded, event.object, event.received_at)
        if task is not None:
            self._start(guarded, task)

    def _judge(
        self, guarded: drift.Guarded, live: objects.RawObject, received_at: float
    ) -> turns.Task | None:
        """Compare a live object with what is expected; give the restore, where one is due."""
        metadata = objects.metadata_of(live)
        if metadata.get("deletionTimestamp"):
            held = ", ".join(metadata.get("finalizers") or ())
            self.notes.note(
                guarded,
                guarded.state,
                f"{guarded.key.title} is being deleted{f', held by {held}' if held else ''}",
            )
            return None
        if guarded.applied is None:
            return None  # it never was applied; its retry is under way
        found = drift.compare(guarded, live, manager=self.owner.manager)
        if found is not None:
            return self._answer(guarded, found, live, received_at)
        guarded.uid = metadata.get("uid", "")
        guarded.resource_version = metadata.get("resourceVersion", "")
        if guarded.is_applied and guarded.drift is not None:
            guarded.calm()
            self._journal.state_changed()
        return None

    def _answer(
        self,
        guarded: drift.Guarded,
        found: drift.Drift,
        live: objects.RawObject | None,
        received_at: float,
    ) -> turns.Task | None:
        known, guarded.drift = guarded.drift, found
        if self._restores():
            return self._restore(guarded, found, live, received_at)
        if known is None or (known.changes, known.missing) != (found.changes, found.missing):
            self.notes.record(guarded, found, verdicts.Verdict.REPORTED, verdicts.Outcome.COMMITTED)
        why = "enforcement" if self._tools.is_off() else "drift.restore"
        self.notes.note(
            guarded,
            entries.State.DRIFTED,
            f"{guarded.key.title} differs from the source, and {why} is off",
        )
        return None

    # What is done about it. Each of these runs while its object is held.

    async def _recheck_orphan(self, entry: entries.Entry, resource: resources.Resource) -> None:
        try:
            if await self._applier.get_at(entry.key, resource) is not None:
                return
        except cluster_errors.ClusterError:
            return  # it stays reported; the next list asks again
        if self.orphans.get(entry.key) is entry:
            del self.orphans[entry.key]
            self._journal.inventory_changed()

    async def _recheck(self, guarded: drift.Guarded, received_at: float) -> None:
        desired = guarded.applied or guarded.desired
        try:
            live = await self._applier.get(desired)
        except cluster_errors.ClusterError as error:
            self._fail(guarded, error)
            return
        if live is None:
            task = self._answer(guarded, drift.Drift((), missing=True), None, received_at)
        else:
            task = self._judge(guarded, live, received_at)
        if task is not None:
            await task

    async def _restore(
        self,
        guarded: drift.Guarded,
        found: drift.Drift,
        live: objects.RawObject | None,
        received_at: float,
    ) -> None:
        desired = guarded.applied or guarded.desired
        newest = found

        def still_needed(live_now: objects.RawObject | None) -> bool:
            nonlocal newest
            if guarded.state is entries.State.PENDING:
                return False  # a newer revision was accepted: nothing older may be written now
            if live_now is None:
                newest = drift.Drift(found.changes, missing=True)
                return True
            again = drift.compare(guarded, live_now, manager=self.owner.manager)
            newest = again or newest
            return again is not None

        try:
            applied = await self._applier.apply(desired, live, still_needed=still_needed)
        except root_errors.HoldfastError as error:
            self.notes.record_failure(guarded, newest, error)
            self._fail(guarded, error)
            return
        if applied is None:
            if guarded.is_applied:
                guarded.calm()
                self._journal.state_changed()
            return
        duration_ms = (self._tools.timing.clock() - received_at) * 1000
        self._settle(guarded, desired, applied)
        self.restored += 1
        self.notes.record(
            guarded,
            newest,
            verdicts.Verdict.RESTORED,
            verdicts.Outcome.COMMITTED,
            duration_ms=duration_ms,
        )

    async def _apply(self, guarded: drift.Guarded, live: objects.RawObject | None) -> None:
        desired = guarded.desired
        live = live or await self._read(guarded)
        try:
            applied = await self._applier.apply(desired, live)
        except root_errors.HoldfastError as error:
            self._fail(guarded, error)
            return
        if applied is not None:
            self._settle(guarded, desired, applied)

    def _settle(
        self, guarded: drift.Guarded, desired: plan.Desired, applied: applying.Applied
    ) -> None:
        before = (guarded.uid, guarded.digest, guarded.state)
        fault = guarded.fault
        guarded.settle(desired, applied.response, applied.declaration)
        if guarded.mutated:
            guarded.since = guarded.since or self._tools.now_text()
        if guarded.is_applied:
            guarded.calm()
        if (guarded.uid, guarded.digest, guarded.state) != before:
            self._journal.inventory_changed()
        self._journal.state_changed()
        self._hurry_after(guarded, fault, is_new=guarded.uid != before[0])

    def _hurry_after(self, guarded: drift.Guarded, fault: str, *, is_new: bool) -> None:
        """Try those now that failed for want of this one, or as this one did until now."""
        if fault and guarded.is_applied:
            self._retries.hurry(
                lambda one: one.fault == fault and one.key.namespace == guarded.key.namespace
            )
        if is_new and plan.goes_first(guarded.desired.gvk):
            self._retries.hurry(lambda one: _needs(one, guarded.key))

    def _fail(self, guarded: drift.Guarded, error: root_errors.HoldfastError) -> None:
        self.notes.failed(guarded, error)
        self._retries.later(guarded)

    # What a revision asks for.

    async def bring(self, guarded: drift.Guarded, live: objects.RawObject | None = None) -> None:
        """Bring one object to its desired state, now.

        What is applied already is read and judged; what is not, is applied. ``live`` is the
        object as it was read a moment ago, if it was. Failures are noted and tried again later.
        """
        async with self._turns.of(guarded.key):
            if self.objects.get(guarded.key) is not guarded:
                return  # it left the source while it waited for its turn
            if guarded.is_applied:
                await self._contained(guarded, self._recheck(guarded, self._tools.timing.clock()))
            else:
                await self._contained(guarded, self._apply(guarded, live))

    async def adopt(
        self, guarded: drift.Guarded, entry: entries.Entry, live: objects.RawObject | None
    ) -> None:
        """Take up an object that an earlier process applied, and find what drifted meanwhile.

        Where the recorded digest fits the live object, its values are the expected ones and no
        request is made. Else a dry run of the manifest tells them.
        """
        async with self._turns.of(guarded.key):
            await self._contained(guarded, self._adopt(guarded, entry, live))

    async def _adopt(
        self, guarded: drift.Guarded, entry: entries.Entry, live: objects.RawObject | None
    ) -> None:
        try:
            live = live or await self._applier.get(guarded.desired)
        except cluster_errors.ClusterError as error:
            self._fail(guarded, error)
            return
        if live is None:
            await self._adopt_missing(guarded, entry)
        elif (
            # What was drifted may be as recorded because another webhook rewrites our applies.
            entry.state is entries.State.SYNCED
            and digests.digest(live, entry.declared) == entry.digest
        ):
            expected = values.project(live, entry.declared)
            guarded.settle(
                guarded.desired,
                live,
                declaration.Declaration(declared=entry.declared, expected=expected, mutated=()),
            )
            guarded.calm()
        else:
            await self._adopt_drifted(guarded, live)

    async def _adopt_missing(self, guarded: drift.Guarded, entry: entries.Entry) -> None:
        guarded.uid = entry.uid
        guarded.declared = entry.declared
        guarded.expected = guarded.desired.sent
        guarded.digest = entry.digest
        guarded.replicas = entry.replicas
        guarded.applied = guarded.desired
        guarded.state = entries.State.DRIFTED
        missing = drift.Drift((), missing=True)
        task = self._answer(guarded, missing, None, self._tools.timing.clock())
        if task is not None:
            await task

    async def _adopt_drifted(self, guarded: drift.Guarded, live: objects.RawObject) -> None:
        try:
            dry = await self._applier.apply(guarded.desired, live, dry_run=True)
        except root_errors.HoldfastError as error:
            self._fail(guarded, error)
            return
        if dry is None:
            return
        guarded.settle(guarded.desired, dry.response, dry.declaration)
        guarded.resource_version = ""  # a dry run's version is that of the drifted object
        guarded.calm()
        task = self._judge(guarded, live, self._tools.timing.clock())
        if task is not None:
            await task
        self._journal.state_changed()

    async def _read(self, guarded: drift.Guarded) -> objects.RawObject | None:
        """Read an object before it is applied; what cannot be read, the apply reports."""
        try:
            return await self._applier.get(guarded.desired)
        except cluster_errors.ClusterError:
            return None

    def recheck_drifted(self) -> None:
        """Judge anew what stays drifted: a rule changed, or a person asked."""
        for guarded in list(self.objects.values()):
            if guarded.state is not entries.State.SYNCED and not self._turns.is_taken(guarded.key):
                self._group.create_task(self.bring(guarded))

    def forget(self, key: keys.ObjectKey) -> None:
        """Stop guarding an object. What is in the cluster stays."""
        self.objects.pop(key, None)
        self._retries.forget(key)

    # Bookkeeping.

    def stop(self) -> None:
        """Start nothing any more: the group that runs the tasks is about to end."""
        self._turns.stop()
        self._retries.stop()

    def _start(self, guarded: drift.Guarded, task: turns.Task) -> None:
        self._turns.start(guarded.key, self._contained(guarded, task))

    async def _contained(self, guarded: drift.Guarded, task: turns.Task) -> None:
        """Let a fault of ours with one object be that object's alone."""
        try:
            await task
        except Exception as error:  # noqa: BLE001 - logged with its traceback
            # The message tells nothing of it, since it may quote anything.
            desired = guarded.desired
            _LOG.exception(
                "looking after an object failed", guard=str(self.owner), object=desired.key.title
            )
            sentence = f"a fault of Holdfast ({type(error).__name__}); its log tells more"
            self._fail(
                guarded, errors.Unforeseen(desired.key, desired.file, desired.line, sentence)
            )

    def _freed(self, key: keys.ObjectKey) -> None:
        event = self._waiting.pop(key, None)
        guarded = self.objects.get(key)
        if event is not None and guarded is not None:
            self._look(guarded, event)


def _needs(guarded: drift.Guarded, first: keys.ObjectKey) -> bool:
    """Tell whether an object cannot be without a namespace or a definition."""
    if first.kind == "Namespace":
        return guarded.key.namespace == first.name
    resource = guarded.desired.resource
    return f"{resource.plural}.{resource.group}" == first.name

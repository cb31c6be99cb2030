"""What a Guard's status says. Pure: from the state of a loop to conditions and counts."""

import collections
import dataclasses
import datetime as dt
import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from guard import errors as root_errors
from guard.api import conditions, guards
from guard.api import errors as api_errors
from guard.inventory import entries
from guard.loop import drift, errors
from guard.render import errors as render_errors
from guard.sources import errors as source_errors

_NAMED_AT_MOST: Final = 3
"""Faults and objects that a condition spells out; the rest is a number. DriftReport has all."""

_TOLD_AT_MOST: Final = 50
"""Objects that get an Event of their own at one time; a broken cluster has thousands."""

_PASSING: Final = (
    source_errors.Unreachable,
    source_errors.MirrorBusy,
    source_errors.CorruptMirror,
    source_errors.GitFailed,
)
"""What may pass without anybody changing the Guard or the repository."""


_FOR_A_PERSON: Final = (
    render_errors.RenderError,
    api_errors.InvalidGuard,
    errors.Misplaced,
    errors.Duplicate,
    errors.Unsendable,
    errors.Unsupported,
    errors.NothingRendered,
)
"""What is wrong with the Guard or with what the source says: waiting cannot help."""


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """The state of a loop at one moment.

    ``source_fault`` is why the source could not be read, ``faults`` what is wrong with the
    revision that was read, ``blocked`` why the loop cannot work at all (the API server refuses the
    inventory, the spec is invalid).
    """

    generation: int
    source: str
    observed: str
    applied: str
    applied_time: str
    objects: Collection[drift.Guarded]
    orphaned: int
    restored: int
    faults: Sequence[root_errors.HoldfastError] = ()
    source_fault: root_errors.HoldfastError | None = None
    blocked: root_errors.HoldfastError | None = None
    reconciling: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Word:
    """Status, reason and message of one condition."""

    status: conditions.Status
    reason: str
    message: str


def status_of(
    view: View, known: Iterable[conditions.Condition], *, now: dt.datetime
) -> guards.GuardStatus:
    """Give the whole status. ``known`` are the conditions that stand there now."""
    counted = collections.Counter(guarded.state for guarded in view.objects)
    words = {
        conditions.READY: _ready(view),
        conditions.RECONCILING: _reconciling(view),
        conditions.STALLED: _stalled(view),
        conditions.DRIFTED: _drifted(view),
    }
    after = list(known)
    for condition_type, word in words.items():
        after = conditions.set_condition(
            after,
            condition_type,
            status=word.status,
            reason=word.reason,
            message=word.message,
            generation=view.generation,
            now=now,
        )
    status: guards.GuardStatus = {
        "conditions": after,
        "observedGeneration": view.generation,
        "source": view.source,
        "observedRevision": view.observed,
        "appliedRevision": view.applied,
        "objects": len(view.objects),
        "synced": counted[entries.State.SYNCED],
        "drifted": counted[entries.State.DRIFTED],
        "failed": counted[entries.State.FAILED],
        "orphaned": view.orphaned,
        "restored": view.restored,
    }
    if view.applied_time:
        status["lastAppliedTime"] = view.applied_time
    return status


def _ready(view: View) -> Word:
    false = conditions.Status.FALSE
    if view.blocked is not None:
        return Word(false, reason_of(view.blocked), str(view.blocked))
    if view.faults:
        return Word(false, reason_of(view.faults[0]), _list(map(str, view.faults)))
    failed = [one for one in view.objects if one.state is entries.State.FAILED]
    if failed:
        return Word(false, "ApplyFailed", _list(one.message for one in failed))
    if view.source_fault is not None:
        return Word(false, reason_of(view.source_fault), str(view.source_fault))
    if not view.applied:
        return Word(conditions.Status.UNKNOWN, "Starting", "no revision has been applied yet")
    return Word(
        conditions.Status.TRUE,
        "Synced",
        f"{len(view.objects)} objects are as {view.applied} says",
    )


def _reconciling(view: View) -> Word:
    if view.reconciling:
        return Word(conditions.Status.TRUE, "Applying", f"applying {view.observed}")
    return Word(conditions.Status.FALSE, "Idle", "nothing is being applied")


def _stalled(view: View) -> Word:
    for fault in (view.blocked, *view.faults, view.source_fault):
        if fault is not None and needs_a_person(fault):
            return Word(conditions.Status.TRUE, reason_of(fault), str(fault))
    return Word(conditions.Status.FALSE, "Progressing", "nothing waits for a person")


def _drifted(view: View) -> Word:
    drifted = [one for one in view.objects if one.state is entries.State.DRIFTED]
    if not drifted:
        return Word(conditions.Status.FALSE, "InOrder", "no object differs from the source")
    named = _list(one.message or f"{one.key.title} differs from the source" for one in drifted)
    return Word(conditions.Status.TRUE, "Drifted", named)


@dataclasses.dataclass(frozen=True, slots=True)
class News:
    """One thing worth an Event."""

    reason: str
    message: str
    warning: bool


def news_of(view: View) -> list[News]:
    """Give what people should hear of now: faults one by one, and the revision that is applied."""
    news = [
        News(reason_of(fault), str(fault), warning=True)
        for fault in (view.blocked, view.source_fault, *view.faults)
        if fault is not None
    ]
    reasons = {entries.State.FAILED: "ApplyFailed", entries.State.DRIFTED: "Drifted"}
    stuck = [one for one in view.objects if one.state in reasons and one.message]
    news += [News(reasons[one.state], one.message, warning=True) for one in stuck[:_TOLD_AT_MOST]]
    if view.applied:
        news.append(News("Applied", f"{view.applied} is applied", warning=False))
    return news


def reason_of(fault: root_errors.HoldfastError) -> str:
    """Give the reason of a fault: one word for programs, from the closed set of our errors."""
    if isinstance(fault, render_errors.RenderError):
        return "RenderFailed"
    if isinstance(fault, source_errors.SourceError):
        return f"Source{type(fault).__name__}"
    return type(fault).__name__


def needs_a_person(fault: root_errors.HoldfastError) -> bool:
    """Tell whether waiting cannot help: what is wrong stands in the source or in the Guard."""
    if isinstance(fault, source_errors.SourceError):
        return not isinstance(fault, _PASSING)
    return isinstance(fault, _FOR_A_PERSON)


def _list(sentences: Iterable[str]) -> str:
    named = list(sentences)
    shown = "; ".join(itertools.islice(named, _NAMED_AT_MOST))
    more = len(named) - _NAMED_AT_MOST
    return f"{shown}; and {more} more" if more > 0 else shown

"""`holdfast status`: every Guard and how it stands."""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click

from guard import errors as root_errors
from guard.api import conditions, objects, verdicts
from guard.audit import errors as audit_errors
from guard.cli import archive, options, output, running, session
from guard.cli import errors as cli_errors
from guard.cluster import client as clients
from guard.sources import source

_COUNTED: Final = dt.timedelta(hours=24)
_COUNTS_WITHIN_SECONDS: Final = 10.0
"""The rest of the table does not wait longer for what a pod has to tell."""

_HEADERS: Final = (
    "GUARD",
    "REVISION",
    "STATE",
    "OBJECTS",
    "DRIFTED",
    "RESTORED 24H",
    "DENIED 24H",
    "AGE",
)
_WIDE_HEADERS: Final = (*_HEADERS, "FAILED", "ORPHANED", "OBSERVED", "MODE", "RESTORES", "SOURCE")
_RIGHT: Final = frozenset(
    {"OBJECTS", "DRIFTED", "RESTORED 24H", "DENIED 24H", "AGE", "FAILED", "ORPHANED"}
)

Counts = Mapping[str, Mapping[str, int]]
"""By Guard (``namespace/name``) and verdict: how many records of the last 24 hours."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one Guard stands. Counts are None where nobody has told them."""

    namespace: str
    name: str
    state: str
    in_sync: bool
    applied: str
    observed: str
    objects: int | None
    synced: int | None
    drifted: int | None
    failed: int | None
    orphaned: int | None
    restored_24h: int | None
    denied_24h: int | None
    created: str
    age_seconds: float | None
    mode: str
    restores: bool
    source: str
    messages: tuple[str, ...]

    @property
    def title(self) -> str:
        """The Guard as ``namespace/name``."""
        return f"{self.namespace}/{self.name}"


def standing(raw: objects.RawObject, counts: Counts | None, *, now: dt.datetime) -> Standing:
    """Read how a Guard stands. ``counts`` is None where the audit store cannot be read."""
    metadata = objects.metadata_of(raw)
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    title = f"{metadata['namespace']}/{metadata['name']}"
    counted = None if counts is None else counts.get(title, {})
    created = metadata.get("creationTimestamp", "")
    state = state_of(raw)
    return Standing(
        namespace=metadata["namespace"],
        name=metadata["name"],
        state=state,
        in_sync=_in_sync(status),
        applied=status.get("appliedRevision") or "",
        observed=status.get("observedRevision") or "",
        objects=status.get("objects"),
        synced=status.get("synced"),
        drifted=status.get("drifted"),
        failed=status.get("failed"),
        orphaned=status.get("orphaned"),
        restored_24h=_count(counted, verdicts.Verdict.RESTORED),
        denied_24h=_count(counted, verdicts.Verdict.DENIED),
        created=created,
        age_seconds=(now - dt.datetime.fromisoformat(created)).total_seconds() if created else None,
        mode=(spec.get("admission") or {}).get("mode") or verdicts.Mode.DENY,
        restores=(spec.get("drift") or {}).get("restore", True),
        source=source_of(raw),
        messages=tuple(_messages(status)),
    )


def state_of(raw: objects.RawObject) -> str:
    """Say in one word how a Guard stands: what is wrong first, then what is under way."""
    metadata, status = objects.metadata_of(raw), raw.get("status") or {}
    known = status.get("conditions") or ()
    ready, drifted = conditions.find(known, conditions.READY), _holds(known, conditions.DRIFTED)
    if metadata.get("deletionTimestamp"):
        return "Deleting"
    if ready is None:
        return "Starting"
    if ready["status"] == "False":
        return ready["reason"]
    if _holds(known, conditions.RECONCILING) or _unseen(metadata, status):
        return "Reconciling"
    if ready["status"] != "True":
        return ready["reason"]
    return "Drifted" if drifted else ready["reason"]


def source_of(raw: objects.RawObject) -> str:
    """Give a Guard's source for people, as ``url#path``; never with a password in it."""
    told = (raw.get("status") or {}).get("source")
    if told:
        return str(told)
    git = ((raw.get("spec") or {}).get("source") or {}).get("git") or {}
    url = git.get("url")
    return f"{source.shown_url(url)}#{git.get('path') or '.'}" if url else ""


def _unseen(metadata: objects.ObjectMeta, status: Mapping[str, Any]) -> bool:
    """Say whether the spec has changed since the guard process last looked."""
    return metadata.get("generation", 0) > (status.get("observedGeneration") or 0)


def _holds(known: Iterable[conditions.Condition], condition_type: str) -> bool:
    found = conditions.find(known, condition_type)
    return found is not None and found["status"] == "True"


def _in_sync(status: Mapping[str, Any]) -> bool:
    known = status.get("conditions") or ()
    different = any(status.get(count) for count in ("drifted", "failed", "orphaned"))
    return (
        _holds(known, conditions.READY) and not _holds(known, conditions.DRIFTED) and not different
    )


def _count(counted: Mapping[str, int] | None, verdict: verdicts.Verdict) -> int | None:
    return None if counted is None else counted.get(verdict, 0)


def _messages(status: Mapping[str, Any]) -> Iterable[str]:
    """Give a sentence for all that is not as it should be."""
    for condition_type, wrong in (
        (conditions.READY, "False"),
        (conditions.DRIFTED, "True"),
    ):
        found = conditions.find(status.get("conditions") or (), condition_type)
        if found is not None and found["status"] == wrong:
            yield f"{found['reason']}: {found['message']}"


def rendered(guards: Sequence[Standing], *, wide: bool, colour: bool) -> str:
    """Write the table, and below it one line for each thing that is wrong."""
    headers = _WIDE_HEADERS if wide else _HEADERS
    rows = [_row(guard)[: len(headers)] for guard in guards]
    colours = {"STATE": _colour_of} if colour else None
    text = output.table(headers, rows, right=_RIGHT, colours=colours)
    notes = [
        f"{guard.title}: {output.one_line(message)}\n"
        for guard in guards
        for message in guard.messages
    ]
    return f"{text}\n{''.join(notes)}" if notes else text


def _row(guard: Standing) -> tuple[str, ...]:
    seconds = guard.age_seconds
    return (
        guard.title,
        guard.applied or output.ABSENT,
        guard.state,
        _number(guard.objects),
        _number(guard.drifted),
        _number(guard.restored_24h),
        _number(guard.denied_24h),
        output.ABSENT if seconds is None else output.age(seconds),
        _number(guard.failed),
        _number(guard.orphaned),
        guard.observed or output.ABSENT,
        guard.mode,
        "yes" if guard.restores else "no",
        guard.source or output.ABSENT,
    )


def _number(count: int | None) -> str:
    return output.ABSENT if count is None else str(count)


def _colour_of(state: str) -> str:
    if state in {"Synced", "Reconciling", "Starting", "Deleting"}:
        return "green" if state == "Synced" else "cyan"
    return "yellow" if state == "Drifted" else "red"


def document(guards: Iterable[Standing]) -> list[dict[str, Any]]:
    """Give the Guards for programs: one object each, in camelCase, null for what is not known."""
    return [
        {
            "namespace": guard.namespace,
            "name": guard.name,
            "state": guard.state,
            "inSync": guard.in_sync,
            "messages": list(guard.messages),
            "appliedRevision": guard.applied or None,
            "observedRevision": guard.observed or None,
            "source": guard.source or None,
            "mode": guard.mode,
            "restore": guard.restores,
            "objects": guard.objects,
            "synced": guard.synced,
            "drifted": guard.drifted,
            "failed": guard.failed,
            "orphaned": guard.orphaned,
            "restored24h": guard.restored_24h,
            "denied24h": guard.denied_24h,
            "creationTimestamp": guard.created or None,
        }
        for guard in guards
    ]


async def _counts(
    client: clients.Client, place: archive.Place, now: dt.datetime
) -> tuple[Counts | None, str]:
    """Count the records of the last 24 hours; None, and why, where they cannot be read from here.

    Nothing is to be said where there are none to read: no store, and no guard pod.
    """
    try:
        async with asyncio.timeout(_COUNTS_WITHIN_SECONDS):
            return await archive.counts_since(place, now - _COUNTED, client), ""
    except (cli_errors.NoGuardPod, audit_errors.StoreMissing):
        return None, ""
    except (root_errors.HoldfastError, OSError) as error:  # TimeoutError is an OSError
        return None, str(error) or f"no answer within {_COUNTS_WITHIN_SECONDS:g} s"


async def _read(guard: str, place: archive.Place, *, namespace: str) -> tuple[list[Standing], str]:
    now = dt.datetime.now(dt.UTC)
    async with session.connected(place.kubeconfig, place.context) as client:
        found = await session.guards_named(client, guard, namespace=namespace)
        counts, why = await _counts(client, place, now)
    return [standing(raw, counts, now=now) for raw in found], why


@options.command("status")
@click.argument("guard", default="")
@archive.chosen
@options.namespaces
@options.formats
def status_command(
    *,
    guard: str,
    place: archive.Place,
    namespace: str,
    all_namespaces: bool,
    form: str,
) -> int:
    """Show every Guard and how it stands.

    GUARD is one Guard, as name or namespace/name. RESTORED 24H and DENIED 24H are counted in the
    audit records, which are looked for as `holdfast audit` does, and "-" where they cannot be read
    from here.

    Exit status: 0 if all that is shown is in sync, 1 if not, 2 if it cannot be read.
    """
    wanted = options.one_or_all(namespace, all_namespaces=all_namespaces)
    guards, why = running.run(_read(guard, place, namespace=wanted))
    if form in {"json", "yaml"}:
        output.emit(output.document(form, document(guards)))
    elif guards:
        output.emit(rendered(guards, wide=form == "wide", colour=output.in_colour()))
    else:
        output.tell("There is no Guard yet.")
    if why:
        output.tell(f"Not counted: {output.clean(why)}")
    return 0 if all(one.in_sync for one in guards) else 1

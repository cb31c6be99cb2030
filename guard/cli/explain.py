"""`holdfast explain`: who guards an object, and each field that the source declares of it."""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from guard.api import names, objects
from guard.cli import contexts, diff, locating, options, output, running, session, shown, status
from guard.fields import digests, fieldset, managed, paths, values
from guard.inventory import entries

SAME: Final = "same"
DIFFERS: Final = "differs"
UNKNOWN: Final = "unknown"

_HEADERS: Final = ("PATH", "VALUE", "OWNER", "SOURCE")
_OURS: Final = "holdfast"
"""What our own field manager is called in the table; its name ends in a hash."""


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """A writer that the API server booked for a field. ``time`` is RFC 3339."""

    manager: str
    operation: str
    time: str
    subresource: str


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One declared field. Values are JSON values or MISSING; secrets are veiled.

    ``fits`` is SAME, DIFFERS or UNKNOWN; ``expected`` is known only where it differs.
    """

    path: str
    value: Any
    owners: tuple[Owner, ...]
    fits: str
    expected: Any = values.MISSING


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that is known of a guarded object. Empty texts where something is not known."""

    title: str
    object: dict[str, str]
    guard: str
    guard_exists: bool
    mode: str
    restores: bool
    source: str
    file: str
    revision: str
    state: str
    since: str
    message: str
    fields: tuple[Field, ...]

    @property
    def in_sync(self) -> bool:
        """Whether the object is as the source says."""
        return self.state == entries.State.SYNCED


def explanation(
    guarded: locating.Guarded,
    *,
    guard: objects.RawObject | None,
    report: diff.Report | None,
) -> Explanation:
    """Put together what the object, its Guard, its inventory and the DriftReport say.

    ``guard`` is None where the Guard is gone, ``report`` where nothing is reported.
    """
    difference = next(
        (one for one in (report.differences if report else ()) if one.key == guarded.key), None
    )
    declared = _declared(guarded)
    as_expected = _as_expected(guarded, declared)
    state, message = _state(guarded, difference, as_expected=as_expected)
    standing = (guard or {}).get("status") or {}
    spec = (guard or {}).get("spec") or {}
    key = guarded.key
    return Explanation(
        title=key.title,
        object={
            "group": key.group,
            "version": guarded.version,
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "uid": objects.metadata_of(guarded.live or {}).get("uid", ""),
        },
        guard=f"{guarded.namespace}/{guarded.guard}",
        guard_exists=guard is not None,
        mode=(spec.get("admission") or {}).get("mode") or "",
        restores=(spec.get("drift") or {}).get("restore", True),
        source=status.source_of(guard) if guard else "",
        file=guarded.file,
        revision=standing.get("appliedRevision") or (difference.revision if difference else ""),
        state=state,
        since=difference.since if difference else "",
        message=message,
        fields=tuple(_fields(guarded, declared, difference, as_expected=as_expected)),
    )


def _declared(guarded: locating.Guarded) -> fieldset.FieldSet:
    """Give the declared set: the recorded one rules, the server's booking stands in for it."""
    if guarded.entry is not None and guarded.entry.declared:
        return guarded.entry.declared
    manager = names.field_manager(guarded.guard_hash)
    booked = managed.entry(guarded.live, manager) if guarded.live else None
    return booked or fieldset.EMPTY


def _as_expected(guarded: locating.Guarded, declared: fieldset.FieldSet) -> bool | None:
    """Say whether the live object has the expected values by their digest; None if unknown."""
    if guarded.live is None:
        return False
    if guarded.entry is None or not guarded.entry.digest:
        return None
    return digests.digest(guarded.live, declared) == guarded.entry.digest


def _state(
    guarded: locating.Guarded, difference: diff.Difference | None, *, as_expected: bool | None
) -> tuple[str, str]:
    """Give the state, and a sentence about it where there is something to say."""
    if difference is not None:
        return difference.state, difference.message
    if guarded.live is None:
        return entries.State.DRIFTED, "the object is missing from the cluster"
    if guarded.entry is None:
        return entries.State.PENDING, "only its mark says so: the inventory does not have it yet"
    if as_expected is False:
        return entries.State.DRIFTED, "it was changed just now, or the guard process is away"
    known = guarded.entry.state
    if as_expected and known in {entries.State.DRIFTED, entries.State.PENDING}:
        return entries.State.SYNCED, ""  # the inventory is written less often than the report
    return known, ""


def _fields(
    guarded: locating.Guarded,
    declared: fieldset.FieldSet,
    difference: diff.Difference | None,
    *,
    as_expected: bool | None,
) -> Iterable[Field]:
    booked = managed.owners(guarded.live) if guarded.live else ()
    for path, _ in declared.leaves():
        readable = shown.readable(guarded.key, path)
        found = values.get(guarded.live, path) if guarded.live else values.MISSING
        reported = _reported(difference, readable)
        expected: Any = values.MISSING
        if reported is not None:
            fits = DIFFERS
            is_whole = shown.unhashed(reported.path) == readable
            expected = reported.expected if is_whole else values.MISSING
        elif as_expected or (difference is not None and difference.fields):
            fits = SAME
        else:
            fits = DIFFERS if guarded.live is None else UNKNOWN
        yield Field(
            path=readable,
            value=shown.veiled(guarded.key, path, found),
            owners=_owners(booked, path),
            fits=fits,
            expected=expected,
        )


def _reported(difference: diff.Difference | None, readable: str) -> diff.Field | None:
    """Give the reported field that is this one, or a whole list item above it."""
    for field in difference.fields if difference else ():
        path = shown.unhashed(field.path)
        if readable == path or readable.startswith((f"{path}.", f"{path}[")):
            return field
    return None


def _owners(booked: Sequence[managed.Owner], path: paths.Path) -> tuple[Owner, ...]:
    return tuple(
        Owner(one.manager, one.operation, one.time, one.subresource)
        for one in booked
        if path in one.fields or one.fields.covers(path)
    )


def rendered(told: Explanation, *, now: dt.datetime, wide: bool, colour: bool) -> str:
    """Write the facts, then the table of fields. ``wide`` shows values and owners in full."""
    lines = [output.clean(told.title), ""]
    lines += [f"  {name:<10} {output.one_line(text)}" for name, text in _facts(told, now) if text]
    text = "".join(f"{line}\n" for line in lines)
    if not told.fields:
        return text
    rows = [_row(field, wide=wide) for field in told.fields]
    colours = {"SOURCE": _colour_of} if colour else None
    return f"{text}\n{output.table(_HEADERS, rows, colours=colours)}"


def _facts(told: Explanation, now: dt.datetime) -> Iterable[tuple[str, str]]:
    if told.guard_exists:
        then = "drift is restored" if told.restores else "drift is only reported"
        yield "Guard", f"{told.guard} (mode {told.mode}, {then})"
    else:
        yield "Guard", f"{told.guard} (there is no such Guard any more)"
    yield "Source", told.source
    yield "File", told.file
    yield "Revision", told.revision
    since = ""
    if told.since:
        age = output.age((now - dt.datetime.fromisoformat(told.since)).total_seconds())
        since = f" for {age}"
    yield "State", f"{told.state}{since}{f': {told.message}' if told.message else ''}"


def _row(field: Field, *, wide: bool) -> tuple[str, ...]:
    owners = [_owner(owner, wide=wide) for owner in field.owners]
    fits = field.fits
    if fits == DIFFERS and field.expected is not values.MISSING:
        fits = shown.value(field.expected)
    most = 1000 if wide else shown.MAX_CHARACTERS
    value = shown.VEIL if field.value == shown.VEIL else shown.value(field.value, most)
    return field.path, value, ", ".join(dict.fromkeys(owners)) or output.ABSENT, fits


def _owner(owner: Owner, *, wide: bool) -> str:
    manager = owner.manager
    if manager.startswith(f"{_OURS}-"):
        manager = manager if wide else _OURS
    return f"{manager} ({owner.operation} {owner.time})" if wide else manager


def _colour_of(fits: str) -> str:
    return {SAME: "green", UNKNOWN: ""}.get(fits, "red")


def document(told: Explanation) -> dict[str, Any]:
    """Give all of it for programs; a value that is not there is left out."""
    return {
        "object": told.object,
        "guard": told.guard,
        "mode": told.mode,
        "restore": told.restores,
        "source": told.source,
        "file": told.file,
        "revision": told.revision,
        "state": told.state,
        "since": told.since,
        "message": told.message,
        "fields": [_field_document(field) for field in told.fields],
    }


def _field_document(field: Field) -> dict[str, Any]:
    sides = {"value": field.value, "expected": field.expected}
    return {
        "path": field.path,
        **{side: value for side, value in sides.items() if value is not values.MISSING},
        "fits": field.fits,
        "owners": [dataclasses.asdict(owner) for owner in field.owners],
    }


async def _read(
    kubeconfig: Path | None, context: str | None, wanted: locating.Reference, *, namespace: str
) -> Explanation:
    async with session.connected(kubeconfig, context) as client:
        guarded = await locating.find(client, wanted, namespace=namespace)
        guard, report = await asyncio.gather(
            session.get_own(client, session.GUARDS, guarded.namespace, guarded.guard),
            session.get_own(client, session.REPORTS, guarded.namespace, guarded.guard),
        )
    return explanation(
        guarded, guard=guard, report=diff.report(report) if report is not None else None
    )


@options.command("explain")
@click.argument("what", nargs=-1, required=True, metavar="KIND/NAME")
@options.cluster
@options.namespace
@options.formats
def explain_command(
    *,
    what: tuple[str, ...],
    kubeconfig: Path | None,
    context: str | None,
    namespace: str,
    form: str,
) -> int:
    """Show who guards an object, and each declared field.

    KIND may be a short name or a plural, and a blank may stand for the slash. OWNER is who wrote a
    field last, by the server's managed fields; SOURCE is "same", or what the source says instead.

    Exit status: 0 if the object is as the source says, 1 if not, 2 if it is not guarded or cannot
    be read.
    """
    told = running.run(
        _read(
            kubeconfig,
            context,
            locating.reference(what),
            namespace=namespace or contexts.namespace(kubeconfig, context),
        )
    )
    if form in {"json", "yaml"}:
        output.emit(output.document(form, document(told)))
    else:
        now = dt.datetime.now(dt.UTC)
        output.emit(rendered(told, now=now, wide=form == "wide", colour=output.in_colour()))
    return 0 if told.in_sync else 1

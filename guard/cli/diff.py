"""`holdfast diff`: what stays different from the source, by the Guards' DriftReports."""

import dataclasses
import datetime as dt
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from guard.api import keys, objects
from guard.api.verdicts import ChangeKind
from guard.cli import contexts, errors, locating, options, output, running, session, shown
from guard.fields import values

_SPELLED_OUT: Final = frozenset({ChangeKind.CHANGED, ChangeKind.REMOVED})
"""Kinds of change that the minus and plus lines show by themselves."""


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field that differs; values are JSON values or MISSING, secrets as keyed hashes."""

    path: str
    kind: str
    expected: Any
    live: Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One object that is not as the source says. ``guard`` is ``namespace/name``."""

    guard: str
    revision: str
    key: keys.ObjectKey
    version: str
    uid: str
    state: str
    since: str
    file: str
    message: str
    fields: tuple[Field, ...]

    def age_seconds(self, now: dt.datetime) -> float:
        """Give for how long this has been so."""
        return (now - dt.datetime.fromisoformat(self.since)).total_seconds()


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """One Guard's DriftReport."""

    guard: str
    revision: str
    truncated: bool
    differences: tuple[Difference, ...]


def report(raw: objects.RawObject) -> Report:
    """Read a DriftReport as the API server sent it."""
    spec = raw["spec"]
    guard = f"{raw['metadata']['namespace']}/{spec['guard']}"
    found = tuple(_difference(drift, guard, spec["revision"]) for drift in spec.get("drifts") or ())
    return Report(guard, spec["revision"], bool(spec.get("truncated")), found)


def _difference(drift: dict[str, Any], guard: str, revision: str) -> Difference:
    obj = drift["object"]
    return Difference(
        guard=guard,
        revision=revision,
        key=keys.ObjectKey(
            obj.get("group") or "", obj["kind"], obj.get("namespace") or "", obj["name"]
        ),
        version=obj.get("version") or "",
        uid=obj.get("uid") or "",
        state=drift["state"],
        since=drift["since"],
        file=drift.get("file") or "",
        message=drift.get("message") or "",
        fields=tuple(
            Field(
                field["path"],
                field["kind"],
                shown.reported(field.get("expected")),
                shown.reported(field.get("live")),
            )
            for field in drift.get("fields") or ()
        ),
    )


def rendered(reports: Iterable[Report], *, now: dt.datetime, colour: bool) -> str:
    """Write all differences, object by object; empty if there are none."""
    parts = []
    for each in reports:
        parts += [_object(difference, now) for difference in each.differences]
        if each.truncated:
            parts.append([f"Guard {each.guard} has more than is listed here."])
    lines = itertools.chain.from_iterable([*part, ""] for part in parts)
    return "".join(f"{_coloured(line) if colour else line}\n" for line in lines).removesuffix("\n")


def _object(difference: Difference, now: dt.datetime) -> list[str]:
    head = f"{difference.key.title}  {difference.state} for {_age(difference, now)}"
    place = ", ".join(
        part for part in (difference.file, difference.revision, f"Guard {difference.guard}") if part
    )
    lines = [output.clean(f"{head}  ({place})")]
    if difference.message:
        lines.append(f"  {output.one_line(difference.message)}")
    for field in difference.fields:
        lines += _field(field)
    return lines


def _age(difference: Difference, now: dt.datetime) -> str:
    return output.age(difference.age_seconds(now))


def _field(field: Field) -> Iterator[str]:
    word = "" if field.kind in _SPELLED_OUT else f"  ({field.kind})"
    yield output.clean(f"  {field.path}{word}")
    for line in shown.difference(field.expected, field.live):
        yield f"    {line}"


def _coloured(line: str) -> str:
    if line.startswith("    - "):
        return click.style(line, fg="red")
    if line.startswith("    + "):
        return click.style(line, fg="green")
    return line if line.startswith(" ") or not line else click.style(line, bold=True)


def document(reports: Iterable[Report]) -> list[dict[str, Any]]:
    """Give the differences for programs, one object each; a side that has no value is left out."""
    return [
        {
            "guard": difference.guard,
            "revision": difference.revision,
            "object": {
                "group": difference.key.group,
                "version": difference.version,
                "kind": difference.key.kind,
                "namespace": difference.key.namespace,
                "name": difference.key.name,
                "uid": difference.uid,
            },
            "state": difference.state,
            "since": difference.since,
            "file": difference.file,
            "message": difference.message,
            "fields": [_field_document(field) for field in difference.fields],
        }
        for each in reports
        for difference in each.differences
    ]


def _field_document(field: Field) -> dict[str, Any]:
    sides = {"expected": field.expected, "live": field.live}
    return {
        "path": field.path,
        "kind": field.kind,
        **{side: value for side, value in sides.items() if value is not values.MISSING},
    }


def of_object(reports: Iterable[Report], key: keys.ObjectKey) -> list[Report]:
    """Cut reports down to one object."""
    return [
        dataclasses.replace(each, truncated=False, differences=mine)
        for each in reports
        if (mine := tuple(one for one in each.differences if one.key == key))
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class _Question:
    """What is asked for: all, a Guard, or an object. ``namespace`` is empty if none is named."""

    words: tuple[str, ...]
    namespace: str
    default_namespace: str


async def _read(
    kubeconfig: Path | None, context: str | None, question: _Question
) -> Sequence[Report]:
    async with session.connected(kubeconfig, context) as client:
        if not question.words:
            raw = await session.list_own(client, session.REPORTS, namespace=question.namespace)
            return [report(one) for one in raw]
        if len(question.words) == 1:
            named = await _guards(client, question)
            if named:
                raw_reports = [
                    await session.get_own(
                        client,
                        session.REPORTS,
                        guard["metadata"]["namespace"],
                        guard["metadata"]["name"],
                    )
                    for guard in named
                ]
                return [report(one) for one in raw_reports if one is not None]
        guarded = await locating.find(
            client,
            locating.reference(question.words),
            namespace=question.namespace or question.default_namespace,
        )
        one = await session.get_own(client, session.REPORTS, guarded.namespace, guarded.guard)
        return of_object([report(one)] if one is not None else [], guarded.key)


async def _guards(client: Any, question: _Question) -> list[objects.RawObject]:
    """Give the Guards that the one word names; none if it looks like an object instead.

    Raises NoSuchGuard for a word that can be nothing else.
    """
    word = question.words[0]
    try:
        return await session.guards_named(client, word, namespace=question.namespace)
    except (errors.NoSuchGuard, errors.ListForbidden):
        if "/" not in word:
            raise
        return []  # KIND/NAME looks the same as NAMESPACE/GUARD


@options.command("diff")
@click.argument("what", nargs=-1, metavar="[KIND/NAME | GUARD]")
@options.cluster
@options.namespaces
@options.formats
def diff_command(
    *,
    what: tuple[str, ...],
    kubeconfig: Path | None,
    context: str | None,
    namespace: str,
    all_namespaces: bool,
    form: str,
) -> int:
    """Show what stays different from the source.

    GUARD is a Guard, as name or namespace/name; KIND/NAME an object, which is looked for in the
    namespace of -n or of the context. Lines with "-" are what the source says, lines with "+" what
    the cluster holds. What was restored is not different any more: see `holdfast audit`.

    Exit status: 0 if nothing differs, 1 if something does, 2 if it cannot be read.
    """
    place = options.one_or_all(namespace, all_namespaces=all_namespaces)
    question = _Question(what, place, contexts.namespace(kubeconfig, context))
    reports = running.run(_read(kubeconfig, context, question))
    if form in {"json", "yaml"}:
        output.emit(output.document(form, document(reports)))
    else:
        now = dt.datetime.now(dt.UTC)
        output.emit(rendered(reports, now=now, colour=output.in_colour()))
    return 1 if any(one.differences for one in reports) else 0

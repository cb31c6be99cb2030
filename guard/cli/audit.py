"""`holdfast audit`: the records of the store, as a list."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import click
import msgspec

from guard.api import verdicts
from guard.audit import record as records
from guard.audit import store, summary
from guard.cli import archive, kinds, options, output, running

_HEADERS: Final = ("TIME", "VERDICT", "USER", "OBJECT", "WHAT")
_WIDE_HEADERS: Final = (
    "TIME",
    "VERDICT",
    "OUTCOME",
    "USER",
    "MANAGER",
    "OBJECT",
    "GUARD",
    "REVISION",
    "REASON",
    "WHAT",
)
_MAX_CHARACTERS: Final = 120
"""Of a name or reason in a table: a service account's name in full, but no essay."""

_COLOURS: Final = {
    verdicts.Verdict.DENIED: "red",
    verdicts.Verdict.REFUSED: "red",
    verdicts.Verdict.QUARANTINED: "red",
    verdicts.Verdict.FLAGGED: "yellow",
    verdicts.Verdict.REPORTED: "yellow",
    verdicts.Verdict.RESTORED: "green",
    verdicts.Verdict.REVERTED: "green",
}


def rendered(found: Sequence[records.Record], *, now: dt.datetime, wide: bool, colour: bool) -> str:
    """Write records as a table, in the order given; times are in the zone of ``now``."""
    times = _times([dt.datetime.fromisoformat(entry.time) for entry in found], now)
    rows = [
        _wide_row(entry, time) if wide else _row(entry, time)
        for entry, time in zip(found, times, strict=True)
    ]
    colours = {"VERDICT": lambda verdict: _COLOURS.get(verdict, "")} if colour else None
    return output.table(_WIDE_HEADERS if wide else _HEADERS, rows, colours=colours)


def _times(moments: Sequence[dt.datetime], now: dt.datetime) -> list[str]:
    """Show times by the clock alone where all of them are of today, else with the date."""
    here = [moment.astimezone(now.tzinfo) for moment in moments]
    form = "%H:%M:%S" if all(one.date() == now.date() for one in here) else "%Y-%m-%d %H:%M:%S"
    return [one.strftime(form) for one in here]


def _row(entry: records.Record, time: str) -> tuple[str, ...]:
    what = summary.of(entry)
    if not entry.user and entry.field_manager:
        what = f"{what} (manager {_cut(entry.field_manager)})"
    return time, entry.verdict, _cut(entry.user), entry.object.title, what


def _wide_row(entry: records.Record, time: str) -> tuple[str, ...]:
    return (
        time,
        entry.verdict,
        entry.outcome,
        _cut(entry.user),
        _cut(entry.field_manager),
        entry.object.title,
        _cut(entry.guard),
        _cut(entry.revision),
        _cut(entry.reason),
        summary.of(entry),
    )


def _cut(text: str) -> str:
    return output.cut(output.clean(text), _MAX_CHARACTERS) or output.ABSENT


def document(found: Sequence[records.Record]) -> list[dict[str, Any]]:
    """Give whole records for programs, in the order given; absent values are left out."""
    return [msgspec.to_builtins(entry) for entry in found]


@options.command("audit")
@click.option(
    "--object", "object_", default="", metavar="KIND/NAME", help="Only this object, or NAME alone."
)
@options.namespaces
@click.option("--user", default="", metavar="NAME", help="Only what this user did.")
@click.option(
    "--verdict",
    "verdicts",
    multiple=True,
    type=click.Choice([verdict.value for verdict in verdicts.Verdict], case_sensitive=False),
    help="Only this verdict; may be given more than once.",
)
@click.option("--guard", default="", metavar="NAMESPACE/NAME", help="Only this Guard.")
@click.option("--since", type=options.Moment(), help="Not before: 1h, 2d, or a time (RFC 3339).")
@click.option("--until", type=options.Moment(), help="Before: likewise.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=store.DEFAULT_LIMIT,
    show_default=True,
    help="At most the newest so many; 0 for all.",
)
@archive.chosen
@options.formats
def audit_command(
    *,
    object_: str,
    namespace: str,
    all_namespaces: bool,
    limit: int,
    place: archive.Place,
    form: str,
    **criteria: Any,
) -> int:
    """List the audit log: who did what, and what became of it.

    Oldest first. "-" for a user means that only the watch saw the change, so that nobody knows who
    made it.

    The log is read from audit.db below --state if it is there or --state is given, and else from
    the guard pod, through the API server: that takes the right to forward ports of pods in the
    namespace of Holdfast.

    Exit status: 0, or 2 if the store cannot be read.
    """
    wanted = store.Filter(
        object=kinds.spelled_out(object_),
        namespace=options.one_or_all(namespace, all_namespaces=all_namespaces),
        limit=limit or None,
        **criteria,
    )
    # A log is read downwards.
    found = running.run(archive.query(place, wanted))[::-1]
    if form in {"json", "yaml"}:
        output.emit(output.document(form, document(found)))
    elif found:
        now = dt.datetime.now().astimezone()
        output.emit(rendered(found, now=now, wide=form == "wide", colour=output.in_colour()))
    else:
        output.tell("No record matches.")
    return 0

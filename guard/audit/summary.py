"""A record in one line for a person: the WHAT column of ``holdfast audit``.

Everything in it may have been typed by whoever is being audited. So control characters, bidi
overrides and the like are escaped, and long values are cut: a value can neither repaint the
terminal nor push the rest out of sight.
"""

import re
from typing import Any, Final

import msgspec

from guard.api import verdicts
from guard.audit import record

_MAX_VALUE_CHARACTERS: Final = 48
_MAX_PATH_CHARACTERS: Final = 120
_MAX_TEXT_CHARACTERS: Final = 200
_SHOWN_CHANGES: Final = 2
"""More than two make the column wrap on a wide terminal; the others are counted."""

_COUNTED_MS: Final = 10_000
"""From 10 s on, nobody counts milliseconds."""

_PLAIN: Final = re.compile(r"[^\s\"'{}\[\],]+")
"""Strings that read well without quotes, in a line where commas and arrows separate."""

_AMBIGUOUS: Final = re.compile(r"-?\d[\d.eE+-]*|true|false|null|\(none\)")
"""Strings that without quotes would read as another value."""

_OPERATIONS: Final = {
    "CREATE": "created",
    "UPDATE": "updated",
    "DELETE": "deleted",
    "CONNECT": "connected",
}


def of(entry: record.Record) -> str:
    """Say what happened: ``spec.replicas 3 -> 5``, ``deleted``, ``a x -> y, b removed, +3 more``.

    For a restore also how it ended: ``data.level info -> debug, back to info in 3 ms``.
    """
    parts = [_act(entry)]
    if entry.verdict == verdicts.Verdict.RESTORED:
        parts.append(_ending(entry))
    text = _escaped(", ".join(part for part in parts if part))
    return f"{text} (dry run)" if entry.dry_run else text


def value(value: Any) -> str:
    """Show one JSON value: plain where it can be read plainly, else as JSON; cut, and escaped."""
    if value is record.ABSENT:
        return "(none)"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not _AMBIGUOUS.fullmatch(value):
        return _escaped(_cut(value, _MAX_VALUE_CHARACTERS))
    return _escaped(_cut(msgspec.json.encode(value).decode(), _MAX_VALUE_CHARACTERS))


def _act(entry: record.Record) -> str:
    """Say what was done, or what was found."""
    if not entry.changes:
        if entry.operation in _OPERATIONS:
            done = _OPERATIONS[entry.operation]
            return f"{done} {_cut(entry.subresource)}" if entry.subresource else done
        return _cut(entry.message or entry.reason)
    shown = [_change(change) for change in entry.changes[:_SHOWN_CHANGES]]
    if hidden := len(entry.changes) - len(shown):
        shown.append(f"+{hidden} more")
    return ", ".join(shown)


def _change(change: record.FieldChange) -> str:
    if change.kind == verdicts.ChangeKind.MISSING:
        return "deleted"
    path = _cut(change.path, _MAX_PATH_CHARACTERS)
    if change.old is record.ABSENT and change.new is record.ABSENT:
        return f"{path} {change.kind}"
    if change.new is record.ABSENT:
        return f"{path} removed (was {value(change.old)})"
    if change.old is record.ABSENT:
        return f"{path} added {value(change.new)}"
    text = f"{path} {value(change.old)} -> {value(change.new)}"
    if change.kind == verdicts.ChangeKind.MUTATED:
        return f"{text} by another webhook"
    return text


def _ending(entry: record.Record) -> str:
    """Say how a restore ended; nothing while that is not known."""
    if entry.outcome == verdicts.Outcome.FAILED:
        why = _cut(entry.message)
        return f"not put back: {why}" if why else "not put back"
    if entry.outcome != verdicts.Outcome.COMMITTED:
        return ""
    taken = f" in {_duration(entry.duration_ms)}" if entry.duration_ms is not None else ""
    return f"{_restored(entry)}{taken}"


def _restored(entry: record.Record) -> str:
    if _is_gone(entry):
        return "created again"
    if len(entry.changes) != 1:
        return "all back" if entry.changes else "back"
    source = entry.changes[0].source
    return "back" if source is record.ABSENT else f"back to {value(source)}"


def _is_gone(entry: record.Record) -> bool:
    """Tell whether the object itself went, not a field of it."""
    kinds = [change.kind for change in entry.changes]
    return kinds == [verdicts.ChangeKind.MISSING] or (not kinds and entry.operation == "DELETE")


def _duration(duration_ms: float) -> str:
    if duration_ms < 1:
        return "<1 ms"
    if duration_ms < _COUNTED_MS:
        return f"{duration_ms:.0f} ms"
    return f"{duration_ms / 1_000:.0f} s"


def _cut(text: str, max_characters: int = _MAX_TEXT_CHARACTERS) -> str:
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"


def _escaped(text: str) -> str:
    """Escape whatever does not print as itself: controls, formats, separators."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )

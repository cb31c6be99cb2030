"""The words of an answer: the text of a denial, and the warnings of Flag mode. Pure.

kubectl prints the message of a 403 whole and as it is, so everything in it that somebody else
typed is escaped and cut here. Warnings must be single lines: the API server drops one with a line
break in silence, and shows about 4,096 characters in all.
"""

import dataclasses
import re
from typing import Any, Final

import orjson

from guard.api import keys
from guard.fields import values
from guard.policy import decision

MAX_FIELDS: Final = 25
MAX_WARNING_CHARACTERS: Final = 256
MAX_WARNINGS_CHARACTERS: Final = 4000  # the API server cuts at 4,096 in all

_MAX_VALUE_CHARACTERS: Final = 60  # an image with registry and tag fits, a digest does not
_MAX_PATH_CHARACTERS: Final = 120
_MAX_TEXT_CHARACTERS: Final = 300
_BINARY_CHARACTERS: Final = 120  # base64 of more than this has nothing to read in it
_MAX_SCANNED_CHARACTERS: Final = 4096
_BEFORE_DIFFERENCE_CHARACTERS: Final = 20
_SECONDS_OF_A_MINUTE: Final = 60.0

_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}\Z")
# A string that YAML or a quick reader would take for something else is shown in quotes.
_BARE: Final = re.compile(
    r"(?![-+.]?[\d.])(?!(?:true|false|null|yes|no|on|off|~)\Z)\S(?:.*\S)?\Z", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Where an object is declared, for a person: the Guard, and what is known of its source."""

    guard: str
    url: str = ""
    revision: str = ""
    file: str = ""
    interval: str = "30s"
    interval_seconds: float = 30.0
    restores: bool = True


def denial(
    key: keys.ObjectKey, origin: Origin, findings: tuple[decision.Finding, ...], *, operation: str
) -> str:
    """Say what is refused, why, and what to do instead; lines are joined by a newline."""
    lines = [headline(key), ""]
    if findings:
        lines += _table(findings)
    else:
        lines.append("  deleting it is refused")
    lines += ["", f"  Source      {_source(origin)}"]
    if operation == "DELETE":
        lines.append(
            "  To delete   remove it from that file;"
            f" it can be deleted {_after(origin)} of the push"
        )
    else:
        lines.append(f"  To change   edit that file; it is applied {_after(origin)} of the push")
    return "\n".join(lines)


def headline(key: keys.ObjectKey) -> str:
    """Say in one line why: ``shop/web is managed from Git``."""
    return f"{_subject(key)} is managed from Git"


def warnings(
    key: keys.ObjectKey, origin: Origin, findings: tuple[decision.Finding, ...], *, operation: str
) -> tuple[str, ...]:
    """Say in single lines what was let through; the first one says what becomes of it."""
    act = "deleting it" if operation == "DELETE" else "this change"
    then = "will be undone" if origin.restores else "is only recorded"
    place = f"{_text(origin.file)}, " if origin.file else ""
    first = f"{headline(key)} ({place}Guard {origin.guard}): {act} {then}"
    found = [_cut(first, MAX_WARNING_CHARACTERS)]
    total = len(found[0])
    for count, finding in enumerate(findings[:MAX_FIELDS]):
        before, after = _cells(finding)
        line = _cut(f"{_path(finding.path)}: {before}, {after}", MAX_WARNING_CHARACTERS)
        more = f"and {len(findings) - count} more fields"
        if total + len(line) + len(more) > MAX_WARNINGS_CHARACTERS:
            return (*found, more)
        found.append(line)
        total += len(line)
    if len(findings) > MAX_FIELDS:
        found.append(f"and {len(findings) - MAX_FIELDS} more fields")
    return tuple(found)


def escaped(text: str) -> str:
    """Escape what a terminal would act on or hide: control characters, bidi marks, line ends."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def value(value_: Any) -> str:
    """Show one JSON value in at most about 60 characters.

    A text of several lines and a binary one are shown by their size.
    """
    return _cut(_whole(value_), _MAX_VALUE_CHARACTERS)


def _table(findings: tuple[decision.Finding, ...]) -> list[str]:
    rows = [(_path(finding.path), *_cells(finding)) for finding in findings[:MAX_FIELDS]]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [
        f"  {path.ljust(widths[0])}   {before.ljust(widths[1])}   {after}"
        for path, before, after in rows
    ]
    if len(findings) > MAX_FIELDS:
        lines.append(f"  and {len(findings) - MAX_FIELDS} more")
    return lines


def _cells(finding: decision.Finding) -> tuple[str, str]:
    """Give what the source says (or, where unknown, what is live) and what the caller sent."""
    source, yours = _pair(finding.source, finding.new)
    return f"{'Git' if finding.is_known else 'live'} {source}", f"yours {yours}"


def _pair(one: Any, other: Any) -> tuple[str, str]:
    """Show two values that differ, so that the difference can be seen."""
    whole = _whole(one), _whole(other)
    shown = _cut(whole[0], _MAX_VALUE_CHARACTERS), _cut(whole[1], _MAX_VALUE_CHARACTERS)
    if shown[0] != shown[1]:
        return shown
    if whole[0] != whole[1]:  # the difference was cut out of the middle
        start = max(0, _first_difference(*whole) - _BEFORE_DIFFERENCE_CHARACTERS)
        return _window(whole[0], start), _window(whole[1], start)
    if isinstance(one, str) and isinstance(other, str) and one != other:
        at = _first_difference(one, other)
        line = one.count("\n", 0, at) + 1
        return shown[0], f"{shown[1]}, different from line {line} on"
    return shown


def _window(text: str, start: int) -> str:
    end = start + _MAX_VALUE_CHARACTERS
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


def _first_difference(one: str, other: str) -> int:
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return index
    return min(len(one), len(other))


def _whole(value_: Any) -> str:
    if value_ is values.MISSING:
        return "(absent)"
    if isinstance(value_, str):
        return _string(value_)
    if isinstance(value_, (dict, list)):
        return escaped(orjson.dumps(value_).decode())
    return orjson.dumps(value_).decode()


def _string(text: str) -> str:
    if "\n" in text:
        lines = text.count("\n") + (not text.endswith("\n"))
        return f"({lines} lines, {len(text.encode(errors='replace'))} bytes)"
    if len(text) > _BINARY_CHARACTERS and len(text) % 4 == 0 and _BASE64.match(text):
        return f"(binary, {len(text) // 4 * 3 - text.count('=', -2)} bytes)"
    shown = escaped(text)
    return shown if _BARE.match(shown) else f'"{shown}"'


def _cut(text: str, max_characters: int) -> str:
    """Shorten in the middle: the ends of images and URLs are what people know them by."""
    if len(text) <= max_characters:
        return text
    head = max_characters // 2
    return f"{text[:head]}…{text[head + 1 - max_characters :]}"


def _subject(key: keys.ObjectKey) -> str:
    return escaped(f"{key.namespace}/{key.name}" if key.namespace else key.title)


def _path(path: str) -> str:
    return _cut(escaped(path), _MAX_PATH_CHARACTERS)


def _text(text: str) -> str:
    return _cut(escaped(text), _MAX_TEXT_CHARACTERS)


def _source(origin: Origin) -> str:
    known = " @ ".join(_text(part) for part in (origin.url, origin.revision) if part)
    parts = [part for part in (known, _text(origin.file)) if part]
    guard = f"Guard {origin.guard}"
    return f"{', '.join(parts)} ({guard})" if parts else guard


def _after(origin: Origin) -> str:
    if origin.interval_seconds <= _SECONDS_OF_A_MINUTE:
        return "within seconds"
    return f"within {origin.interval}"

"""What reaches the terminal: tables, ages, JSON and YAML. Pure, but for ``emit``.

Much of what is shown was typed by somebody else into the cluster. Whatever a terminal would act on
or hide (escape sequences, bidi overrides) is escaped on its way out, in every format.
"""

import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn, TextIO

import click

FORMATS: Final = ("table", "wide", "json", "yaml")

ABSENT: Final = "-"
"""Stands in a table where there is nothing to show."""

BROKEN_PIPE_STATUS: Final = 141  # 128 + SIGPIPE: what a shell shows for any program

_GAP: Final = "  "
_WIDE: Final = frozenset("WF")  # East Asian width: two columns

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_YEAR: Final = 365 * _DAY


def clean(text: str) -> str:
    r"""Escape what does not print as itself, line breaks too: ``\x1b``, ``\n``, ``\u202e``."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def one_line(text: str, max_characters: int = 400) -> str:
    """Put a message on one line: white space joined, the rest cleaned, and cut."""
    joined = clean(" ".join(text.split()))
    return cut(joined, max_characters)


def cut(text: str, max_characters: int) -> str:
    """Shorten at the end, with an ellipsis."""
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"


def columns(text: str) -> int:
    """Count the terminal columns that a printable text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in _WIDE)
        for each in text
    )


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: frozenset[str] = frozenset(),
    colours: Mapping[str, Callable[[str], str]] | None = None,
) -> str:
    """Align rows below their headers; ends with a line break, no line has trailing blanks.

    Columns named in ``right`` are aligned to the right. ``colours`` gives, by header, what colour
    a cell has ("" for none); without it nothing is coloured. Cells are cleaned here.
    """
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [
        max(columns(row[place]) for row in ([*headers], *cells)) for place in range(len(headers))
    ]
    lines = []
    for number, row in enumerate(([*headers], *cells)):
        parts = []
        for header, width, cell in zip(headers, widths, row, strict=True):
            padding = " " * (width - columns(cell))
            colour = colours[header](cell) if number and colours and header in colours else ""
            shown = click.style(cell, fg=colour) if colour else cell
            parts.append(padding + shown if header in right else shown + padding)
        lines.append(_GAP.join(parts).rstrip())
    return "".join(f"{line}\n" for line in lines)


def age(seconds: float) -> str:
    """Say how long that is, as kubectl does: ``45s``, ``3m20s``, ``5h``, ``12d``, ``2y30d``.

    The steps are those of k8s.io/apimachinery's duration.HumanDuration.
    """
    whole = max(0, int(seconds))
    for below, unit, part in (
        (2 * _MINUTE, 1, 0),
        (10 * _MINUTE, _MINUTE, 1),
        (3 * _HOUR, _MINUTE, 0),
        (8 * _HOUR, _HOUR, _MINUTE),
        (2 * _DAY, _HOUR, 0),
        (8 * _DAY, _DAY, _HOUR),
        (2 * _YEAR, _DAY, 0),
        (8 * _YEAR, _YEAR, _DAY),
    ):
        if whole < below:
            rest = whole % unit // part if part else 0
            return _with_unit(whole // unit, unit) + (_with_unit(rest, part) if rest else "")
    return _with_unit(whole // _YEAR, _YEAR)


def _with_unit(number: int, unit: int) -> str:
    return f"{number}{ {1: 's', _MINUTE: 'm', _HOUR: 'h', _DAY: 'd', _YEAR: 'y'}[unit] }"


def as_json(document: Any) -> str:
    """Write a document as indented JSON that a terminal shows as it is."""
    return _NOT_ASCII.sub(_json_escape, _json(document))


def as_yaml(document: Any) -> str:
    """Write a document as YAML that Kubernetes reads back as the same values.

    Characters that a terminal should not see, and that plain YAML can hold only raw, make it YAML
    in the form of JSON.
    """
    from guard.api import yamltext  # YAML takes a quarter of the start-up, and is rarely asked for

    text = yamltext.dump(json.loads(json.dumps(document)))
    if text.replace("\n", "").isprintable():
        return text
    return _NOT_ASCII.sub(_yaml_escape, _json(document))


_NOT_ASCII: Final = re.compile(r"[^\n -~]")


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _json_escape(match: re.Match[str]) -> str:
    character = match.group()
    return character if character.isprintable() else json.dumps(character)[1:-1]


def _yaml_escape(match: re.Match[str]) -> str:
    """Escape as YAML does: it has no surrogate pairs, and JSON no eight digits."""
    character = match.group()
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def document(wanted: str, content: Any) -> str:
    """Write ``content`` in the format ``json`` or ``yaml``."""
    return as_json(content) if wanted == "json" else as_yaml(content)


def emit(text: str) -> None:
    """Write to standard output; a reader who has gone ends the program without a word."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_quietly()


def _leave_quietly() -> NoReturn:
    # Python flushes standard output once more when it ends, and would complain then.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(BROKEN_PIPE_STATUS)


def tell(text: str) -> None:
    """Write one line for a person to standard error, which is not part of the output."""
    click.echo(text, err=True)


def in_colour(stream: TextIO | None = None) -> bool:
    """Say whether colours are wanted: on a terminal, unless NO_COLOR is set (no-color.org)."""
    stream = sys.stdout if stream is None else stream
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()

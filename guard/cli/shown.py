"""Values as a person reads them: on one line of a table, or on several lines of a diff. Pure."""

import difflib
import itertools
import json
import os
import re
from collections.abc import Iterator
from typing import Any, Final

from guard.api import keys, yamltext
from guard.cli import output
from guard.fields import paths, values
from guard.policy import secrecy

VEIL: Final = "(secret)"
NONE: Final = "(none)"

MAX_CHARACTERS: Final = 60
"""Of a value in a table: an image with registry and tag fits."""

_MAX_LINE_CHARACTERS: Final = 200
_MAX_LINES: Final = 60
_CONTEXT_LINES: Final = 1

_HASHED: Final = re.compile(rf'"?{secrecy.HASH_PREFIX}[0-9a-f]{{12}}"?')

# A string that YAML or a quick reader would take for something else is shown in quotes.
_BARE: Final = re.compile(
    r"(?!(?:true|false|null|yes|no|on|off)\Z)[A-Za-z_/][^\s\"'{}\[\],]*", re.IGNORECASE
)


def value(value_: Any, max_characters: int = MAX_CHARACTERS) -> str:
    """Show one JSON value, or MISSING, on one line."""
    if value_ is values.MISSING:
        return NONE
    if isinstance(value_, str):
        if "\n" in value_.rstrip("\n"):
            return f"({_count(value_)} lines)"
        if _BARE.fullmatch(value_):
            return output.cut(output.clean(value_), max_characters)
    return output.cut(output.clean(json.dumps(value_, ensure_ascii=False)), max_characters)


def veiled(key: keys.ObjectKey, path: paths.Path, value_: Any) -> Any:
    """Put VEIL in the place of every secret in a value of a live object."""
    # The hashes of this masker serve only to be told from what they stand for.
    masker = secrecy.Masker(os.urandom(32))
    return _veiled(value_, masker.value(key, path, value_))


def readable(key: keys.ObjectKey, path: paths.Path) -> str:
    """Write a path of a live object, with VEIL in the place of an item of a set of secrets."""
    masked = secrecy.Masker(os.urandom(32)).path(key, path)
    return unhashed(paths.readable(masked))


def unhashed(path: str) -> str:
    """Put VEIL in the place of keyed hashes in a readable path.

    A report names an item of a set of secrets by its hash, and the key is not here.
    """
    return _HASHED.sub(f'"{VEIL}"', path)


def _veiled(plain: Any, masked: Any) -> Any:
    if isinstance(plain, dict) and isinstance(masked, dict):
        return {name: _veiled(item, masked[name]) for name, item in plain.items()}
    if isinstance(plain, list) and isinstance(masked, list):
        return [_veiled(*pair) for pair in zip(plain, masked, strict=True)]
    return plain if plain is masked or plain == masked else VEIL


def reported(text: str | None) -> Any:
    """Read a value of a DriftReport: JSON, or MISSING for None.

    A value that the report has cut short is no JSON any more; its text is given.
    """
    if text is None:
        return values.MISSING
    try:
        return json.loads(text)
    except ValueError:
        return text


def difference(expected: Any, live: Any) -> Iterator[str]:
    """Give the lines of a diff, each beginning with ``-``, ``+`` or a blank; cleaned, and cut.

    Of two texts of several lines only what differs is shown, with a line around it.
    """
    before, after = _lines(expected), _lines(live)
    if len(before) > 1 and len(after) > 1:
        lines = list(_hunks(before, after))
    else:
        lines = [f"- {line}" for line in before] + [f"+ {line}" for line in after]
    for line in lines[:_MAX_LINES]:
        yield output.cut(output.clean(line), _MAX_LINE_CHARACTERS).rstrip()
    if len(lines) > _MAX_LINES:
        yield f"  (and {len(lines) - _MAX_LINES} more lines)"


def _hunks(before: list[str], after: list[str]) -> Iterator[str]:
    found = difflib.unified_diff(before, after, n=_CONTEXT_LINES, lineterm="")
    for line in itertools.islice(found, 2, None):  # the first two name files
        yield "  ..." if line.startswith("@@") else f"{line[0]} {line[1:]}"


def _lines(value_: Any) -> list[str]:
    if value_ is values.MISSING:
        return []
    if isinstance(value_, str) and "\n" in value_.rstrip("\n"):
        return value_.split("\n")[: _count(value_)]
    short = value(value_, _MAX_LINE_CHARACTERS)
    if isinstance(value_, dict | list) and len(short) > MAX_CHARACTERS:
        return yamltext.dump(value_).splitlines()
    return [short]


def _count(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n"))

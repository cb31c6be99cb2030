"""JSON files: one value or several in a row, as Go's json.Decoder reads them, but stricter.

A key that stands twice and a half surrogate pair are faults; Go takes the last value of the one
and replaces the other in silence.
"""

import json
import math
import re
from typing import Any, Final

import orjson

from guard.render import errors, scalars

_SPACE: Final = re.compile(r"[ \t\r\n]*")


class NotJsonError(errors.UnreadableFile):
    """The text is no JSON from ``line`` on; it may still be YAML."""


def documents(text: str, *, file: str) -> list[tuple[Any, int]]:
    """Give each value of the text with the line (from 1) on which it begins.

    Raises NotJsonError where the syntax ends, and UnreadableFile for a value with two readings.
    """
    found: list[tuple[Any, int]] = []
    decoder = _decoder()
    position = _after_space(text, 0)
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        try:
            value, end = decoder.raw_decode(text, position)
            orjson.dumps(value)
        except json.JSONDecodeError as error:
            raise NotJsonError(file, error.lineno, "The text is no JSON.") from error
        except _AmbiguousError as error:
            raise errors.UnreadableFile(file, line, str(error)) from error
        except RecursionError as error:
            sentence = "Lists and mappings are nested too deeply."
            raise errors.UnreadableFile(file, line, sentence) from error
        except orjson.JSONEncodeError as error:
            # Half a surrogate pair, or nesting beyond orjson's 254.
            sentence = "The value holds half a surrogate pair, or is nested too deeply."
            raise errors.UnreadableFile(file, line, sentence) from error
        found.append((value, line))
        position = _after_space(text, end)
    return found


class _AmbiguousError(ValueError):
    """Raised inside the decoder's hooks, which know no position."""


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_mapping,
        parse_int=_number,
        parse_float=_number,
        parse_constant=_constant,
    )


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        message = "A key stands twice in one object of this document."
        raise _AmbiguousError(message)
    return mapping


def _number(text: str) -> int | float:
    value = scalars.json_number(text)
    if isinstance(value, float) and math.isinf(value):
        message = "A number of this document is too large."
        raise _AmbiguousError(message)
    return value


def _constant(_text: str) -> Any:
    message = "A value of this document is infinite or not a number; JSON has neither."
    raise _AmbiguousError(message)


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found is not None else position

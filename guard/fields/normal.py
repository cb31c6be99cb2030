"""Normal forms: when two JSON values mean the same to an API server.

``equal`` compares what is stored with what is stored. ``same_value`` compares what was sent with
what the server made of it, and is asked only once, right after an apply.
"""

import decimal
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?P<suffix>[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?"
)
_FACTORS: Final[Mapping[str, decimal.Decimal]] = {
    "": decimal.Decimal(1),
    "n": decimal.Decimal(10) ** -9,
    "u": decimal.Decimal(10) ** -6,
    "m": decimal.Decimal(10) ** -3,
    "k": decimal.Decimal(10) ** 3,
    "M": decimal.Decimal(10) ** 6,
    "G": decimal.Decimal(10) ** 9,
    "T": decimal.Decimal(10) ** 12,
    "P": decimal.Decimal(10) ** 15,
    "E": decimal.Decimal(10) ** 18,
    "Ki": decimal.Decimal(2) ** 10,
    "Mi": decimal.Decimal(2) ** 20,
    "Gi": decimal.Decimal(2) ** 30,
    "Ti": decimal.Decimal(2) ** 40,
    "Pi": decimal.Decimal(2) ** 50,
    "Ei": decimal.Decimal(2) ** 60,
}
_MAX_QUANTITY_CHARACTERS: Final = 64  # "1" and 63 zeros is beyond what int64 and a suffix can say
_MAX_EXPONENT: Final = 40
_SMALLEST: Final = decimal.Decimal(10) ** -9  # the server rounds up to nano units
_CONTEXT: Final = decimal.Context(prec=200)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def equal(one: Any, other: Any) -> bool:
    """Compare two JSON values: 1 equals 1.0, True does not equal 1, the order of lists counts."""
    if one is other:
        return True
    try:
        return bool(one == other) and _same_types(one, other)
    except RecursionError:
        return False  # deeper than any manifest; what cannot be compared is not called equal


def _same_types(one: Any, other: Any) -> bool:
    # Python has found both equal, so shapes and lengths agree; only booleans may hide as numbers.
    if one is other or isinstance(one, str):
        return True
    if isinstance(one, dict):
        return all(_same_types(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return all(map(_same_types, one, other))
    return isinstance(one, bool) is isinstance(other, bool)


def canonical(value: Any) -> str:
    """Give the one compact JSON text of a value: keys sorted, 1.0 written as 1."""
    return text(whole_numbers(value))


def text(value: Any) -> str:
    """Give the compact JSON text, keys sorted, of a value without floats that are whole numbers."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        # Integers beyond 64 bits, lone surrogates and great depth, which orjson refuses.
        return json.dumps(value, sort_keys=True, separators=(",", ":"))


def whole_numbers(value: Any) -> Any:
    """Copy a JSON value with every float that is a whole number as an integer: equal ones agree."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {name: whole_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return value


def is_empty(value: Any) -> bool:
    """Say whether a value is one that servers leave out: null, "", 0, false, or nothing inside."""
    return not value


def quantity(written: str | float) -> decimal.Decimal:
    """Read a quantity: ``"500m"``, ``"1Gi"``, ``"0.5e1"``, ``2``.

    Grammar and rounding up to nano units are those of k8s.io/apimachinery/pkg/api/resource.
    Raises ValueError if it is none.
    """
    spelled = str(written)
    match = _QUANTITY.fullmatch(spelled) if len(spelled) <= _MAX_QUANTITY_CHARACTERS else None
    if match is None:
        message = "no quantity"
        raise ValueError(message)
    number, suffix = decimal.Decimal(match["number"]), match["suffix"] or ""
    if suffix[:1] in {"e", "E"} and len(suffix) > 1 and suffix != "Ei":
        exponent = int(suffix[1:])
        if abs(exponent) > _MAX_EXPONENT:
            message = "no quantity: its exponent is too large"
            raise ValueError(message)
        factor = _CONTEXT.power(decimal.Decimal(10), exponent)
    else:
        factor = _FACTORS[suffix]
    value = _CONTEXT.multiply(number, factor)
    if value == value.to_integral_value():
        return value
    # Away from zero, as Quantity's RoundUp does.
    return value.quantize(_SMALLEST, rounding=decimal.ROUND_UP, context=_CONTEXT)


def same_value(sent: Any, stored: Any) -> bool:
    """Say whether a stored value is what the server makes of the sent one.

    Its normal forms are: quantities in their canonical spelling (``"1000m"`` as ``"1"``, also where
    a number was sent), base64 without line breaks, and structs with their defaults filled in. A
    stored list has as many items as the sent one.
    """
    if sent is None or equal(sent, stored):
        return True  # null says nothing
    if isinstance(sent, dict):
        return isinstance(stored, dict) and all(
            same_value(value, stored[name]) if name in stored else is_empty(value)
            for name, value in sent.items()
        )
    if isinstance(sent, list):
        return (
            isinstance(stored, list)
            and len(sent) == len(stored)
            and all(map(same_value, sent, stored))
        )
    return isinstance(stored, str) and not isinstance(sent, bool) and _same_text(sent, stored)


def _same_text(sent: str | float, stored: str) -> bool:
    if isinstance(sent, str) and unbroken(sent) == stored and _BASE64.fullmatch(stored):
        return True
    try:
        return quantity(sent) == quantity(stored)
    except ValueError:
        return False


def unbroken(encoded: str) -> str:
    """Take the line breaks out, as Go's base64 decoder does; other white space it refuses."""
    return encoded.replace("\r", "").replace("\n", "")

"""Plain scalars as Kubernetes reads them: the rules of go-yaml v2, then those of Go's JSON.

kubectl turns YAML into JSON with sigs.k8s.io/yaml, which decodes with go-yaml v2 (``resolve.go``
there), marshals with encoding/json, and reads numbers back as int64 where they fit and float64
where not. PyYAML follows other rules: it makes 22:22 the number 1342 and leaves 1e3 a string.
"""

import decimal
import functools
import math
import re
import struct
from typing import Final

Scalar = str | int | float | bool | None

NULL: Final = "null"
BOOL: Final = "bool"
INT: Final = "int"
FLOAT: Final = "float"
STR: Final = "str"

_INT64: Final = range(-(2**63), 2**63)
_UINT64: Final = range(2**64)
_JSON_EXPONENT_FROM: Final = 1e21  # encoding/json writes no integral number this large
_LEAST_POWER: Final = -4  # below, and from the next on, the shortest %g of Go has an exponent
_EXPONENT_FORM_FROM: Final = 6
_MAX_DIGITS: Final = 80  # more than any 64-bit number has, far less than what is slow to convert

_WORDS: Final[dict[str, tuple[str, Scalar]]] = {
    **{
        word: (BOOL, value)
        for value, words in ((True, "y yes true on"), (False, "n no false off"))
        for lower in words.split()
        for word in (lower, lower.capitalize(), lower.upper())
    },
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), (NULL, None)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), (FLOAT, math.nan)),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), (FLOAT, math.inf)),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), (FLOAT, -math.inf)),
}

# strconv.ParseInt with base 0, after the underscores are gone.
_INTEGER: Final = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO](?P<o>[0-7]+)"
    r"|(?P<octal>0[0-7]*)|(?P<decimal>[1-9][0-9]*))"
)
_BASES: Final = {"x": 16, "b": 2, "o": 8, "octal": 8, "decimal": 10}
# go-yaml tries "0b" once more by hand, and ParseInt takes a sign there: 0b-11 is -3.
_BINARY_SIGNED: Final = re.compile(r"0b([-+][01]+)")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
# What begins with a dot goes to strconv.ParseFloat as it stands; an underscore must join digits.
_DOTTED: Final = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")


def resolve(text: str) -> tuple[str, Scalar]:
    """Give type and value of an unquoted scalar, before JSON changes the value.

    The value may be infinite or not a number: JSON has no such thing, the caller refuses it.
    """
    known = _WORDS.get(text)
    if known is not None:
        return known
    first = text[0]
    if first in "+-0123456789":
        return _number(text)
    if first == "." and _DOTTED.fullmatch(text):
        return _float_or_text(text.replace("_", ""), text)
    return STR, text


@functools.lru_cache(maxsize=8192)
def plain(text: str) -> Scalar:
    """Give the JSON value of an unquoted scalar; infinite or not a number as ``resolve`` says."""
    return normal(resolve(text)[1])


def normal(value: Scalar) -> Scalar:
    """Give a number as it is after Go has written and read it as JSON; anything else untouched.

    An integral float within int64 becomes an int, from the shortest digits that name the float
    (Go writes 2**60 as 1152921504606847000); an int beyond int64 becomes a float.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < _JSON_EXPONENT_FROM:
        integral = int(decimal.Decimal(repr(value)))
        return integral if integral in _INT64 else value
    if isinstance(value, int) and value not in _INT64:
        return float(value)
    return value


def json_number(text: str) -> int | float:
    """Give the value of a number in a JSON file, as Go reads it; infinite if it is too large."""
    if "." not in text and "e" not in text and "E" not in text and len(text) < _MAX_DIGITS:
        value = normal(int(text))
    else:
        value = normal(float(text))
    return value if isinstance(value, float) else int(value or 0)


@functools.lru_cache(maxsize=8192)
def key(text: str) -> str | None:
    """Give the string that an unquoted mapping key becomes; None for null, which JSON cannot name.

    The rules of ``convertToJSONableObject`` in sigs.k8s.io/yaml: ``on`` becomes "true".
    """
    value = resolve(text)[1]
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return _single_precision(value)
        case int():
            return str(value)
        case _:
            return value


def _number(text: str) -> tuple[str, Scalar]:
    digits = text.replace("_", "")
    found = _INTEGER.fullmatch(digits)
    if found is not None and found.lastgroup is not None:
        magnitude = found[found.lastgroup].lstrip("0") or "0"
        if len(magnitude) < _MAX_DIGITS:
            value = int(magnitude, _BASES[found.lastgroup])
            if (-value if found["sign"] == "-" else value) in _INT64:
                return INT, -value if found["sign"] == "-" else value
            if not found["sign"] and value in _UINT64:
                return INT, value
    if _FLOAT.fullmatch(digits):
        return _float_or_text(digits, text)
    found = _BINARY_SIGNED.fullmatch(digits)
    if found is not None and int(found[1], 2) in _INT64:
        return INT, int(found[1], 2)
    return STR, text


def _float_or_text(digits: str, text: str) -> tuple[str, Scalar]:
    """Give the float, or the text where it is out of range: Go reports an error and goes on."""
    value = float(digits)
    return (STR, text) if math.isinf(value) else (FLOAT, value)


def _single_precision(value: float) -> str:
    """Write a float as Go's ``strconv.FormatFloat(value, 'g', -1, 32)`` does, as keys are."""
    if math.isnan(value):
        return ".nan"
    try:
        single: float = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        single = math.copysign(math.inf, value)
    if math.isinf(single):
        return ".inf" if single > 0 else "-.inf"
    if single == 0:
        return "-0" if math.copysign(1, single) < 0 else "0"
    shortest = next(
        text
        for precision in range(9)  # nine digits always name a single-precision float
        if struct.pack("f", float(text := f"{single:.{precision}e}")) == struct.pack("f", single)
    )
    mantissa, _, exponent = shortest.partition("e")
    digits = mantissa.replace(".", "").lstrip("-")
    sign = "-" if single < 0 else ""
    power = int(exponent)
    if not _LEAST_POWER <= power < _EXPONENT_FORM_FROM:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if power < 0 else '+'}{abs(power):02d}"
    return f"{sign}{decimal.Decimal(f'{digits}e{power - len(digits) + 1}'):f}"

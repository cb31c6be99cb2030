"""Paths into objects: the steps of fieldsV1, as values that can be compared and shown.

fieldsV1 (KEP-555; sigs.k8s.io/structured-merge-diff/fieldpath) names a field by steps::

    f:replicas                    a field of a map                     Field("replicas")
    k:{"name":"app"}              an item of a list, by its key        Key((("name", "app"),))
    v:"holdfast.dev/x"            an item of a set, by its value       Value("holdfast.dev/x")
    i:0                           an item of a list, by its position   Index(0)
"""

import dataclasses
import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from guard.fields import errors, normal

Scalar = str | int | float | bool | None

KEY_DEFAULTS: Final[Mapping[str, Scalar]] = {"protocol": "TCP"}
"""Values of list keys that a manifest may leave out and the server fills in.

Only ports have such a key among the built-in kinds: (containerPort, protocol) and (port, protocol).
"""

_INTERNED_STEPS: Final = 65_536  # distinct steps of a large cluster; beyond it, only memory is lost
_BARE_NAME: Final = re.compile(r"[A-Za-z0-9_$-]+")
_BARE_VALUE: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./:@-]*")
_JSON_WORDS: Final = frozenset({"true", "false", "null"})


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A field of a map, by its name."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """An item of an associative list, by its key fields: (name, value) pairs sorted by name."""

    items: tuple[tuple[str, Scalar], ...] = dataclasses.field(compare=False)
    text: str = dataclasses.field(init=False, repr=False)
    names: tuple[str, ...] = dataclasses.field(init=False, repr=False, compare=False)
    values: tuple[Scalar, ...] = dataclasses.field(init=False, repr=False, compare=False)
    """Of ``names``; the default where the key says null."""

    def __post_init__(self) -> None:
        # Compared by text, since True == 1 in Python. Names and values are kept apart because every
        # comparison of a list looks items up by them.
        object.__setattr__(self, "text", normal.canonical(dict(self.items)))
        object.__setattr__(self, "names", tuple(name for name, _ in self.items))
        values = tuple(_or_default(name, value) for name, value in self.items)
        object.__setattr__(self, "values", values)


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """An item of a set, by its value: any JSON value, compared by its canonical text."""

    value: Any = dataclasses.field(compare=False)
    text: str = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", normal.canonical(self.value))


@dataclasses.dataclass(frozen=True, slots=True)
class Index:
    """An item of a list, by its position from 0."""

    index: int


Step = Field | Key | Value | Index
Path = tuple[Step, ...]


@functools.lru_cache(maxsize=_INTERNED_STEPS)
def parse_step(text: str) -> Step:
    """Read one step of fieldsV1. Equal texts give the same object, to save memory.

    Raises UnreadableFields for anything that is no step.
    """
    prefix, _, rest = text.partition(":")
    try:
        match prefix:
            case "f":
                return Field(rest)
            case "k":
                return _key(json.loads(rest))
            case "v":
                return Value(json.loads(rest))
            case "i":
                return Index(int(rest))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        message = f"The managed fields hold a step that cannot be read: {_quoted(text[:80])}."
        raise errors.UnreadableFields(message) from error
    message = f"The managed fields hold a step of an unknown form: {_quoted(text[:80])}."
    raise errors.UnreadableFields(message)


def _key(items: dict[str, Any]) -> Key:
    if not items or any(isinstance(value, dict | list) for value in items.values()):
        message = "a list key has at least one field, each a scalar"
        raise ValueError(message)
    return Key(tuple(sorted(items.items())))


def format_step(step: Step) -> str:
    """Write a step as fieldsV1 has it: what ``parse_step`` reads."""
    match step:
        case Field(name):
            return f"f:{name}"
        case Key():
            return f"k:{step.text}"
        case Value():
            return f"v:{step.text}"
        case Index(index):
            return f"i:{index}"


def order(path: Path) -> tuple[str, ...]:
    """Give the sort key of a path: its steps as fieldsV1 writes them."""
    return tuple(format_step(step) for step in path)


def readable(path: Path) -> str:
    """Write a path for a person: ``spec.template.spec.containers[name=app].image``.

    Names that are no plain words stand quoted in brackets
    (``metadata.labels["app.kubernetes.io/name"]``), items of sets after an equals sign
    (``metadata.finalizers[="example.org/x"]``), and no control character is ever part of it.
    """
    return "".join(_shown(step) for step in path).removeprefix(".")


def _shown(step: Step) -> str:
    match step:
        case Field(name):
            return f".{name}" if _BARE_NAME.fullmatch(name) else f"[{_quoted(name)}]"
        case Key(items):
            inside = ",".join(f"{_word(name)}={_word(value)}" for name, value in items)
            return f"[{inside}]"
        case Value(value):
            return f"[={_quoted(value)}]"
        case Index(index):
            return f"[{index}]"


def _word(value: Scalar) -> str:
    if isinstance(value, str) and _BARE_VALUE.fullmatch(value) and value not in _JSON_WORDS:
        return value
    return _quoted(value)


def _quoted(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


def find(items: Sequence[Any], step: Step) -> int | None:
    """Give the position of the item that a Key, Value or Index step names; None if it is not there.

    An item that leaves a key field out counts as having its default. Of several items with one key,
    which the server accepts in plain creates (kubernetes#58477), it is the first.
    """
    match step:
        case Key(names=names, values=values):
            for position, item in enumerate(items):
                if isinstance(item, dict) and key_of(item, names) == values:
                    return position
        case Value(text=text):
            for position, item in enumerate(items):
                if normal.canonical(item) == text:
                    return position
        case Index(index) if 0 <= index < len(items):
            return index
    return None


def key_of(item: Mapping[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    """Give the key of a list item: the values of the named fields, defaults where it has none."""
    return tuple(map(_or_default, names, map(item.get, names)))


def _or_default(name: str, value: Any) -> Any:
    return KEY_DEFAULTS.get(name) if value is None else value


def pointer(path: Path, obj: Any) -> str:
    """Write a path as a JSON pointer (RFC 6901) that is valid in this very version of the object.

    The last step need not exist when it is a field of a map that does, so that an "add" can name
    it. Raises NoSuchPath if the object does not have the path.
    """
    parts: list[str] = []
    value = obj
    for position, step in enumerate(path):
        if isinstance(step, Field):
            if not isinstance(value, dict):
                raise _no_such(path)
            parts.append(step.name.replace("~", "~0").replace("/", "~1"))
            if step.name in value:
                value = value[step.name]
            elif position + 1 < len(path):
                raise _no_such(path)
        else:
            index = find(value, step) if isinstance(value, list) else None
            if index is None:
                raise _no_such(path)
            parts.append(str(index))
            value = value[index]
    return "".join(f"/{part}" for part in parts)


def _no_such(path: Path) -> errors.NoSuchPath:
    return errors.NoSuchPath(f"The object has no {readable(path)}.")

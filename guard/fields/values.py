"""Values at paths: reading them, and cutting an object down to what is declared of it."""

import enum
from collections.abc import Sequence
from typing import Any, Final

from guard.api import objects
from guard.fields import fieldset, managed, normal, paths
from guard.fields.fieldset import Leaf


class Missing(enum.Enum):
    """The type of MISSING, so that checkers know it from any JSON value."""

    MISSING = "MISSING"

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing.MISSING
"""Stands where an object has no value at a path; null is a value."""


def get(obj: Any, path: paths.Path) -> Any:
    """Give the value at a path, or MISSING.

    List items are found by their key; a key field that an item leaves out has its default (protocol
    TCP). Of several items with one key it is the first.
    """
    value = obj
    for step in path:
        value = step_into(value, step)
        if value is MISSING:
            return MISSING
    return value


def step_into(value: Any, step: paths.Step) -> Any:
    """Give what lies one step beneath a value, or MISSING."""
    if isinstance(step, paths.Field):
        return value.get(step.name, MISSING) if isinstance(value, dict) else MISSING
    index = paths.find(value, step) if isinstance(value, list) else None
    return MISSING if index is None else value[index]


def settled(leaf: Leaf, value: Any, obj: objects.RawObject, path: paths.Path) -> Any:
    """Give the value of a declared leaf as far as it counts (see ``fieldset.Leaf``).

    ``obj`` is the whole object, whose managed fields tell a struct from a map that is one value.
    Two versions of an object differ at a leaf if and only if their settled values do.
    """
    if leaf is Leaf.VALUE or value is MISSING:
        return value
    if leaf is Leaf.PRESENCE:
        return [] if isinstance(value, list) else {}
    if isinstance(value, dict) and value and managed.is_booked_beneath(obj, path):
        value = {}
    if leaf is Leaf.ABSENT and not value:
        return MISSING
    return value


class Items:
    """The items of a list by the steps that name them. Several items may have one key.

    That several do is legal in plain creates and updates (kubernetes#58477), and for env it is the
    last that counts: none of them may be overlooked.
    """

    __slots__ = ("_items", "_keyed", "_unkeyed")

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = items
        self._keyed: dict[tuple[str, ...], dict[Any, Sequence[Any]]] = {}
        self._unkeyed: dict[str, Sequence[Any]] | None = None

    def get(self, step: paths.Step) -> Sequence[Any]:
        """Give all items that a step names, in their order."""
        if isinstance(step, paths.Key):
            index = self._keyed.get(step.names)
            if index is None:
                index = self._keyed[step.names] = _index(self._items, step.names)
            return index.get(step.values, ())
        if isinstance(step, paths.Value):
            if self._unkeyed is None:
                self._unkeyed = {normal.canonical(item): (item,) for item in self._items}
            return self._unkeyed.get(step.text, ())
        if isinstance(step, paths.Index) and 0 <= step.index < len(self._items):
            return (self._items[step.index],)
        return ()


def _index(items: Sequence[Any], names: tuple[str, ...]) -> dict[Any, Sequence[Any]]:
    if len(names) == 1:
        # The usual list, by one field that every item has, as quickly as it can be done.
        try:
            quick: dict[Any, Sequence[Any]] = {(item[names[0]],): (item,) for item in items}
        except (TypeError, KeyError):
            pass
        else:
            if len(quick) == len(items):
                return quick
    index: dict[Any, Sequence[Any]] = {}
    for item in items:
        if isinstance(item, dict):
            key = paths.key_of(item, names)
            try:
                index[key] = (*index.get(key, ()), item)
            except TypeError:
                continue  # a struct or list where a key must be a scalar: it is no such item
    return index


def project(obj: objects.RawObject, declared: fieldset.FieldSet) -> objects.RawObject:
    """Cut an object down to its declared paths.

    Items of keyed lists keep their key fields and the object's order. Of structs that are declared
    empty, ``{}`` remains. What the object does not have is left out.
    """
    found = _project(declared, obj, (), obj)
    return found if isinstance(found, dict) else {}


def project_item(
    item: Any, declared: fieldset.FieldSet, *, whole: objects.RawObject, path: paths.Path
) -> Any:
    """Cut one list item down to what is declared beneath it and its key fields.

    ``path`` leads to the item in ``whole``.
    """
    step = path[-1]
    if isinstance(step, paths.Value):
        return item  # it is its own name
    part = _project(declared, item, path, whole)
    if isinstance(step, paths.Key):
        key_fields = {name: item[name] for name in step.names if name in item}
        return {**key_fields, **part} if isinstance(part, dict) else key_fields
    return part


def _project(
    node: fieldset.FieldSet, value: Any, path: paths.Path, whole: objects.RawObject
) -> Any:
    if not node.steps:
        return settled(node.leaf, value, whole, path) if node.member else MISSING
    if isinstance(value, dict):
        kept = {}
        for step, child in zip(node.steps, node.subsets, strict=True):
            if isinstance(step, paths.Field) and step.name in value:
                part = _project(child, value[step.name], (*path, step), whole)
                if part is not MISSING:
                    kept[step.name] = part
        return kept or MISSING
    if isinstance(value, list):
        return _project_list(node, value, path, whole) or MISSING
    return MISSING


def _project_list(
    node: fieldset.FieldSet, items: list[Any], path: paths.Path, whole: objects.RawObject
) -> list[Any]:
    index = Items(items)
    places = {id(item): place for place, item in reversed(list(enumerate(items)))}
    kept: list[tuple[int, Any]] = []
    for step, child in zip(node.steps, node.subsets, strict=True):
        for item in index.get(step):
            part = project_item(item, child, whole=whole, path=(*path, step))
            if part is not MISSING:
                place = step.index if isinstance(step, paths.Index) else places[id(item)]
                kept.append((place, part))
    kept.sort(key=lambda pair: pair[0])
    if any(isinstance(step, paths.Index) for step in node.steps):
        # Positions are the names here: what is not declared between them is kept as null.
        padded: list[Any] = [None] * (kept[-1][0] + 1 if kept else 0)
        for place, part in kept:
            padded[place] = part
        return padded
    return [part for _, part in kept]

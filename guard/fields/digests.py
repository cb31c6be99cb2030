"""Digests of what is declared of an object: equal if and only if nothing has changed."""

import hashlib
from typing import Any, Final

from guard.api import objects
from guard.fields import fieldset, normal, paths, values
from guard.fields.values import MISSING

_TOO_DEEP: Final = "nested too deeply"


def digest(obj: objects.RawObject, declared: fieldset.FieldSet) -> str:
    """Give the SHA-256, in hex, of the declared part of an object in canonical form.

    The form names items of keyed lists and sets by their key or value, so that their order never
    matters, and writes 1.0 as 1. Of two objects it is the same if and only if ``changes.changes``
    finds nothing between them. Digests are kept in inventories: the form is an upgrade contract.
    """
    try:
        text = normal.text(_canonical(declared, obj, (), obj))
    except RecursionError:
        # Deeper than any source can say, since its parsers refuse that: so it never equals one.
        text = _TOO_DEEP
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(
    node: fieldset.FieldSet, value: Any, path: paths.Path, whole: objects.RawObject
) -> Any:
    if not node.steps:
        leaf = values.settled(node.leaf, value, whole, path) if node.member else MISSING
        return None if leaf is MISSING else [normal.whole_numbers(leaf)]
    found: dict[str, Any] = {}
    if isinstance(value, dict):
        for step, child in zip(node.steps, node.subsets, strict=True):
            if isinstance(step, paths.Field) and step.name in value:
                part = _canonical(child, value[step.name], (*path, step), whole)
                if part is not None:
                    found[paths.format_step(step)] = part
    elif isinstance(value, list):
        items = values.Items(value)
        for step, child in zip(node.steps, node.subsets, strict=True):
            copies = [_canonical(child, item, (*path, step), whole) for item in items.get(step)]
            is_place = isinstance(step, paths.Index)  # where only what stands there counts
            if copies and not (is_place and copies == [None]):
                found[paths.format_step(step)] = copies
    return found or None

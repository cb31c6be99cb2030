"""Who owns which fields of an object, by its metadata.managedFields."""

import dataclasses
from typing import Any

from guard.api import objects
from guard.fields import fieldset, paths


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """One entry of managed fields.

    ``operation`` is Apply or Update, ``time`` RFC 3339 in UTC to the second, and ``subresource``
    empty for the main resource.
    """

    manager: str
    operation: str
    time: str
    subresource: str
    fields: fieldset.FieldSet


def entry(
    obj: objects.RawObject, manager: str, *, operation: str = "Apply"
) -> fieldset.FieldSet | None:
    """Give what one manager has booked on the main resource; None if it has no entry.

    A manager has one Apply entry, but one Update entry for each API version that it has used: these
    are united. Raises UnreadableFields.
    """
    found: fieldset.FieldSet | None = None
    for raw in objects.metadata_of(obj).get("managedFields") or ():
        if (
            raw.get("manager") == manager
            and raw.get("operation") == operation
            and not raw.get("subresource")
        ):
            fields = fieldset.FieldSet.from_v1(raw.get("fieldsV1") or {})
            found = fields if found is None else found.union(fields)
    return found


def owners(obj: objects.RawObject) -> tuple[Owner, ...]:
    """Give all entries of managed fields, in the server's order. Raises UnreadableFields."""
    return tuple(
        Owner(
            manager=raw.get("manager") or "",
            operation=raw.get("operation") or "",
            time=raw.get("time") or "",
            subresource=raw.get("subresource") or "",
            fields=fieldset.FieldSet.from_v1(raw.get("fieldsV1") or {}),
        )
        for raw in objects.metadata_of(obj).get("managedFields") or ()
    )


def owners_of(obj: objects.RawObject, path: paths.Path) -> tuple[Owner, ...]:
    """Give the entries that book a path, a leaf above it, or something beneath it."""
    return tuple(owner for owner in owners(obj) if _touches(owner.fields, path))


def _touches(fields: fieldset.FieldSet, path: paths.Path) -> bool:
    node: fieldset.FieldSet | None = fields
    for step in path:
        if node is None:
            return False
        if node.member and not node.steps:
            return True
        node = node.child(step)
    return bool(node)


def is_booked_beneath(obj: objects.RawObject, path: paths.Path) -> bool:
    """Say whether any manager has booked something strictly beneath a path.

    That tells a struct, whose fields have owners of their own, from a map that the server treats as
    one value (``x-kubernetes-map-type: atomic``): nothing beneath one of these can be booked, and
    the server folds a forged entry that claims so back to the map itself.
    """
    return any(
        _has_beneath(raw.get("fieldsV1"), path)
        for raw in objects.metadata_of(obj).get("managedFields") or ()
    )


def _has_beneath(fields: Any, path: paths.Path) -> bool:
    node = fields
    for step in path:
        if not isinstance(node, dict):
            return False
        # The text is the server's own; another spelling of a key is looked for only if it differs.
        inside = node.get(paths.format_step(step))
        if inside is None and not isinstance(step, paths.Field):
            inside = next(
                (
                    sub
                    for text, sub in node.items()
                    if text != "." and paths.parse_step(text) == step
                ),
                None,
            )
        node = inside
    return isinstance(node, dict) and any(text != "." for text in node)

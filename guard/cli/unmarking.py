"""The patch that takes a Guard's mark and managed fields off an object. Pure."""

from collections.abc import Sequence
from typing import Any

from guard.api import names, objects
from guard.inventory import mark


def patch_of(obj: objects.RawObject, *, guard_hash: str) -> list[dict[str, Any]]:
    """Give the JSON patch that takes a Guard's mark and managed fields off an object.

    It is locked to the version that was read, and empty where nothing is of that Guard. A mark that
    names another Guard stays.
    """
    metadata = objects.metadata_of(obj)
    changes: list[dict[str, Any]] = []
    label = (metadata.get("labels") or {}).get(names.LABEL_GUARD)
    if label == guard_hash:
        changes.append({"op": "remove", "path": _pointer("labels", names.LABEL_GUARD)})
    if _is_annotated(metadata, label, guard_hash):
        changes.append({"op": "remove", "path": _pointer("annotations", names.ANNOTATION_ORIGIN)})
    changes += _disowning(metadata.get("managedFields") or [], names.field_manager(guard_hash))
    if not changes:
        return []
    # At the front: a stale version is a clear Conflict (see guard.cluster.objects.patch).
    lock = {
        "op": "replace",
        "path": "/metadata/resourceVersion",
        "value": metadata["resourceVersion"],
    }
    return [lock, *changes]


def _is_annotated(metadata: objects.ObjectMeta, label: str | None, guard_hash: str) -> bool:
    text = (metadata.get("annotations") or {}).get(names.ANNOTATION_ORIGIN)
    if text is None:
        return False
    labels = {names.LABEL_GUARD: guard_hash}
    marked = mark.read({"metadata": {"labels": labels, "annotations": metadata["annotations"]}})
    origin = None if marked is None else marked.origin
    if origin is None:
        return label == guard_hash  # somebody has broken the text; the label tells whose it was
    namespace, _, name = origin.guard.partition("/")
    return names.guard_hash(origin.installation, namespace, name) == guard_hash


def _disowning(entries: Sequence[objects.ManagedFieldsEntry], manager: str) -> list[dict[str, Any]]:
    ours = [number for number, entry in enumerate(entries) if entry.get("manager") == manager]
    if ours and len(ours) == len(entries):
        # An empty list would mean "as before" to the API server; one empty entry clears it all:
        # https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields
        return [{"op": "replace", "path": _pointer("managedFields"), "value": [{}]}]
    # From the end, so that each number still fits when its turn comes.
    return [
        {"op": "remove", "path": _pointer("managedFields", str(number))} for number in ours[::-1]
    ]


def _pointer(*steps: str) -> str:
    return "/".join(
        ["", "metadata", *(step.replace("~", "~0").replace("/", "~1") for step in steps)]
    )

"""Real AdmissionReviews (Kubernetes 1.36.3), brought to today's mark when they are read.

They were recorded from one API server with kubectl, its controllers and other clients, and carry an
older mark: the label ``holdfast.dev/managed``, an annotation ``holdfast.dev/source`` on some, and
``holdfast`` as the field manager. The objects' own names and values are as they were.
"""

import json
from pathlib import Path
from typing import Any

from guard.api import keys, names

FOLDER = Path(__file__).parents[1] / "data" / "reviews"

INSTALLATION = names.DEFAULT_INSTALLATION
GUARD_NAMESPACE = "demo2"
GUARD_NAME = "demo"
GUARD_HASH = names.guard_hash(INSTALLATION, GUARD_NAMESPACE, GUARD_NAME)
MANAGER = names.field_manager(GUARD_HASH)
FILE = "apps/all.yaml"

_OLD_LABEL = "holdfast.dev/managed"
_OLD_ANNOTATION = "holdfast.dev/source"
_OLD_MANAGER = "holdfast"

NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def load(name: str) -> dict[str, Any]:
    """Read one review by its file's name without ``.json``; each call gives a fresh one."""
    review: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    request = review["request"]
    for side in ("object", "oldObject"):
        if request.get(side):
            _mark(request[side])
    if (request.get("options") or {}).get("fieldManager") == _OLD_MANAGER:
        request["options"]["fieldManager"] = MANAGER
    return review


def body(name: str) -> bytes:
    """Give the review as the API server would send it."""
    return json.dumps(load(name)).encode()


def _mark(obj: dict[str, Any]) -> None:
    """Put today's mark in the place of the older one, in metadata and in managed fields."""
    metadata = obj.get("metadata")
    if not metadata:
        return
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    is_marked = labels.pop(_OLD_LABEL, None) is not None
    is_copied = annotations.pop(_OLD_ANNOTATION, None) is not None and not is_marked
    if is_marked:
        labels[names.LABEL_GUARD] = GUARD_HASH
    if is_marked or is_copied:
        key = keys.ObjectKey.of(obj)
        if is_copied:  # a Deployment's annotations, on the ReplicaSet that it made
            key = keys.ObjectKey("apps", "Deployment", key.namespace, "web")
        annotations[names.ANNOTATION_ORIGIN] = json.dumps(
            {
                "file": FILE,
                "guard": f"{GUARD_NAMESPACE}/{GUARD_NAME}",
                "installation": INSTALLATION,
                "object": str(key),
            },
            separators=(",", ":"),
        )
        metadata["annotations"] = annotations
    for entry in metadata.get("managedFields") or ():
        if entry.get("manager") == _OLD_MANAGER:
            entry["manager"] = MANAGER
        entry["fieldsV1"] = _renamed(entry.get("fieldsV1"))


def _renamed(fields: Any) -> Any:
    if not isinstance(fields, dict):
        return fields
    renamed = {
        f"f:{_OLD_LABEL}": f"f:{names.LABEL_GUARD}",
        f"f:{_OLD_ANNOTATION}": f"f:{names.ANNOTATION_ORIGIN}",
    }
    return {renamed.get(step, step): _renamed(inside) for step, inside in fields.items()}

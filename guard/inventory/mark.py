"""The mark on a guarded object: who guards it, and which object it is. Pure.

The label is for selectors and watches. Controllers copy labels, and some annotations, to what they
make (a Service's to its EndpointSlices), so the annotation names the very object that is guarded: a
mark that names another one means nothing.
"""

import dataclasses
from typing import Any, Final

import msgspec

from guard.api import keys, names, objects

_ENCODER: Final = msgspec.json.Encoder(order="sorted")


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """What the annotation says. ``guard`` is ``namespace/name``, ``file`` a path in the source."""

    installation: str
    guard: str
    object: keys.ObjectKey
    file: str


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """What an object carries. ``origin`` is None where the annotation is gone or unreadable."""

    guard_hash: str
    origin: Origin | None


class _Annotation(msgspec.Struct):
    """The annotation's JSON. Fields of later versions are ignored."""

    installation: str
    guard: str
    object: str
    file: str = ""


def stamp(obj: objects.RawObject, *, guard_hash: str, origin: Origin) -> objects.RawObject:
    """Give a copy of an object with our label and annotation; all else in it is shared."""
    annotation = _Annotation(
        installation=origin.installation,
        guard=origin.guard,
        object=str(origin.object),
        file=origin.file,
    )
    metadata: dict[str, Any] = dict(objects.metadata_of(obj))
    metadata["labels"] = {**(metadata.get("labels") or {}), names.LABEL_GUARD: guard_hash}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        names.ANNOTATION_ORIGIN: _ENCODER.encode(annotation).decode(),
    }
    return {**obj, "metadata": metadata}


def read(obj: objects.RawObject) -> Mark | None:
    """Read the mark of an object; None where the label is missing."""
    metadata = objects.metadata_of(obj)
    guard_hash = (metadata.get("labels") or {}).get(names.LABEL_GUARD)
    if not guard_hash:
        return None
    return Mark(
        guard_hash, _origin((metadata.get("annotations") or {}).get(names.ANNOTATION_ORIGIN))
    )


def _origin(text: str | None) -> Origin | None:
    if not text:
        return None
    try:
        annotation = msgspec.json.decode(text, type=_Annotation)
        key = keys.ObjectKey.parse(annotation.object)
    except (msgspec.MsgspecError, ValueError):
        return None  # somebody else's text: it names no object
    return Origin(annotation.installation, annotation.guard, key, annotation.file)


def is_own(obj: objects.RawObject, mark: Mark) -> bool:
    """Say whether a mark names the very object that carries it.

    ``obj`` must have apiVersion, kind and metadata.name; items of a list lack the first two.
    """
    return mark.origin is not None and mark.origin.object == keys.ObjectKey.of(obj)

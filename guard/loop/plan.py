"""From manifests to what will be applied: namespaces filled in, marks stamped, order. Pure."""

import dataclasses
import hashlib
from collections.abc import Iterable
from typing import Final

import orjson

from guard.api import keys, names
from guard.cluster import resources
from guard.fields import errors as fields_errors
from guard.fields import manifest as sendables
from guard.inventory import mark
from guard.loop import errors
from guard.render import manifests

_FIRST_KINDS: Final = frozenset(
    {("", "Namespace"), ("apiextensions.k8s.io", "CustomResourceDefinition")}
)
"""What other objects need before they can exist: flux2#465, argo-cd#4753."""

_SENT_HEX_DIGITS: Final = 16


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """The Guard on whose behalf objects are applied."""

    installation: str
    namespace: str
    name: str
    uid: str

    @property
    def hash(self) -> str:
        """The label value of the Guard's mark."""
        return names.guard_hash(self.installation, self.namespace, self.name)

    @property
    def manager(self) -> str:
        """The field manager under which the Guard applies."""
        return names.field_manager(self.hash)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class Desired:
    """One object as it will be applied. Equal ``sent`` bytes mean that nothing is to be done."""

    key: keys.ObjectKey
    gvk: keys.GroupVersionKind
    resource: resources.Resource
    file: str
    line: int
    sent: bytes
    dropped: tuple[str, ...] = ()

    @property
    def sent_digest(self) -> str:
        """What the inventory keeps of ``sent``: enough to tell whether it is the same."""
        return hashlib.sha256(self.sent).hexdigest()[:_SENT_HEX_DIGITS]


def goes_first(gvk: keys.GroupVersionKind) -> bool:
    """Tell whether other objects may need one of this kind before they can be applied."""
    return (gvk.group, gvk.kind) in _FIRST_KINDS


def desire(
    manifest: manifests.Manifest,
    resource: resources.Resource,
    *,
    owner: Owner,
    target_namespace: str | None,
) -> Desired:
    """Make the object that is applied from one manifest.

    A namespaced manifest without a namespace goes to the target's, else to the Guard's own.
    A cluster-scoped one loses a namespace that it names by mistake.

    Raises Misplaced where the manifest names another namespace than a Guard with a target
    namespace may touch, and Unsendable where it holds what no server could take.
    """
    obj = dict(manifest.obj)
    metadata = dict(obj["metadata"])
    if resource.namespaced:
        namespace = metadata.get("namespace") or target_namespace or owner.namespace
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    obj["metadata"] = metadata
    for name in ("labels", "annotations"):
        if not isinstance(metadata.get(name) or {}, dict):
            raise errors.Unsendable(
                keys.ObjectKey.of(obj),
                manifest.file,
                manifest.line,
                f"metadata.{name} is no mapping",
            )
    key = keys.ObjectKey.of(obj)
    if target_namespace is not None and key.namespace not in {"", target_namespace}:
        raise errors.Misplaced(
            key,
            manifest.file,
            manifest.line,
            f"Guard {owner} may only touch namespace {target_namespace} (spec.target.namespace)",
        )
    try:
        sendable = sendables.sendable(obj)
    except fields_errors.FieldsError as error:
        raise errors.Unsendable(key, manifest.file, manifest.line, str(error)) from error
    stamped = mark.stamp(
        sendable.obj,
        guard_hash=owner.hash,
        origin=mark.Origin(
            installation=owner.installation, guard=str(owner), object=key, file=manifest.file
        ),
    )
    return Desired(
        key=key,
        gvk=manifest.gvk,
        resource=resource,
        file=manifest.file,
        line=manifest.line,
        sent=orjson.dumps(stamped),
        dropped=sendable.dropped,
    )


def unique(
    desired: Iterable[Desired],
) -> tuple[dict[keys.ObjectKey, Desired], list[errors.Duplicate]]:
    """Index by key; objects that two manifests name are left out and reported, both with file."""
    found: dict[keys.ObjectKey, Desired] = {}
    twice: dict[keys.ObjectKey, errors.Duplicate] = {}
    for one in desired:
        first = found.setdefault(one.key, one)
        if first is not one:
            twice[one.key] = errors.Duplicate(
                one.key, one.file, one.line, f"also stands in {first.file}:{first.line}"
            )
    return {key: one for key, one in found.items() if key not in twice}, list(twice.values())

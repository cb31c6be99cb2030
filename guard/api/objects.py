"""Shapes of raw API objects, as parsed JSON: what the server sent, nothing converted."""

from typing import Any, NotRequired, TypedDict


class ManagedFieldsEntry(TypedDict, total=False):
    """One entry of metadata.managedFields (KEP-555)."""

    manager: str
    operation: str
    apiVersion: str
    time: str
    fieldsType: str
    fieldsV1: dict[str, Any]
    subresource: str


class OwnerReference(TypedDict):
    """One entry of metadata.ownerReferences."""

    apiVersion: str
    kind: str
    name: str
    uid: str
    controller: NotRequired[bool]
    blockOwnerDeletion: NotRequired[bool]


class ObjectMeta(TypedDict, total=False):
    """The part of metadata that Holdfast reads or writes."""

    name: str
    generateName: str
    namespace: str
    uid: str
    resourceVersion: str
    generation: int
    creationTimestamp: str
    deletionTimestamp: str
    labels: dict[str, str]
    annotations: dict[str, str]
    finalizers: list[str]
    ownerReferences: list[OwnerReference]
    managedFields: list[ManagedFieldsEntry]


RawObject = dict[str, Any]
"""Any object as the API server sends it. Read its metadata through ``metadata_of``."""


def metadata_of(obj: RawObject) -> ObjectMeta:
    """Give the metadata of a raw object; an empty one where there is none."""
    metadata: ObjectMeta = obj.get("metadata") or {}
    return metadata

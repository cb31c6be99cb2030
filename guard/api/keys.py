"""Keys: what names a kind or an object, without its version."""

import dataclasses
from typing import Any, Self


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class GroupVersionKind:
    """A kind in one version, as a manifest names it. The core group is the empty string."""

    group: str
    version: str
    kind: str

    @classmethod
    def of(cls, obj: dict[str, Any]) -> Self:
        """Read apiVersion and kind of a raw object, which must have both."""
        group, _, version = str(obj["apiVersion"]).rpartition("/")
        return cls(group, version, str(obj["kind"]))

    @property
    def api_version(self) -> str:
        """The apiVersion of a manifest: ``apps/v1``, or ``v1`` in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.api_version}/{self.kind}"


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """What identifies an object in a cluster: never its version.

    A source that moves a kind from v1beta1 to v1 names the same stored object
    (fluxcd/kustomize-controller#510: there the old version was pruned after the new was applied).
    ``namespace`` is empty for cluster-scoped objects.
    """

    group: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: dict[str, Any]) -> Self:
        """Read the key of a raw object, which must have apiVersion, kind and metadata.name."""
        metadata = obj["metadata"]
        gvk = GroupVersionKind.of(obj)
        return cls(gvk.group, gvk.kind, metadata.get("namespace") or "", metadata["name"])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str()`` wrote: ``group/kind/namespace/name``, empty parts included.

        Raises ValueError if the text has not exactly four parts.
        """
        group, kind, namespace, name = text.split("/")
        return cls(group, kind, namespace, name)

    def __str__(self) -> str:
        return f"{self.group}/{self.kind}/{self.namespace}/{self.name}"

    @property
    def title(self) -> str:
        """The object for a person: ``Deployment shop/web``, or ``Namespace shop``."""
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"

"""A kind as one API server serves it: where its objects live and what may be done with them."""

import dataclasses
import urllib.parse
from typing import Final

from guard.api import keys
from guard.cluster import errors


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """One kind in one version. ``group`` is empty for the core group."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()
    singular: str = ""
    short_names: tuple[str, ...] = ()

    @property
    def gvk(self) -> keys.GroupVersionKind:
        """Group, version and kind."""
        return keys.GroupVersionKind(self.group, self.version, self.kind)

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects: ``apps/v1``, or ``v1`` in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def sensitive(self) -> bool:
        """Whether texts of the API server about its objects may quote secret values."""
        return self.kind == "Secret"

    def collection(self, namespace: str = "") -> str:
        """Give the path of all objects: of one namespace, or of the whole cluster if empty."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            return f"{root}/namespaces/{_quote(namespace)}/{self.plural}"
        return f"{root}/{self.plural}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Give the path of one object or of its subresource.

        The namespace is left out for a cluster-scoped kind. Raises NamespaceMissing if a
        namespaced kind gets none: such a path would mean all namespaces.
        """
        if self.namespaced and not namespace:
            raise errors.NamespaceMissing(self.kind, name)
        path = f"{self.collection(namespace)}/{_quote(name)}"
        return f"{path}/{subresource}" if subresource else path


def _quote(part: str) -> str:
    # RBAC names hold colons (system:node) and may stand unquoted in a path (RFC 3986, pchar).
    return urllib.parse.quote(part, safe=":")


WEBHOOK_CONFIGURATIONS: Final = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
"""Ours is called after the release."""

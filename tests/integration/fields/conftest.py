"""Applying a manifest to the real API server as the guard process does, and what it declares."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import polling

from guard.api import keys, names
from guard.cluster import client as clients
from guard.cluster import discovery, errors, objects, resources
from guard.fields import changes, declaration, digests, manifest, paths
from guard.inventory import mark

HASH = "00112233445566aa"
MANAGER = names.field_manager(HASH)
KINDS = Path(__file__).parents[2] / "data" / "fields" / "kinds.yaml"


@dataclasses.dataclass(frozen=True)
class Applied:
    """An object that was applied, and what its manifest declares."""

    resource: resources.Resource
    sent: dict[str, Any]
    response: dict[str, Any]
    declaration: declaration.Declaration


@dataclasses.dataclass(frozen=True)
class Guarding:
    """Applies as a Guard does, and edits as a person does."""

    client: clients.Client
    discovery: discovery.Discovery
    namespace: str

    def manifests(self) -> list[dict[str, Any]]:
        """Give the manifests of all kinds, for the test's namespace."""
        text = KINDS.read_text().replace("NAMESPACE", self.namespace)
        return list(yaml.safe_load_all(text))

    async def apply_all(self) -> dict[str, "Applied"]:
        """Apply one object of each kind, by kind."""
        return {obj["kind"]: await self.apply(obj) for obj in self.manifests()}

    async def apply(self, obj: dict[str, Any]) -> Applied:
        """Apply one manifest, stamped with our mark."""
        gvk, key = keys.GroupVersionKind.of(obj), keys.ObjectKey.of(obj)
        origin = mark.Origin("holdfast-system/holdfast", "shop/prod", key, "all.yaml")
        sent = mark.stamp(manifest.sendable(obj).obj, guard_hash=HASH, origin=origin)

        async def attempt() -> Applied | None:
            try:
                resource = await self.discovery.find(gvk)
                response = await objects.apply(
                    self.client, resource, sent, manager=MANAGER, force=True
                )
            except (errors.UnknownKind, errors.NotFound):
                return None  # the definition before it is not served yet
            declared = declaration.declare(sent=sent, response=response, manager=MANAGER)
            return Applied(resource, sent, response, declared)

        return await polling.eventually(attempt)

    async def live(self, applied: Applied) -> dict[str, Any]:
        """Read the object as it is now."""
        metadata = applied.response["metadata"]
        return await objects.get(
            self.client, applied.resource, metadata.get("namespace", ""), metadata["name"]
        )

    async def drift(self, applied: Applied) -> list[tuple[str, str]]:
        """Give paths and kinds of what differs now from what is expected."""
        live = await self.live(applied)
        declared, expected = applied.declaration.declared, applied.declaration.expected
        found = changes.changes(old=expected, new=live, declared=declared)
        differs = digests.digest(live, declared) != digests.digest(expected, declared)
        assert differs is bool(found)
        return [(paths.readable(change.path), change.kind.value) for change in found]

    async def patch(self, applied: Applied, *operations: dict[str, Any]) -> dict[str, Any]:
        """Edit the object by a JSON patch, under a person's field manager."""
        metadata = applied.response["metadata"]
        return await objects.patch(
            self.client,
            applied.resource,
            metadata.get("namespace", ""),
            metadata["name"],
            list(operations),
            content_type=objects.JSON_PATCH,
            manager="kubectl-edit",
        )


@pytest.fixture
def guarding(client: clients.Client, namespace: str) -> Guarding:
    """Give what applies and edits objects in the test's namespace."""
    return Guarding(client, discovery.Discovery(client), namespace)

"""A guarded object as a guard process leaves it, and the real commands beside it."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from controlplane import plane

from guard.api import keys, names
from guard.cluster import client as clients
from guard.cluster import discovery
from guard.cluster import objects as verbs
from guard.fields import declaration, digests
from guard.inventory import entries, mark, store

REVISION = "main@3f2c1d9"
SOURCE = "https://git.example/shop.git#apps"
CREATED = "2026-01-31T08:00:00Z"

Holdfast = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def holdfast(control_plane: plane.ControlPlane, tmp_path: Path) -> Holdfast:
    """Give the program: ``holdfast(*args, user="admin", env=None)``, with no audit store yet."""
    program = Path(sys.executable).with_name("holdfast")

    def run(
        *args: str, user: str = "admin", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "KUBECONFIG": str(control_plane.kubeconfig(user)),
            "HOLDFAST_STATE": str(tmp_path / "state"),
            **(env or {}),
        }
        return subprocess.run(
            [program, *args],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@dataclasses.dataclass(slots=True)
class Shop:
    """A Guard `shop-prod` in the test's namespace; what it guards is put there by ``guard``."""

    client: clients.Client
    namespace: str
    uid: str = ""
    found: list[entries.Entry] = dataclasses.field(default_factory=list)

    @property
    def hash(self) -> str:
        """The Guard's hash."""
        return names.guard_hash(names.DEFAULT_INSTALLATION, self.namespace, "shop-prod")

    async def resource(self, group: str, kind: str) -> Any:
        """Look a kind up."""
        return await discovery.Discovery(self.client).find_kind(group, kind)

    async def install(self) -> None:
        """Create the Guard."""
        guards = await self.resource(names.GROUP, "Guard")
        raw = await verbs.create(
            self.client,
            guards,
            {
                "apiVersion": names.API_VERSION,
                "kind": "Guard",
                "metadata": {"name": "shop-prod", "namespace": self.namespace},
                "spec": {
                    "source": {
                        "git": {
                            "url": "https://bot:hunter2@git.example/shop.git",
                            "path": "apps",
                        }
                    }
                },
            },
            "holdfast",
        )
        self.uid = raw["metadata"]["uid"]

    async def report_status(self, *conditions: tuple[str, str, str, str], **counts: int) -> None:
        """Write the Guard's status; conditions are (type, status, reason, message)."""
        guards = await self.resource(names.GROUP, "Guard")
        zero = dict.fromkeys(("objects", "synced", "drifted", "failed", "orphaned", "restored"), 0)
        status = {
            "conditions": [
                {
                    "type": kind,
                    "status": status,
                    "reason": reason,
                    "message": message,
                    "lastTransitionTime": CREATED,
                }
                for kind, status, reason, message in conditions
            ],
            "observedGeneration": 1,
            "source": SOURCE,
            "observedRevision": REVISION,
            "appliedRevision": REVISION,
            **zero,
            **counts,
        }
        await verbs.patch(
            self.client,
            guards,
            self.namespace,
            "shop-prod",
            {"status": status},
            content_type=verbs.MERGE_PATCH,
            manager="holdfast",
            subresource="status",
        )

    async def guard(self, manifest: dict[str, Any], file: str) -> dict[str, Any]:
        """Apply a manifest as the guard process does, and record it in the inventory."""
        key = keys.ObjectKey.of(manifest)
        gvk = keys.GroupVersionKind.of(manifest)
        resource = await self.resource(gvk.group, gvk.kind)
        origin = mark.Origin(names.DEFAULT_INSTALLATION, f"{self.namespace}/shop-prod", key, file)
        sent = mark.stamp(manifest, guard_hash=self.hash, origin=origin)
        manager = names.field_manager(self.hash)
        response = await verbs.apply(self.client, resource, sent, manager=manager, force=False)
        declared = declaration.declare(sent=sent, response=response, manager=manager)
        self.found.append(
            entries.Entry(
                gvk=gvk,
                key=key,
                resource=resource.plural,
                uid=response["metadata"]["uid"],
                declared=declared.declared,
                digest=digests.digest(declared.expected, declared.declared),
                replicas=None,
                state=entries.State.SYNCED,
                file=file,
            )
        )
        inventory = store.InventoryStore(
            self.client,
            namespace=self.namespace,
            guard="shop-prod",
            guard_uid=self.uid,
            guard_hash=self.hash,
        )
        await inventory.load()
        await inventory.save(self.found, revision=REVISION)
        return response

    async def report_drift(self, *drifts: dict[str, Any]) -> None:
        """Write the Guard's DriftReport."""
        reports = await self.resource(names.GROUP, "DriftReport")
        await verbs.apply(
            self.client,
            reports,
            {
                "apiVersion": names.API_VERSION,
                "kind": "DriftReport",
                "metadata": {"name": "shop-prod", "namespace": self.namespace},
                "spec": {
                    "guard": "shop-prod",
                    "revision": REVISION,
                    "truncated": False,
                    "drifts": list(drifts),
                },
            },
            manager="holdfast",
            force=True,
        )

    def deployment(self) -> dict[str, Any]:
        """Give the manifest of a Deployment that fits the namespace."""
        app = {"app": "web"}
        container = {
            "name": "app",
            "image": "registry.example/web:1.2",
            "env": [
                {"name": "MODE", "value": "fast"},
                {"name": "DB_PASSWORD", "value": "swordfish"},
            ],
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": self.namespace},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": app},
                "template": {"metadata": {"labels": app}, "spec": {"containers": [container]}},
            },
        }


@pytest.fixture
async def shop(chart: tuple[str, ...], namespace: str, client: clients.Client) -> Shop:
    """Give a Guard in a namespace of its own."""
    del chart  # it brings the custom resources
    shop = Shop(client, namespace)
    await shop.install()
    return shop

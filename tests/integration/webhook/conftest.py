"""The whole webhook process before a real API server, with objects that a Guard has applied."""

import asyncio
import base64
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from controlplane import chart as chart_module
from controlplane import errors, plane
from support import certificates, gates, polling

from guard.api import names, objects
from guard.audit import record as records
from guard.cluster import client as clients
from guard.inventory import store
from webhook import process

GUARD = "shop-prod"
_RELEASE = chart_module.RELEASE
_NAMESPACE = chart_module.NAMESPACE


class House:
    """A Guard and its objects in one namespace, behind a running webhook."""

    def __init__(
        self,
        client: clients.Client,
        kubectl: Callable[..., subprocess.CompletedProcess[str]],
        namespace: str,
        state: Path,
    ) -> None:
        self.client = client
        self.namespace = namespace
        self.state = state
        self.url = ""
        self._kubectl = kubectl
        self.hash = names.guard_hash(gates.INSTALLATION, namespace, GUARD)
        self.manager = names.field_manager(self.hash)

    async def run(
        self, *args: str, user: str = "alice", stdin: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl in the namespace, as alice unless told; it may fail."""
        return await asyncio.to_thread(
            self._kubectl,
            f"--namespace={self.namespace}",
            *args,
            user=user,
            stdin=stdin,
            check=False,
            env=env,
        )

    async def make(self, obj: objects.RawObject, *, manager: str = "test") -> None:
        """Apply an object as admin, whom no Guard trusts."""
        result = await self.run(
            "apply",
            "--server-side",
            "--force-conflicts",
            f"--field-manager={manager}",
            "--filename=-",
            user="admin",
            stdin=json.dumps(obj),
        )
        assert result.returncode == 0, result.stderr

    async def guard(self, mode: str) -> None:
        """Make the Guard, or change its mode, and wait until the webhook would know."""
        await self.make(
            {
                "apiVersion": names.API_VERSION,
                "kind": "Guard",
                "metadata": {"name": GUARD, "namespace": self.namespace},
                "spec": {
                    "source": {"git": {"url": "https://git.example/shop.git"}},
                    "admission": {"mode": mode},
                },
            }
        )

    async def adopt(self, *found: tuple[objects.RawObject, str]) -> None:
        """Apply objects (each with the plural of its kind) as the Guard would, with inventory."""
        entries = []
        for obj, resource in found:
            obj["metadata"]["namespace"] = self.namespace
            marked = gates.marked(obj, namespace=self.namespace, guard=GUARD)
            await self.make(marked, manager=self.manager)
            name = obj["metadata"]["name"]
            read = await self.run("get", resource, name, "-o=json", "--show-managed-fields")
            stored = json.loads(read.stdout)
            entries.append(gates.entry_of(stored, self.manager, resource=resource))
        guard = json.loads((await self.run("get", "guard", GUARD, "-o=json")).stdout)
        inventory = store.InventoryStore(
            self.client,
            namespace=self.namespace,
            guard=GUARD,
            guard_uid=guard["metadata"]["uid"],
            guard_hash=self.hash,
        )
        await inventory.load()
        await inventory.save(entries, revision="main@3f2c1d9")

    async def refused(self, *args: str, **given: Any) -> str:
        """Run kubectl again until it is refused (the caches may be a moment behind); its words."""

        async def probe() -> str:
            result = await self.run(*args, **given)
            assert "is managed from Git" in result.stderr, result.stdout + result.stderr
            return result.stderr

        return await polling.eventually(probe)

    async def passes(self, *args: str, **given: Any) -> str:
        """Run kubectl, which must succeed; gives what it printed, warnings included."""
        result = await self.run(*args, **given)
        assert result.returncode == 0, result.stderr
        return result.stdout + result.stderr

    @staticmethod
    def config_map(name: str = "conf", **data: str) -> objects.RawObject:
        """Make a ConfigMap's manifest."""
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name},
            "data": data or {"level": "info"},
        }

    @staticmethod
    def deployment() -> objects.RawObject:
        """Make a Deployment's manifest; without nodes its pods stay pending."""
        labels = {"app": "web"}
        container = {"name": "app", "image": "registry.example/web:1.27"}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "labels": {"tier": "front"}},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }

    def records(self) -> list[records.Record]:
        """Read what the webhook has recorded so far."""
        return [
            records.decode(line.split(b" ", 1)[1])
            for path in sorted(self.state.glob("spool/*/*.log"))
            for line in path.read_bytes().splitlines()
        ]


@pytest.fixture
async def house(
    control_plane: plane.ControlPlane,
    chart: tuple[str, ...],
    namespace: str,
    client: clients.Client,
    tmp_path: Path,
) -> AsyncIterator[House]:
    """Give a running webhook that the API server asks, and an empty namespace."""
    del chart
    (port,) = plane.free_ports(1)
    certificate, key = certificates.self_signed()
    account = control_plane.token_kubeconfig(_NAMESPACE, f"{_RELEASE}-webhook")
    house = House(client, control_plane.kubectl, namespace, tmp_path)
    house.url = f"https://127.0.0.1:{port}"
    stop, serving = asyncio.Event(), asyncio.Event()
    options = process.Options(
        namespace=_NAMESPACE,
        release=_RELEASE,
        state=tmp_path,
        host="127.0.0.1",
        port=port,
    )
    with chart_module.webhook_at(control_plane, f"{house.url}/validate"):
        _prepare(control_plane, certificate, key)
        async with (
            await clients.Client.connect(kubeconfig=account) as own,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(
                process.run(options, own, stop=stop, on_serving=lambda _: serving.set())
            )
            try:
                async with asyncio.timeout(20):
                    await serving.wait()
                yield house
            finally:
                stop.set()


def _prepare(control_plane: plane.ControlPlane, certificate: bytes, key: bytes) -> None:
    """Do what the guard process does: certificate, bundle, and its own identity."""
    api = control_plane.api
    secrets = f"/api/v1/namespaces/{_NAMESPACE}/secrets"
    with contextlib.suppress(errors.ApiError):
        api.request("DELETE", f"{secrets}/{_RELEASE}-webhook-tls")
    api.request(
        "POST",
        secrets,
        {
            "metadata": {"name": f"{_RELEASE}-webhook-tls"},
            "data": {
                "tls.crt": base64.b64encode(certificate).decode(),
                "tls.key": base64.b64encode(key).decode(),
            },
        },
    )
    account = api.request(
        "GET", f"/api/v1/namespaces/{_NAMESPACE}/serviceaccounts/{_RELEASE}-guard"
    )
    identity = {
        "username": f"system:serviceaccount:{_NAMESPACE}:{_RELEASE}-guard",
        "uid": account["metadata"]["uid"],
    }
    bundle = base64.b64encode(certificate).decode()
    api.request(
        "PATCH",
        f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{_RELEASE}",
        [
            *(
                {"op": "add", "path": f"/webhooks/{n}/clientConfig/caBundle", "value": bundle}
                for n in (0, 1)
            ),
            {
                "op": "add",
                "path": "/metadata/annotations",
                "value": {"holdfast.dev/guard-identity": json.dumps(identity)},
            },
        ],
        content_type="application/json-patch+json",
    )

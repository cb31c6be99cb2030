"""A Guard of a shop: its repository, its namespace, and Alice, who edits by hand."""

import base64
import contextlib
import json
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from controlplane import api, chart
from e2e import node as nodes
from e2e import release
from support import gitserver, polling

from guard.inventory import entries, shards

NAMESPACE = "store"
GUARD = "store-prod"
CONFIGMAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
DENIED = "is managed from Git"
"""What a person reads whose edit Holdfast refuses."""

_INVENTORIES = f"/apis/holdfast.dev/v1alpha1/namespaces/{NAMESPACE}/inventories"
_REPOSITORY = "store.git"
_WITHIN_SECONDS = 60.0


class Shop:
    """The shop on a running node; ``repository`` holds its source."""

    def __init__(self, running: nodes.Node, server: gitserver.GitServer) -> None:
        self.node = running
        self.repository = server.create(_REPOSITORY)
        self._url = server.url(_REPOSITORY)

    @property
    def values(self) -> dict[str, Any]:
        """Values of the chart with the Guard in them."""
        source = {"url": self._url, "ref": "main", "path": "apps", "interval": "1s"}
        spec = {"source": {"git": source}, "target": {"namespace": NAMESPACE}}
        return {"guards": [{"name": GUARD, "namespace": NAMESPACE, "spec": spec}]}

    def kubectl(self, *args: str, user: str = "alice") -> subprocess.CompletedProcess[str]:
        """Run kubectl in the shop; a refusal is an answer."""
        return self.node.kubectl(f"--namespace={NAMESPACE}", *args, user=user, check=False)

    def edit(self, name: str, key: str, value: str) -> subprocess.CompletedProcess[str]:
        """Have Alice write one key of a ConfigMap."""
        patch = json.dumps({"data": {key: value}})
        return self.kubectl("patch", "configmap", name, "--type=merge", f"--patch={patch}")

    def read(self, what: str, path: str) -> str:
        """Read a JSON path of an object in the shop; empty if there is neither."""
        return self.kubectl("get", what, f"--output=jsonpath={{{path}}}", user="admin").stdout

    def inventory(self) -> dict[str, entries.Entry]:
        """Give what the inventories hold, by name."""
        found = self.node.api.request("GET", _INVENTORIES)["items"]
        blobs = [base64.b64decode(one["spec"]["data"]) for one in found]
        return {entry.key.name: entry for blob in blobs for entry in shards.decode(blob)}

    async def applied(self, commit: str) -> None:
        """Wait until a commit is applied."""
        wanted = f"main@{commit[:7]}"
        await polling.eventually(
            lambda: self.read(f"guard/{GUARD}", ".status.appliedRevision") == wanted,
            within_seconds=_WITHIN_SECONDS,
            every_seconds=0.2,
        )


@contextlib.contextmanager
def installed(
    running: nodes.Node, folder: Path, files: Mapping[str, str], values: Mapping[str, Any]
) -> Iterator[Shop]:
    """Have the shop with these files, guarded by an installation with these values."""
    with gitserver.GitServer(folder, host=nodes.HOST_ADDRESS) as server:
        shop = Shop(running, server)
        shop.repository.commit(files, "first")
        running.api.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        with release.installed(running, release.merged(shop.values, values)):
            yield shop
        # Nothing guards them any more, and another module starts with an empty shop.
        for kind in ("guards", "inventories", "driftreports"):
            running.kubectl("delete", kind, "--all", f"--namespace={NAMESPACE}")
        running.kubectl("delete", "namespace", NAMESPACE)


def config_map(name: str, **data: str) -> str:
    """Give the manifest of a ConfigMap."""
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    )


def client_tls(running: nodes.Node, user: str) -> ssl.SSLContext:
    """Give the credentials of a person, for requests that kubectl would be too slow for."""
    kubeconfig = yaml.safe_load(running.kubeconfig(user).read_text())
    credentials = kubeconfig["users"][0]["user"]
    pair = running.folder / f"{user}.pem"
    pair.touch(mode=0o600)
    pair.write_bytes(
        base64.b64decode(credentials["client-certificate-data"])
        + b"\n"
        + base64.b64decode(credentials["client-key-data"])
    )
    tls = ssl.create_default_context(cadata=running.ca_pem)
    tls.load_cert_chain(pair)
    return tls


def as_alice(running: nodes.Node) -> api.Api:
    """Give Alice's way to the API server."""
    return api.Api(running.server, client_tls(running, "alice"))


def webhook_pods(running: nodes.Node) -> list[str]:
    """Give the names of the webhook's pods, those that are ending included."""
    listing = running.kubectl(
        f"--namespace={chart.NAMESPACE}",
        "get",
        "pods",
        "--selector=app.kubernetes.io/component=webhook",
        "--output=name",
    ).stdout
    return listing.split()


def kill(running: nodes.Node, *pods: str) -> None:
    """End pods at once: no preStop, no goodbye."""
    running.kubectl(
        f"--namespace={chart.NAMESPACE}", "delete", "--grace-period=0", "--force", *pods
    )

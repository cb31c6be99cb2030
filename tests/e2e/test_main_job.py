"""Installed by Helm on a real node: an edit is refused through the Service, and drift restored."""

import json
import subprocess

import pytest
from controlplane import chart, installation
from e2e import node as nodes
from e2e import release
from support import gitserver, polling

pytestmark = pytest.mark.e2e

NAMESPACE = "shop"
CONF = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {level: info}
"""
WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "registry.example/web:1.4.2"}]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Give a Git server that the pods reach."""
    root = tmp_path_factory.mktemp("git")
    with gitserver.GitServer(root, host=nodes.HOST_ADDRESS) as running:
        yield running


@pytest.fixture(scope="module")
def installed(node, holdfast_image, server):
    """Install the chart with a Guard in its values, as a user would."""
    del holdfast_image
    repository = server.create("shop.git")
    revision = repository.commit({"apps/conf.yaml": CONF, "apps/web.yaml": WEB}, "first")
    node.api.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    guard = {
        "name": "shop-prod",
        "namespace": NAMESPACE,
        "spec": {
            "source": {
                "git": {
                    "url": server.url("shop.git"),
                    "ref": "main",
                    "path": "apps",
                    "interval": "1s",
                }
            },
            "target": {"namespace": NAMESPACE},
        },
    }
    with release.installed(node, {"guards": [guard]}):
        yield revision


@pytest.fixture
def run_holdfast(node, tmp_path):
    """Give the command of a person's machine, where there is no store: it asks the cluster."""
    environment = {**node.kubectl_environment("admin"), "HOME": str(tmp_path), "NO_COLOR": "1"}
    environment.pop("HOLDFAST_STATE", None)

    def run(*args):
        return subprocess.run(
            [installation.HOLDFAST, *args],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def kubectl(node, *args, user="alice"):
    """Run kubectl in the shop; a refusal is an answer."""
    return node.kubectl(f"--namespace={NAMESPACE}", *args, user=user, check=False)


def read(node, what, path):
    """Read a JSON path of an object."""
    return kubectl(node, "get", what, f"--output=jsonpath={{{path}}}", user="admin").stdout


async def synced(node, revision):
    """Wait until the commit is applied."""
    await polling.eventually(
        lambda: read(node, "guard/shop-prod", ".status.appliedRevision") == f"main@{revision[:7]}",
        within_seconds=60,
        every_seconds=0.2,
    )


async def records(run_holdfast, count):
    """Wait until the store, read through the cluster, holds so many records of the shop."""

    def probe():
        answer = run_holdfast("audit", "--namespace", NAMESPACE, "-o", "json")
        assert answer.returncode == 0, answer.stderr
        found = json.loads(answer.stdout)
        return found if len(found) >= count else None

    return await polling.eventually(probe, within_seconds=60, every_seconds=0.5)


async def test_the_main_job_in_pods(node, installed, run_holdfast):
    await synced(node, installed)

    denied = await polling.eventually(
        lambda: _denied(kubectl(node, "scale", "deployment/web", "--replicas=5")),
        within_seconds=30,
        every_seconds=0.2,
    )

    first_line = (
        'Error from server (Forbidden): admission webhook "scale.holdfast.dev" denied the request: '
        "shop/web is managed from Git"
    )
    assert denied.splitlines()[:3] == [
        first_line,
        "",
        "  spec.replicas   Git 0   yours 5",
    ]
    assert kubectl(node, "delete", "configmap", "conf").returncode == 1
    found = await records(run_holdfast, 2)
    assert {(one["verdict"], one["user"]) for one in found} == {("Denied", "alice")}

    node.kubectl(
        f"--namespace={chart.NAMESPACE}", "scale", "deployment/holdfast-webhook", "--replicas=0"
    )
    await polling.eventually(
        lambda: (
            kubectl(
                node, "patch", "configmap", "conf", "--patch", '{"data": {"level": "debug"}}'
            ).returncode
            == 0
        ),
        within_seconds=60,
        every_seconds=0.5,
    )
    await polling.eventually(lambda: read(node, "configmap/conf", ".data.level") == "info")
    found = await records(run_holdfast, 3)
    assert found[-1]["verdict"] == "Restored"
    node.kubectl(
        f"--namespace={chart.NAMESPACE}", "scale", "deployment/holdfast-webhook", "--replicas=2"
    )


def _denied(answer):
    return answer.stderr if answer.returncode == 1 and "managed from Git" in answer.stderr else None

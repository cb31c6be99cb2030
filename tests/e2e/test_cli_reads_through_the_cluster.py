"""`holdfast audit` from a person's machine: through the API server and the kubelet into a pod.

The pod is one of the image with the labels of a guard pod. It runs what the guard process runs to
keep and to show records, and nothing else, so that the test asks for one thing.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e import image
from e2e import node as node_module

pytestmark = pytest.mark.e2e

NAMESPACE = "holdfast-reading"
RECORDS = 2_500

KEEPER = f"""
import asyncio, pathlib
from guard.audit import record, spool, storing

def write(root):
    with spool.Spool(root, writer="guard-0") as opened:
        for number in range({RECORDS}):
            at_ns = 1_789_000_000_000_000_000 + number * 1_000_000
            opened.append(record.Record(
                id=record.new_id(at_ns, bytes(8)),
                time=record.timestamp(at_ns),
                guard="shop/shop-prod",
                object=record.ObjectRef(kind="ConfigMap", namespace="shop", name=f"c-{{number}}"),
                verdict="Denied",
                user="alice",
                message="x" * 500,
            ))

state = pathlib.Path("/var/lib/holdfast")
write(state / "spool")
asyncio.run(storing.run(state, reading_port=9444))
"""

READY = f"""
import json, urllib.request
url = "http://127.0.0.1:9444/v1/counts?since=2026-01-01T00:00:00Z"
counts = json.load(urllib.request.urlopen(url))
assert counts == {{"shop/shop-prod": {{"Denied": {RECORDS}}}}}
"""

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "holdfast-guard-0",
        "namespace": NAMESPACE,
        "labels": {
            "app.kubernetes.io/component": "guard",
            "app.kubernetes.io/instance": "holdfast",
        },
    },
    "spec": {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"fsGroup": 65532},
        "containers": [
            {
                "name": "guard",
                "image": image.NAME,
                "imagePullPolicy": "Never",
                "command": ["python3", "-c", KEEPER],
                "readinessProbe": {
                    "exec": {"command": ["python3", "-c", READY]},
                    "periodSeconds": 1,
                    "timeoutSeconds": 5,
                },
                "volumeMounts": [{"name": "state", "mountPath": "/var/lib/holdfast"}],
            }
        ],
        "volumes": [{"name": "state", "emptyDir": {}}],
    },
}

READER = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "audit-reader", "namespace": NAMESPACE},
    "rules": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    ],
}

Audit = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module", autouse=True)
def _guard_pod(node: node_module.Node) -> Iterator[None]:
    """Have the pod, and wait until all of its records are stored."""
    node.kubectl("create", "namespace", NAMESPACE)
    try:
        for manifest in (POD, READER):
            node.kubectl("create", "--filename=-", stdin=json.dumps(manifest))
        node.kubectl(
            "wait",
            f"--namespace={NAMESPACE}",
            "--for=condition=Ready",
            "--timeout=60s",
            "pod/holdfast-guard-0",
        )
        yield
    finally:
        node.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """Give the command, as somebody whose machine has no state folder runs it."""
    program = Path(sys.executable).with_name("holdfast")

    def run(kubeconfig: Path, *args: str) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if key != "HOLDFAST_STATE"}
        return subprocess.run(
            [program, "audit", f"--holdfast-namespace={NAMESPACE}", *args],
            env={**environment, "KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_the_log_arrives_whole_through_api_server_and_kubelet(
    node: node_module.Node, audit: Audit
) -> None:
    """All records, more than a megabyte of them, in their order."""
    result = audit(node.kubeconfig("alice"), "--limit", "0", "-o", "json")

    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert [one["object"]["name"] for one in found] == [f"c-{n}" for n in range(RECORDS)]


def test_two_rights_in_one_namespace_are_enough(node: node_module.Node, audit: Audit) -> None:
    """A reader of the log needs no other right, and is told the one that is lacking."""
    kubeconfig = node.add_service_account(NAMESPACE, "auditor", role=None)
    nothing = audit(kubeconfig)
    node.kubectl(
        "create",
        "rolebinding",
        "auditor",
        f"--namespace={NAMESPACE}",
        "--role=audit-reader",
        f"--serviceaccount={NAMESPACE}:auditor",
    )
    enough = audit(kubeconfig, "--limit", "1", "-o", "json")

    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert f"the right list on pods in the namespace {NAMESPACE}" in nothing.stderr
    assert (enough.returncode, len(json.loads(enough.stdout))) == (0, 1)


def test_without_create_on_portforward_the_right_is_named(
    node: node_module.Node, audit: Audit
) -> None:
    """Whoever may look at pods may not read the log for that."""
    kubeconfig = node.add_service_account(NAMESPACE, "looker", role="view")

    result = audit(kubeconfig)

    assert (result.returncode, result.stdout) == (2, "")
    assert "the right get and create on pods/portforward" in result.stderr

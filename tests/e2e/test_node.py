"""The node is a real one: what its pods reach, and how they are reached, is as anywhere."""

import json
import ssl
import urllib.request
from pathlib import Path

import pytest
from e2e import image, pods
from e2e import node as node_module
from support import gitserver

pytestmark = pytest.mark.e2e


def test_it_is_ready(node: node_module.Node) -> None:
    """The kubelet says so."""
    listing = node.kubectl("get", "nodes", "--no-headers").stdout.split()

    assert listing[:2] == [node_module.NAME, "Ready"]


def test_alice_may_do_everything_by_rbac(node: node_module.Node) -> None:
    """As in the tests without a node."""
    answer = node.kubectl("auth", "can-i", "*", "*", user="alice").stdout.strip()

    assert answer == "yes"


def test_a_pod_reads_from_a_git_server_of_this_machine(
    node: node_module.Node, restricted: str, tmp_path: Path
) -> None:
    """Sources of the tests are served so."""
    with gitserver.GitServer(tmp_path, host=node_module.HOST_ADDRESS) as server:
        commit = server.create("shop").commit({"web.yaml": "kind: ConfigMap"}, "first")

        output = pods.run(
            node, restricted, command=["git", "ls-remote", server.url("shop"), "main"]
        )

    assert output.startswith(commit)


def test_a_pod_reaches_the_api_server_through_its_service(
    node: node_module.Node, restricted: str
) -> None:
    """kube-proxy serves the addresses of Services."""
    script = (
        "import os, socket;"
        "address = os.environ['KUBERNETES_SERVICE_HOST'], os.environ['KUBERNETES_SERVICE_PORT'];"
        "print(socket.create_connection(address, timeout=5).getpeername()[0])"
    )

    output = pods.run(node, restricted, command=["python3", "-c", script])

    assert output.strip() == "10.213.16.1"


def test_this_machine_reaches_a_service(node: node_module.Node) -> None:
    """So a test can ask for health and metrics, with no port forwarded."""
    context = ssl.create_default_context(cadata=node.ca_pem)
    with urllib.request.urlopen("https://10.213.16.1/version", context=context, timeout=5) as got:
        version = json.load(got)

    assert version["gitVersion"].startswith("v1.")


def test_a_command_can_be_run_in_a_running_pod(node: node_module.Node, restricted: str) -> None:
    """The API server reaches the kubelet, by its own certificate."""
    name = pods.start(node, restricted, command=["sleep", "60"])

    said = node.kubectl(
        "exec", f"--namespace={restricted}", name, "--", "holdfast", "version", "--client"
    )

    assert image.version() in said.stdout

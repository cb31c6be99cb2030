"""Uninstalling by the commands of the document."""

import pytest
from support import documents, released

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_what_the_document_says_leaves_nothing(own_cluster: released.Cluster) -> None:
    """In their order, on an install with a guarded object and a binding made by hand."""
    own_cluster.helm("install", "--create-namespace", values=released.VALUES)
    own_cluster.kubectl(*released.OFF)
    own_cluster.kubectl("create", "configmap", "marked")
    own_cluster.kubectl("label", "configmap", "marked", "holdfast.dev/guard=0123456789abcdef")
    own_cluster.kubectl("annotate", "configmap", "marked", "holdfast.dev/origin={}")

    for command, _ in documents.examples("uninstall.md"):
        result = own_cluster.run("bash", "-c", command, check=False)
        assert result.returncode == 0, f"{command}: {result.stdout}"

    marked = own_cluster.kubectl("get", "configmap", "marked", "-o", "yaml").stdout
    assert "holdfast" not in marked.replace("holdfast-", "")
    own_cluster.kubectl("delete", "configmap", "marked")
    kinds = "crd,clusterrole,clusterrolebinding,validatingwebhookconfiguration,namespace"
    left = own_cluster.kubectl("get", kinds, "-o", "name").stdout.split()
    assert [name for name in left if "holdfast" in name] == [
        "clusterrolebinding.rbac.authorization.k8s.io/holdfast-test-dev"
    ]

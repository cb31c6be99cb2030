"""`holdfast version` against a real API server."""

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from controlplane import binaries, plane

pytestmark = pytest.mark.integration


def test_both_versions_are_told(holdfast: Any, control_plane: plane.ControlPlane) -> None:
    """The version of the program and that of the API server are told."""
    result = holdfast("version")

    assert result.stdout == (
        f"Holdfast    {metadata.version('kube-holdfast')}\n"
        f"Kubernetes  {binaries.kubernetes_version()} ({control_plane.server})\n"
    )
    assert result.returncode == 0


def test_without_a_cluster_the_own_version_is_told(holdfast: Any, tmp_path: Path) -> None:
    """Where there is no cluster the own version is told all the same, and the status is 0."""
    result = holdfast("version", "--kubeconfig", str(tmp_path / "none"), "-o", "json")

    told = json.loads(result.stdout)
    assert told["clientVersion"] == metadata.version("kube-holdfast")
    assert "no kubeconfig" in told["serverFault"]
    assert result.returncode == 0

"""Tests share one control plane and never each other's objects."""

import pytest
from controlplane import plane

pytestmark = pytest.mark.integration

_seen: set[str] = set()


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_gets_an_empty_namespace_of_its_own(
    control_plane: plane.ControlPlane, namespace: str, turn: int
) -> None:
    """What one test leaves behind is not there for the next."""
    assert namespace not in _seen
    _seen.add(namespace)
    found = control_plane.api.request("GET", f"/api/v1/namespaces/{namespace}/secrets")

    assert found["items"] == []

    secret = {"metadata": {"name": f"left-{turn}"}}
    control_plane.api.request("POST", f"/api/v1/namespaces/{namespace}/secrets", secret)

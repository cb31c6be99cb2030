"""Fixtures for all tests; the real control plane is started once, when a test first asks for it."""

import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import hypothesis
import pytest
from controlplane import binaries, plane, progress
from controlplane import chart as chart_module

# How quickly an example is made says nothing here: the machine does other things as well.
hypothesis.settings.register_profile(
    "shared machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("shared machine")


class ServiceAccounts(Protocol):
    """Makes a service account with a real token; see the fixture ``service_account``."""

    def __call__(self, name: str, *, namespace: str = "", role: str | None = ...) -> Path:
        """Give the kubeconfig of the account; its namespace is the test's own unless named."""


@pytest.fixture(scope="session")
def control_plane(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[plane.ControlPlane]:
    """Start etcd, kube-apiserver and kube-controller-manager, once for all tests of a run."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    # A first build takes minutes: its progress must be seen.
    with capture.global_and_fixture_disabled():
        binaries.ensure(tell=progress.Progress(sys.stderr))
    with plane.ControlPlane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture
def namespace(control_plane: plane.ControlPlane) -> Iterator[str]:
    """Make a namespace of its own for a test; it is deleted in the background afterwards."""
    # Not from `random`: the test runner seeds that alike for every test.
    name = f"test-{uuid.uuid4().hex[:10]}"
    control_plane.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    control_plane.api.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def kubectl(control_plane: plane.ControlPlane) -> Callable[..., Any]:
    """Give kubectl: ``kubectl(*args, user="admin", stdin=None, check=True, env=None)``."""
    return control_plane.kubectl


@pytest.fixture
def service_account(control_plane: plane.ControlPlane, namespace: str) -> ServiceAccounts:
    """Give a maker of service accounts; each may do everything in its namespace, unless told."""
    own_namespace = namespace

    def make(name: str, *, namespace: str = "", role: str | None = "cluster-admin") -> Path:
        return control_plane.add_service_account(namespace or own_namespace, name, role=role)

    return make


@pytest.fixture(scope="session")
def chart(control_plane: plane.ControlPlane) -> tuple[str, ...]:
    """Apply the chart without its webhook configuration; gives the names of what was applied.

    For admission, use `controlplane.chart.webhook_at` within a test.
    """
    return chart_module.install(control_plane, chart_module.VALUES)


@pytest.fixture(scope="session")
def guard_account(control_plane: plane.ControlPlane, chart: tuple[str, ...]) -> Path:
    """Give the kubeconfig of the guard's own service account, with its real token."""
    del chart  # it brings the account
    return control_plane.token_kubeconfig(chart_module.NAMESPACE, "holdfast-guard")


@pytest.fixture
async def client(control_plane: plane.ControlPlane) -> AsyncIterator[Any]:
    """Give a `guard.cluster.client.Client` connected as admin; it is closed afterwards."""
    from guard.cluster import client as client_module

    async with await client_module.Client.connect(
        kubeconfig=control_plane.kubeconfig("admin")
    ) as connected:
        yield connected

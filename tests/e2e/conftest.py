"""Fixtures of the end-to-end tests: the node, started once, with the image of this checkout."""

import os
import sys
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from controlplane import binaries, progress
from e2e import image, machine
from e2e import node as node_module

_RUNNING = pytest.StashKey[node_module.Node]()


@pytest.fixture(scope="session")
def holdfast_image(request: pytest.FixtureRequest) -> Path:
    """Build the image of this checkout; gives it as an OCI archive."""
    _require()
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # a first build takes a minute: it must be seen
        return image.ensure(tell=progress.Progress(sys.stderr))


@pytest.fixture(scope="session")
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, holdfast_image: Path
) -> Iterator[node_module.Node]:
    """Start a cluster with one node, once for all tests of a run; it has the image."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        found = binaries.ensure(binaries.NODE, tell=progress.Progress(sys.stderr))
        images = [image.ensure_pause(found["pause"]), holdfast_image]
        started = node_module.Node(tmp_path_factory.mktemp("node"), images)
    with started as running:
        request.config.stash[_RUNNING] = running
        yield running
        del request.config.stash[_RUNNING]


@pytest.fixture
def restricted(node: node_module.Node) -> Iterator[str]:
    """Make a namespace that admits only pods of the standard "restricted"; gives its name."""
    name = f"restricted-{uuid.uuid4().hex[:6]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    node.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    yield name
    node.api.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure what the node has to say."""
    report = yield
    running = item.config.stash.get(_RUNNING, None)
    if report.failed and running is not None:
        report.sections.append(("The node", running.story()))
    return report


def _require() -> None:
    try:
        machine.require()
    except machine.Unfit as reason:
        # A build that shall have run these tests must not pass by having skipped them.
        if os.environ.get("HOLDFAST_E2E") == "required":
            raise
        pytest.skip(str(reason))

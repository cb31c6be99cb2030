"""A control plane of its own with a release on it, installed by the real helm.

Its policies and its off switch concern the whole cluster, so other tests must not share it.
"""

from collections.abc import Iterator

import pytest
from controlplane import binaries, plane
from support import released


@pytest.fixture(scope="session")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[released.Cluster]:
    """Start a control plane; alice is a cluster admin and no deployer, admin and deployer are."""
    binaries.ensure()
    with plane.ControlPlane(tmp_path_factory.mktemp("protected")) as running:
        running.add_user("deployer", ["dev"])  # bound to cluster-admin, as alice is
        running.add_user("visitor")
        yield released.Cluster(running, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def installed(own_cluster: released.Cluster) -> Iterator[released.Cluster]:
    """Install the release, with a webhook that nobody answers for; uninstall it afterwards."""
    own_cluster.helm("install", "--create-namespace", values=released.VALUES)
    try:
        own_cluster.wait_for_policy()
        yield own_cluster
    finally:
        own_cluster.helm("uninstall", user="deployer")

"""Aggregated discovery of a real server, with a dead group and a new definition in it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import polling

from guard.api import keys
from guard.cluster import client as clients
from guard.cluster import discovery, errors, objects, resources

pytestmark = pytest.mark.integration

DEAD = """
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.dead.holdfast.test}
spec:
  group: dead.holdfast.test
  version: v1
  groupPriorityMinimum: 1000
  versionPriority: 10
  insecureSkipTLSVerify: true
  service: {name: nowhere, namespace: default}
"""


@pytest.fixture
def dead_group(kubectl: Callable[..., Any]) -> Iterator[None]:
    """Register an extension server that is not there."""
    kubectl("apply", "-f", "-", stdin=DEAD)
    yield
    kubectl("delete", "-f", "-", "--wait=false", stdin=DEAD)


@pytest.mark.usefixtures("dead_group")
async def test_one_dead_extension_server_takes_nothing_from_others(client: clients.Client) -> None:
    """argo-cd#20828: one dead APIService made discovery fail, and every sync stopped."""
    finder = discovery.Discovery(client)

    async def is_stale() -> bool:
        finder.forget()
        with pytest.raises(errors.UnknownKind):
            await finder.find(keys.GroupVersionKind("dead.holdfast.test", "v1", "Thing"))
        return "dead.holdfast.test" in await finder.unavailable_groups()

    await polling.eventually(is_stale)

    with pytest.raises(errors.GroupUnavailable):
        await finder.find(keys.GroupVersionKind("dead.holdfast.test", "v1", "Thing"))
    assert (await finder.find_kind("apps", "Deployment")).version == "v1"
    assert [one.plural for one in await finder.search("cm")] == ["configmaps"]


async def test_built_in_kinds_have_scope_verbs_and_preference(client: clients.Client) -> None:
    """What a loop needs to know of a kind."""
    finder = discovery.Discovery(client)
    role = await finder.find_kind("rbac.authorization.k8s.io", "ClusterRole")
    review = await finder.find_kind("authentication.k8s.io", "TokenReview")

    assert not role.namespaced
    assert {"get", "list", "watch", "patch"} <= role.verbs
    assert "watch" not in review.verbs
    assert (await finder.find_kind("autoscaling", "HorizontalPodAutoscaler")).version == "v2"
    # A colon in a name stays as it is.
    got = await objects.get(client, role, "", "system:basic-user")
    assert got["kind"] == "ClusterRole"


async def test_a_new_definition_is_found_without_a_restart(
    client: clients.Client, gadgets: Callable[[], None]
) -> None:
    """Established comes first; discovery follows within moments, and one more look finds it."""
    finder = discovery.Discovery(client)
    gvk = keys.GroupVersionKind("cluster.holdfast.test", "v1", "Gadget")
    with pytest.raises(errors.UnknownKind):
        await finder.find(gvk)
    gadgets()

    async def find() -> resources.Resource | None:
        try:
            return await finder.find(gvk)
        except errors.UnknownKind:
            return None

    found = await polling.eventually(find)
    assert found.plural == "gadgets"
    assert [one.kind for one in await finder.search("gdg")] == ["Gadget"]

"""Kinds are found by one look at the server, whatever is broken in one of its groups."""

import asyncio
from typing import Any

import pytest
from support import fakeapi

from guard.api import keys
from guard.cluster import client as clients
from guard.cluster import discovery, errors

DEPLOYMENT = keys.GroupVersionKind("apps", "v1", "Deployment")
WIDGET = keys.GroupVersionKind("example.com", "v1", "Widget")


def kind(name: str, plural: str, *short_names: str, scope: str = "Namespaced") -> dict[str, Any]:
    """Give a resource as aggregated discovery tells it."""
    return {
        "resource": plural,
        "responseKind": {"group": "", "version": "", "kind": name},
        "scope": scope,
        "singularResource": name.lower(),
        "verbs": ["get", "list", "patch", "watch"],
        "shortNames": list(short_names),
    }


def group(name: str, **versions: list[dict[str, Any]] | None) -> dict[str, Any]:
    """Give a group; a version of None is Stale."""
    return {
        "metadata": {"name": name} if name else {},
        "versions": [
            {"version": version, "freshness": "Current", "resources": resources}
            if resources is not None
            else {"version": version, "freshness": "Stale"}
            for version, resources in versions.items()
        ],
    }


def serve(api: fakeapi.FakeApi, *groups: dict[str, Any]) -> None:
    """Let the server serve the core group and these."""
    core = group("", v1=[kind("Node", "nodes", "no", scope="Cluster"), kind("Pod", "pods", "po")])
    api.answers["/api"] = {"kind": "APIGroupDiscoveryList", "items": [core]}
    api.answers["/apis"] = {"kind": "APIGroupDiscoveryList", "items": list(groups)}


APPS = group("apps", v1=[kind("Deployment", "deployments", "deploy")])


async def test_a_kind_is_found_with_its_path(api: fakeapi.FakeApi, client: clients.Client) -> None:
    """Group, version, plural and scope make the path; core kinds live below /api."""
    serve(api, APPS)
    finder = discovery.Discovery(client)
    deployment = await finder.find(DEPLOYMENT)
    node = await finder.find(keys.GroupVersionKind("", "v1", "Node"))

    assert deployment.path("shop", "web", "scale") == (
        "/apis/apps/v1/namespaces/shop/deployments/web/scale"
    )
    assert deployment.collection() == "/apis/apps/v1/deployments"
    assert node.path("ignored", "a") == "/api/v1/nodes/a"
    assert api.count("other") == 2


async def test_a_hundred_unknown_kinds_ask_the_server_once(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """A revision with many objects of a kind that is not there yet causes no storm."""
    serve(api, APPS)
    finder = discovery.Discovery(client)
    answers = await asyncio.gather(
        *(finder.find(WIDGET) for _ in range(100)), return_exceptions=True
    )

    assert {type(answer) for answer in answers} == {errors.UnknownKind}
    assert str(answers[0]) == "The API server serves no kind example.com/v1/Widget."
    assert api.count("other") == 2


async def test_a_kind_that_came_later_is_found_by_one_more_look(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """What is not cached is asked for, so a new definition needs no restart."""
    serve(api, APPS)
    finder = discovery.Discovery(client)
    await finder.find(DEPLOYMENT)
    serve(api, APPS, group("example.com", v1=[kind("Widget", "widgets")]))

    assert (await finder.find(WIDGET)).plural == "widgets"


async def test_a_dead_group_breaks_no_other(api: fakeapi.FakeApi, client: clients.Client) -> None:
    """argo-cd#20828: one dead APIService stopped every sync."""
    serve(api, group("dead.example.com", v1=None), APPS)
    finder = discovery.Discovery(client)

    assert (await finder.find(DEPLOYMENT)).plural == "deployments"
    assert await finder.unavailable_groups() == ["dead.example.com"]
    with pytest.raises(errors.GroupUnavailable, match="does not answer"):
        await finder.find(keys.GroupVersionKind("dead.example.com", "v1", "Thing"))


async def test_a_group_that_dies_keeps_its_known_kinds(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """Its server is away, not its kinds: nothing of it may look deleted."""
    serve(api, group("example.com", v1=[kind("Widget", "widgets")]))
    finder = discovery.Discovery(client)
    await finder.find(WIDGET)
    serve(api, group("example.com", v1=None), APPS)
    await finder.find(DEPLOYMENT)

    assert (await finder.find(WIDGET)).plural == "widgets"


async def test_the_preferred_version_comes_first(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """The server orders versions by preference."""
    scaler = kind("HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa")
    serve(api, group("autoscaling", v2=[scaler], v1=[scaler]))
    finder = discovery.Discovery(client)
    found = await finder.find_kind("autoscaling", "HorizontalPodAutoscaler")

    assert found.version == "v2"
    with pytest.raises(errors.UnknownKind, match="autoscaling/Scaler"):
        await finder.find_kind("autoscaling", "Scaler")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("po", ["/pods"]),
        ("Pods", ["/pods", "metrics.k8s.io/pods"]),
        ("pod", ["/pods"]),
        ("PodMetrics", ["metrics.k8s.io/pods"]),
        ("pods.metrics.k8s.io", ["metrics.k8s.io/pods"]),
        ("deploy", ["apps/deployments"]),
        ("nothing", []),
    ],
)
async def test_a_word_of_a_person_finds_kinds(
    api: fakeapi.FakeApi, client: clients.Client, word: str, expected: list[str]
) -> None:
    """As kubectl does: plural, singular, kind, short name, and a group behind a dot."""
    serve(api, APPS, group("metrics.k8s.io", v1=[kind("PodMetrics", "pods")]))
    found = await discovery.Discovery(client).search(word)

    assert [f"{resource.group}/{resource.plural}" for resource in found] == expected


async def test_forgetting_asks_again(api: fakeapi.FakeApi, client: clients.Client) -> None:
    """A kind that is gone is not found after a new look."""
    serve(api, APPS)
    finder = discovery.Discovery(client)
    await finder.find(DEPLOYMENT)
    serve(api)
    finder.forget()

    with pytest.raises(errors.UnknownKind):
        await finder.find(DEPLOYMENT)


async def test_a_server_without_aggregated_discovery_is_told_so(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """An old server answers an older list; the sentence says what is needed."""
    api.answers["/api"] = api.answers["/apis"] = {"kind": "APIVersions", "versions": ["v1"]}

    with pytest.raises(errors.Unintelligible, match=r"Kubernetes 1\.27 or newer"):
        await discovery.Discovery(client).find(DEPLOYMENT)


async def test_a_namespaced_path_needs_a_namespace(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """Without one the path would mean the objects of all namespaces."""
    serve(api, APPS)
    deployment = await discovery.Discovery(client).find(DEPLOYMENT)

    with pytest.raises(errors.NamespaceMissing, match="Deployment web lives in a namespace"):
        deployment.path("", "web")

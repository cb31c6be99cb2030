"""The reflector on a real watch cache: order, selectors, bookmarks, an expired version."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

import pytest
from controlplane import plane
from support import polling

from guard.cluster import client as clients
from guard.cluster import discovery, errors, objects, reflector, resources

pytestmark = pytest.mark.integration

CONFIG_MAPS = resources.Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)


def config_map(namespace: str, name: str, level: str = "info") -> dict[str, Any]:
    """Give a labelled ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"guarded": "yes"}},
        "data": {"level": level},
    }


@contextlib.asynccontextmanager
async def following(
    client: clients.Client,
    namespace: str,
    told: list[str],
    resource: resources.Resource = CONFIG_MAPS,
) -> AsyncIterator[reflector.Reflector]:
    """Follow the labelled ConfigMaps of a namespace."""

    def note(event: reflector.Event) -> None:
        told.append(f"{event.type} {event.object.get('metadata', {}).get('name', '')}".strip())

    follower = reflector.Reflector(
        client, resource, on_event=note, namespace=namespace, label_selector="guarded=yes"
    )
    task = asyncio.create_task(follower.run())
    try:
        await asyncio.wait_for(follower.synced.wait(), 10.0)
        yield follower
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def patch(
    client: clients.Client,
    namespace: str,
    name: str,
    change: Any,
    resource: resources.Resource = CONFIG_MAPS,
) -> None:
    """Merge a change into an object."""
    await objects.patch(
        client,
        resource,
        namespace,
        name,
        change,
        content_type=objects.MERGE_PATCH,
        manager="kubectl-edit",
    )


async def test_changes_arrive_in_order(client: clients.Client, namespace: str) -> None:
    """What was there first, then each change as it happens."""
    told: list[str] = []
    await objects.create(client, CONFIG_MAPS, config_map(namespace, "first"), "m")
    async with following(client, namespace, told):
        await objects.create(client, CONFIG_MAPS, config_map(namespace, "second"), "m")
        await patch(client, namespace, "first", {"data": {"level": "debug"}})
        await objects.delete(client, CONFIG_MAPS, namespace, "second")
        await polling.eventually(lambda: len(told) == 5)

    assert told == [
        "ADDED first",
        "SYNCED",
        "ADDED second",
        "MODIFIED first",
        "DELETED second",
    ]


async def test_a_removed_label_looks_like_a_deletion(
    client: clients.Client, namespace: str
) -> None:
    """On a watch with a selector; so get the object before calling it missing."""
    told: list[str] = []
    await objects.create(client, CONFIG_MAPS, config_map(namespace, "one"), "m")
    async with following(client, namespace, told):
        await patch(client, namespace, "one", {"metadata": {"labels": None}})
        await polling.eventually(lambda: told[-1] == "DELETED one")

    assert (await objects.get(client, CONFIG_MAPS, namespace, "one"))["data"] == {"level": "info"}


async def test_an_expired_version_starts_over_with_a_list(
    control_plane: plane.ControlPlane, namespace: str, gadgets: Callable[[], None]
) -> None:
    """The server says 410; the gap's edit and deletion are told, and the rest is not.

    A kind of our own, because its history begins when it is created: an older version is too old.
    """
    gadgets()
    async with await Rewinding.connect(kubeconfig=control_plane.kubeconfig("admin")) as client:
        gadget = await polling.eventually(lambda: _found(client))
        told: list[str] = []
        for name in ("kept", "edited", "deleted"):
            await objects.create(client, gadget, gadget_of(namespace, name), "m")
        async with following(client, namespace, told, gadget) as follower:
            pass
        await patch(client, namespace, "edited", {"data": {"level": "debug"}}, gadget)
        await objects.delete(client, gadget, namespace, "deleted")
        told.clear()
        client.rewinds = 1
        task = asyncio.create_task(follower.run())
        try:
            await polling.eventually(lambda: told[-1:] == ["SYNCED"])
            await patch(client, namespace, "kept", {"data": {"level": "debug"}}, gadget)
            await polling.eventually(lambda: told[-1:] == ["MODIFIED kept"])
        finally:
            task.cancel()

    assert told == ["MODIFIED edited", "DELETED deleted", "SYNCED", "MODIFIED kept"]


class Rewinding(clients.Client):
    """A client that asks for a version from the beginning of time, ``rewinds`` times."""

    rewinds = 0

    def stream(
        self, path: str, *, query: Mapping[str, str], **rest: Any
    ) -> AsyncGenerator[Any, None]:
        """Watch."""
        if self.rewinds:
            self.rewinds -= 1
            query = {**query, "resourceVersion": "1"}
        return super().stream(path, query=query, **rest)


def gadget_of(namespace: str, name: str) -> dict[str, Any]:
    """Give a labelled Gadget."""
    return {
        **config_map(namespace, name),
        "apiVersion": "cluster.holdfast.test/v1",
        "kind": "Gadget",
    }


async def _found(client: clients.Client) -> resources.Resource | None:
    try:
        return await discovery.Discovery(client).find_kind("cluster.holdfast.test", "Gadget")
    except errors.UnknownKind:
        return None

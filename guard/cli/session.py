"""Asking the API server for what the commands show. Everything here needs a client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from guard.api import driftreports, guards, inventories, names, objects
from guard.cli import errors
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.cluster import resources


def _own(kind: str, plural: str) -> resources.Resource:
    return resources.Resource(names.GROUP, names.VERSION, kind, plural, namespaced=True)


GUARDS: Final = _own(guards.KIND, guards.PLURAL)
REPORTS: Final = _own(driftreports.KIND, driftreports.PLURAL)
INVENTORIES: Final = _own(inventories.KIND, inventories.PLURAL)


@asynccontextmanager
async def connected(kubeconfig: Path | None, context: str | None) -> AsyncIterator[clients.Client]:
    """Give a client that is closed afterwards. Raises BadConfiguration."""
    async with await clients.Client.connect(
        kubeconfig=kubeconfig, context=context, user_agent="holdfast-cli"
    ) as client:
        yield client


async def list_own(
    client: clients.Client,
    resource: resources.Resource,
    *,
    namespace: str = "",
    label_selector: str = "",
) -> list[objects.RawObject]:
    """List one of our own kinds, sorted by namespace and name; all namespaces if it is empty.

    Raises NotInstalled, ListForbidden, ClusterError.
    """
    try:
        found = await verbs.list_all(
            client, resource, namespace=namespace, label_selector=label_selector
        )
    except cluster_errors.NotServed as error:
        raise errors.NotInstalled(client.server) from error
    except cluster_errors.Forbidden as error:
        what = f"{resource.plural}.{resource.group}"
        raise errors.ListForbidden(what, namespace) from error
    return sorted(found, key=lambda obj: (obj["metadata"]["namespace"], obj["metadata"]["name"]))


async def get_own(
    client: clients.Client, resource: resources.Resource, namespace: str, name: str
) -> objects.RawObject | None:
    """Read one object of our own kinds, or None. Raises NotInstalled, ClusterError."""
    try:
        return await verbs.get(client, resource, namespace, name)
    except cluster_errors.NotServed as error:
        raise errors.NotInstalled(client.server) from error
    except cluster_errors.NotFound:
        return None


async def guards_named(
    client: clients.Client, wanted: str, *, namespace: str
) -> list[objects.RawObject]:
    """Give the Guards that a person means by ``name`` or ``namespace/name``; all if empty.

    One name may stand for a Guard in each of several namespaces. Raises NoSuchGuard for none.
    """
    place, _, name = wanted.rpartition("/")
    found = await list_own(client, GUARDS, namespace=place or namespace)
    if not name:
        return found
    found = [guard for guard in found if guard["metadata"]["name"] == name]
    if not found:
        raise errors.NoSuchGuard(wanted, place or namespace)
    return found

"""Asking the guard pod for its audit records, by a port-forward through the API server."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from guard.api import objects
from guard.audit import asking, record, wire
from guard.cli import archive, errors
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.cluster import portforward

COMPONENT_LABEL: Final = "app.kubernetes.io/component"
INSTANCE_LABEL: Final = "app.kubernetes.io/instance"

_LIST_PODS: Final = "list on pods"
_FORWARD: Final = "get and create on pods/portforward"


async def records(
    client: clients.Client, place: archive.Place, parameters: Sequence[tuple[str, str]]
) -> list[record.Record]:
    """Give the records for a query, newest first. Raises AuditError, CliError, ClusterError."""
    async with _session(client, place) as opened:
        return await asking.records(opened, parameters)


async def counts_since(
    client: clients.Client, place: archive.Place, since: dt.datetime
) -> archive.Counts:
    """Count records by Guard and verdict. Raises AuditError, CliError, ClusterError."""
    async with _session(client, place) as opened:
        return await asking.counts_since(opened, since)


@asynccontextmanager
async def _session(
    client: clients.Client, place: archive.Place
) -> AsyncIterator[aiohttp.ClientSession]:
    pod = await guard_pod(client, place)
    try:
        async with portforward.session(
            client, place.namespace, pod, port=wire.READING_PORT
        ) as opened:
            yield opened
    except cluster_errors.Forbidden as error:
        raise errors.ReadForbidden(_FORWARD, place.namespace) from error


async def guard_pod(client: clients.Client, place: archive.Place) -> str:
    """Give the name of the guard pod; the newest of several that are ready.

    Raises NoGuardPod, ReadForbidden, ClusterError.
    """
    selector = f"{COMPONENT_LABEL}=guard,{INSTANCE_LABEL}={place.release}"
    try:
        found = await verbs.list_all(
            client, portforward.PODS, namespace=place.namespace, label_selector=selector
        )
    except cluster_errors.Forbidden as error:
        raise errors.ReadForbidden(_LIST_PODS, place.namespace) from error
    ready = [pod for pod in found if _is_ready(pod)]
    if not ready:
        waiting = found[0]["metadata"]["name"] if found else ""
        raise errors.NoGuardPod(place.namespace, place.release, found=waiting)
    newest = max(ready, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
    return str(newest["metadata"]["name"])


def _is_ready(pod: objects.RawObject) -> bool:
    conditions: list[dict[str, Any]] = (pod.get("status") or {}).get("conditions") or []
    return "deletionTimestamp" not in pod["metadata"] and any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions
    )

"""Telling the API server whom to trust: the CA in each entry of a webhook configuration."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from certs import authority, errors
from guard.api import objects
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.cluster import resources

_logger = structlog.get_logger(__name__)

_MANAGER: Final = "holdfast-certs"
_ATTEMPTS: Final = 8  # a Helm upgrade and several replicas may write at once


async def inject(client: clients.Client, *, configuration_name: str, ca_pem: bytes) -> bool:
    """Write the CA into ``clientConfig.caBundle`` of every entry; tell whether there was need to.

    One JSON patch under the lock of the version that was read, and no write if all is right: each
    write makes every API server rebuild its list of webhooks.

    Raises BadCertificate for what is no certificate (the API server would take it, and then reach
    no webhook), ConfigurationMissing, Contended, and guard.cluster.errors.ClusterError.
    """

    async def choose(_: objects.RawObject) -> bytes:
        return ca_pem

    return await follow(client, configuration_name=configuration_name, choose=choose)


async def follow(
    client: clients.Client,
    *,
    configuration_name: str,
    choose: Callable[[objects.RawObject], Awaitable[bytes]],
) -> bool:
    """Do as ``inject`` does, with the bundle that ``choose`` reads once the version is locked.

    ``choose`` is given the standing configuration. A process that was paused between reading its
    Secret and writing here would take away a CA that another has put in meanwhile; one that reads
    the Secret after the configuration cannot, since its patch then meets another version.
    """
    for _ in range(_ATTEMPTS):
        stored = await standing(client, configuration_name=configuration_name)
        if stored is None:
            raise errors.ConfigurationMissing(configuration_name)
        ca_pem = await choose(stored)
        authority.expiry(ca_pem)  # raises if it is unreadable
        operations = _operations(stored, base64.b64encode(ca_pem).decode())
        if not operations:
            return False
        try:
            await verbs.patch(
                client,
                resources.WEBHOOK_CONFIGURATIONS,
                "",
                configuration_name,
                operations,
                content_type=verbs.JSON_PATCH,
                manager=_MANAGER,
            )
        except cluster_errors.NotFound as error:
            raise errors.ConfigurationMissing(configuration_name) from error
        except cluster_errors.Conflict:
            continue
        _logger.info("wrote the CA into the webhook configuration", name=configuration_name)
        return True
    title = f"ValidatingWebhookConfiguration {configuration_name}"
    raise errors.Contended(title)


async def standing(client: clients.Client, *, configuration_name: str) -> objects.RawObject | None:
    """Give the webhook configuration; None if there is none."""
    try:
        return await verbs.get(client, resources.WEBHOOK_CONFIGURATIONS, "", configuration_name)
    except cluster_errors.NotFound:
        return None


def bundles(configuration: objects.RawObject) -> tuple[bytes, ...]:
    """Give the bundle of each entry, as PEM; empty where an entry has none."""
    return tuple(_decoded(entry) for entry in configuration.get("webhooks") or [])


def known(configuration: objects.RawObject) -> frozenset[bytes]:
    """Give the authorities that stand in every entry, each as ``authority.split`` gives it."""
    sets = []
    for pem in bundles(configuration):
        try:
            sets.append(frozenset(authority.split(pem)))
        except errors.BadCertificate:
            sets.append(frozenset())
    return frozenset.intersection(*sets) if sets else frozenset()


def _decoded(entry: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(entry["clientConfig"].get("caBundle") or "")
    except binascii.Error:  # the API server refuses it, so it is from no API server
        return b""


def _operations(stored: objects.RawObject, ca_bundle: str) -> list[dict[str, Any]]:
    """Give the JSON patch that fills each entry with another bundle; empty if there is none."""
    changes = [
        {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": ca_bundle}
        for index, entry in enumerate(stored.get("webhooks") or [])
        if entry["clientConfig"].get("caBundle") != ca_bundle
    ]
    if not changes:
        return []
    version = stored["metadata"]["resourceVersion"]
    return [{"op": "replace", "path": "/metadata/resourceVersion", "value": version}, *changes]

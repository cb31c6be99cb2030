"""Finding out which certificates the webhook's replicas serve: by a handshake with each.

Nothing that a replica reports about itself is needed, so this works with any version of it, and
shows what the API server will meet. Where the webhook runs in pods, the EndpointSlices of its
Service say where; else the webhook configuration holds its URL.
"""

import asyncio
import contextlib
import ssl
from typing import Any, Final, NamedTuple
from urllib import parse

import structlog

from guard.api import objects
from guard.cluster import client as clients
from guard.cluster import objects as verbs
from guard.cluster import resources

_logger = structlog.get_logger(__name__)

_SLICES: Final = resources.Resource(
    "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", namespaced=True
)
_HANDSHAKE_SECONDS: Final = 5.0
_PORT_NAMES: Final = ("https", "webhook")


class Place(NamedTuple):
    """Where a replica listens. One that is not ready, and does not answer, serves nobody."""

    host: str
    port: int
    server_name: str
    must_answer: bool


async def observe(
    client: clients.Client, configuration: objects.RawObject
) -> tuple[bytes, ...] | None:
    """Give the leaves that the replicas behind a webhook configuration serve, as PEM.

    None if not all that may be asked for a review have answered. Raises ClusterError if the API
    server does not tell where they are.
    """
    found = await places(client, configuration)
    if found is None:
        return None
    leaves = await asyncio.gather(*(_leaf(place) for place in found))
    silent = [
        f"{place.host}:{place.port}"
        for place, leaf in zip(found, leaves, strict=True)
        if leaf is None and place.must_answer
    ]
    if silent:
        _logger.info("replicas of the webhook answer no handshake", replicas=silent)
        return None
    return tuple(leaf for leaf in leaves if leaf is not None)


async def places(
    client: clients.Client, configuration: objects.RawObject
) -> tuple[Place, ...] | None:
    """Give where the replicas listen; None if that cannot be known. Raises ClusterError."""
    found: dict[Place, None] = {}
    services: set[tuple[str, str]] = set()
    for entry in configuration.get("webhooks") or []:
        target = entry["clientConfig"]
        if target.get("service"):
            services.add((target["service"]["namespace"], target["service"]["name"]))
        elif target.get("url"):
            url = parse.urlsplit(target["url"])
            host = url.hostname or ""
            found[Place(host, url.port or 443, host, must_answer=True)] = None
    for namespace, name in sorted(services):
        slices = await verbs.list_all(
            client,
            _SLICES,
            namespace=namespace,
            label_selector=f"kubernetes.io/service-name={name}",
        )
        for one in slices:
            port = _port(one)
            if port is None and one.get("endpoints"):
                return None
            for address, is_ready in _addresses(one):
                server_name = f"{name}.{namespace}.svc"
                found[Place(address, port or 0, server_name, must_answer=is_ready)] = None
    return tuple(found)


def _port(one: dict[str, Any]) -> int | None:
    """Give the port of a slice: the only one, or the one whose name says that it is TLS."""
    ports = [port for port in one.get("ports") or [] if port.get("port")]
    named = [port for port in ports if port.get("name") in _PORT_NAMES]
    chosen = ports if len(ports) == 1 else named
    return int(chosen[0]["port"]) if len(chosen) == 1 else None


def _addresses(one: dict[str, Any]) -> list[tuple[str, bool]]:
    """Give the addresses of a slice, and whether each gets reviews. Unknown counts as ready."""
    return [
        (address, (endpoint.get("conditions") or {}).get("ready") is not False)
        for endpoint in one.get("endpoints") or []
        for address in endpoint["addresses"][:1]  # the others are the same pod
    ]


async def _leaf(place: Place) -> bytes | None:
    """Shake hands and give the leaf as PEM; None if there was no handshake.

    Whom we trust does not matter: the certificate is what we ask for, and we send nothing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(_HANDSHAKE_SECONDS):
            _, writer = await asyncio.open_connection(
                place.host, place.port, ssl=context, server_hostname=place.server_name
            )
            try:
                leaf = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            finally:
                writer.close()
                with contextlib.suppress(OSError, ssl.SSLError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return None
    return ssl.DER_cert_to_PEM_cert(leaf).encode() if leaf else None

"""Certificates in a Secret, made and renewed by whoever comes first.

A Secret that holds ``ca.key`` was made by Holdfast, which renews what is in it step by step
(``certs.rotation``). One without ``ca.key`` was supplied by the user (or by cert-manager): it is
used as it is and never written to.
"""

import base64
import binascii
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import structlog

from certs import authority, errors, rotation
from guard.api import objects
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.cluster import resources

_logger = structlog.get_logger(__name__)

CA_CERT: Final = "ca.crt"
CA_KEY: Final = "ca.key"
LEAF_CERT: Final = "tls.crt"
LEAF_KEY: Final = "tls.key"
_KEYS: Final = (CA_CERT, CA_KEY, LEAF_CERT, LEAF_KEY)  # in the order of rotation.Parts

_SECRETS: Final = resources.Resource("", "v1", "Secret", "secrets", namespaced=True)
_MANAGER: Final = "holdfast-certs"
_ATTEMPTS: Final = 8  # several replicas start at once; each loses at most to each other one


class Material(NamedTuple):
    """What a server needs to serve TLS, and what clients need to trust it. All PEM."""

    ca_pem: bytes
    cert_pem: bytes
    key_pem: bytes


async def ensure(
    client: clients.Client,
    *,
    namespace: str,
    name: str,
    hosts: Sequence[str],
    now: dt.datetime,
    lives: rotation.Lives = rotation.DEFAULT_LIVES,
    view: rotation.View = rotation.NOTHING_SEEN,
    server_now: Callable[[], Awaitable[dt.datetime]] | None = None,
) -> Material:
    """Give certificates that serve ``hosts``; takes the next step of their upkeep if one is due.

    Safe to call at once from several processes: all get the same. ``now`` is aware; before
    anything is written, ``server_now`` is asked, whose clock then counts.

    Raises UnusableSecret for supplied certificates that do not work, and for a CA of ours that is
    damaged: neither is overwritten. Raises Contended, and guard.cluster.errors.ClusterError.
    """
    for _ in range(_ATTEMPTS):
        stored = await _get(client, namespace, name)
        found = _parts_of(stored, namespace, name)
        if any(found) and not found.ca_key_pem:
            _check_supplied(found, hosts, now, where=(namespace, name))
            return _material(found)
        try:
            step = rotation.step(found, hosts=hosts, now=now, lives=lives, view=view)
            if step.action is not rotation.Action.NOTHING and server_now is not None:
                now = await server_now()
                step = rotation.step(found, hosts=hosts, now=now, lives=lives, view=view)
        except errors.BadCertificate as error:
            raise errors.UnusableSecret(namespace, name, str(error)) from error
        if step.action is rotation.Action.NOTHING:
            return _material(found)
        if await _put(client, namespace, name, stored, step.parts):
            _logger.info(
                "took a step in the upkeep of the certificates",
                secret=f"{namespace}/{name}",
                step=step.action.value,
                why=step.why,
            )
            return _material(step.parts)
    title = f"Secret {namespace}/{name}"
    raise errors.Contended(title)


async def given(
    client: clients.Client,
    *,
    namespace: str,
    name: str,
    hosts: Sequence[str],
    now: dt.datetime,
    needs_ca: bool,
) -> Material:
    """Give certificates that others make; nothing is ever written.

    Without ``needs_ca`` the CA may be absent, for a leaf that API servers trust anyway. Raises
    CertificateMissing, UnusableSecret, and guard.cluster.errors.ClusterError.
    """
    found = await parts(client, namespace=namespace, name=name)
    if not (found.cert_pem or found.key_pem):
        raise errors.CertificateMissing(namespace, name, LEAF_CERT)
    _check_supplied(found, hosts, now, where=(namespace, name), needs_ca=needs_ca)
    return _material(found)


async def parts(client: clients.Client, *, namespace: str, name: str) -> rotation.Parts:
    """Give all that the Secret holds, absent parts empty. Raises UnusableSecret, ClusterError."""
    return _parts_of(await _get(client, namespace, name), namespace, name)


async def read(client: clients.Client, *, namespace: str, name: str) -> Material | None:
    """Give what the Secret holds, for a process that may only read; None while it is not filled.

    The CA may be empty. Raises UnusableSecret if the data is no base64. Whether it holds for a host
    is not judged.
    """
    found = await parts(client, namespace=namespace, name=name)
    return _material(found) if found.cert_pem and found.key_pem else None


async def server_now(client: clients.Client, *, namespace: str) -> dt.datetime:
    """Give the API server's time: it is the API server that judges whether a certificate is valid.

    Read off an object that is created in a dry run. Where that is refused (by a policy, say), our
    own time has to do. Raises guard.cluster.errors.ClusterError for an API server that is away.
    """
    probe = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"generateName": "holdfast-clock-", "namespace": namespace},
    }
    try:
        answer = await client.request(
            "POST",
            _SECRETS.collection(namespace),
            query={"dryRun": "All", "fieldManager": _MANAGER},
            body=probe,
            sensitive=True,
        )
    except cluster_errors.ApiStatusError as error:
        _logger.warning("the API server's clock cannot be read; ours counts", error=str(error))
        return dt.datetime.now(dt.UTC)
    return dt.datetime.fromisoformat(answer["metadata"]["creationTimestamp"])


def _check_supplied(
    found: rotation.Parts,
    hosts: Sequence[str],
    now: dt.datetime,
    *,
    where: tuple[str, str],
    needs_ca: bool = True,
) -> None:
    needed = {LEAF_CERT: found.cert_pem, LEAF_KEY: found.key_pem}
    if needs_ca:
        needed = {CA_CERT: found.ca_pem} | needed
    if missing := [key for key, value in needed.items() if not value]:
        raise errors.UnusableSecret(*where, f"It has no {' and no '.join(missing)}.")
    try:
        authority.check_leaf(found.leaf, ca_pem=found.ca_pem or None, hosts=hosts, now=now)
    except errors.BadCertificate as error:
        raise errors.UnusableSecret(*where, str(error)) from error


def _material(found: rotation.Parts) -> Material:
    return Material(found.ca_pem, found.cert_pem, found.key_pem)


def _parts_of(stored: objects.RawObject | None, namespace: str, name: str) -> rotation.Parts:
    """Decode the parts of a Secret that are filled; blank ones count as absent."""
    data: dict[str, Any] = (stored or {}).get("data") or {}
    try:
        decoded = [base64.b64decode(data.get(key) or "", validate=True) for key in _KEYS]
    except (binascii.Error, TypeError, ValueError):
        # Not chained: nothing of a Secret belongs in a text.
        raise errors.UnusableSecret(namespace, name, "Its data is no base64.") from None
    return rotation.Parts(*(value if value.strip() else b"" for value in decoded))


async def _get(client: clients.Client, namespace: str, name: str) -> objects.RawObject | None:
    try:
        return await verbs.get(client, _SECRETS, namespace, name)
    except cluster_errors.NotFound:
        return None


async def _put(
    client: clients.Client,
    namespace: str,
    name: str,
    stored: objects.RawObject | None,
    found: rotation.Parts,
) -> bool:
    """Create or replace the Secret; tell whether we were the one."""
    encoded = {
        key: base64.b64encode(value).decode() for key, value in zip(_KEYS, found, strict=True)
    }
    try:
        if stored is None:
            await verbs.create(client, _SECRETS, _new(namespace, name, encoded), _MANAGER)
        else:
            # As it was read: its resourceVersion is the lock, other keys and labels stay.
            data = (stored.get("data") or {}) | encoded
            await verbs.replace(client, _SECRETS, {**stored, "data": data}, _MANAGER)
    except cluster_errors.Conflict:
        return False  # somebody was faster: look again
    except cluster_errors.NotFound:
        if stored is None:
            raise  # there is no such namespace
        return False  # deleted meanwhile
    return True


def _new(namespace: str, name: str, encoded: dict[str, str]) -> objects.RawObject:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "holdfast"},
        },
        "type": "kubernetes.io/tls",
        "data": encoded,
    }

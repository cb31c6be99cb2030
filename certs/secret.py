"""Certificates in a Secret, made once, whoever comes first.

A Secret that holds ``ca.key`` was made by Holdfast: its leaf is renewed from the same CA, so that
the bundle in the webhook configuration stays right. One without ``ca.key`` was supplied by the user
(or by cert-manager): it is used as it is and never written to.
"""

import base64
import binascii
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import structlog

from certs import authority, errors
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
_PARTS: Final = (CA_CERT, CA_KEY, LEAF_CERT, LEAF_KEY)

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
) -> Material:
    """Give certificates that serve ``hosts``, from the Secret or made and stored in it.

    Safe to call at once from several processes: all get the same CA. ``now`` is aware.

    Raises UnusableSecret for supplied certificates that do not work, and for a CA of ours that is
    damaged: neither is overwritten. Raises Contended, and guard.cluster.errors.ClusterError.
    """
    for _ in range(_ATTEMPTS):
        stored = await _get(client, namespace, name)
        parts = {} if stored is None else _parts_of(stored, namespace, name)
        wanted = _wanted(parts, hosts, now, where=(namespace, name))
        if wanted == parts:
            return _material(parts)
        if await _put(client, namespace, name, stored, wanted):
            return _material(wanted)
    title = f"Secret {namespace}/{name}"
    raise errors.Contended(title)


async def read(client: clients.Client, *, namespace: str, name: str) -> Material | None:
    """Give what the Secret holds, for a process that may only read; None while it is not filled.

    Raises UnusableSecret if it is no certificate at all. Whether it holds for a host is not judged.
    """
    stored = await _get(client, namespace, name)
    parts = {} if stored is None else _parts_of(stored, namespace, name)
    if not (parts.get(LEAF_CERT) and parts.get(LEAF_KEY) and parts.get(CA_CERT)):
        return None
    return _material(parts)


def _wanted(
    parts: Mapping[str, bytes],
    hosts: Sequence[str],
    now: dt.datetime,
    *,
    where: tuple[str, str],
) -> Mapping[str, bytes]:
    """Give what the Secret should hold: ``parts`` itself if that works."""
    if not parts:
        _logger.info("making a certificate authority", secret="/".join(where))
        ca = authority.make_authority(now)
        return _parts(ca, authority.make_leaf(ca, hosts, now=now))
    if CA_KEY not in parts:
        return _supplied(parts, hosts, now, where=where)
    ca = authority.KeyPair(parts.get(CA_CERT, b""), parts[CA_KEY])
    try:
        authority.check_authority(ca, now=now)
    except errors.BadCertificate as error:
        raise errors.UnusableSecret(*where, str(error)) from error
    leaf = _leaf(parts)
    try:
        authority.check_leaf(leaf, ca_pem=ca.cert_pem, hosts=hosts, now=now)
        due = authority.is_due(leaf, now=now)
        why = "two thirds of its life are over"
    except errors.BadCertificate as error:
        due, why = True, str(error)
    if not due:
        return parts
    _logger.info("making a new serving certificate", secret="/".join(where), why=why)
    return _parts(ca, authority.make_leaf(ca, hosts, now=now))


def _supplied(
    parts: Mapping[str, bytes],
    hosts: Sequence[str],
    now: dt.datetime,
    *,
    where: tuple[str, str],
) -> Mapping[str, bytes]:
    missing = [part for part in (CA_CERT, LEAF_CERT, LEAF_KEY) if part not in parts]
    if missing:
        raise errors.UnusableSecret(*where, f"It has no {' and no '.join(missing)}.")
    try:
        authority.check_leaf(_leaf(parts), ca_pem=parts[CA_CERT], hosts=hosts, now=now)
    except errors.BadCertificate as error:
        raise errors.UnusableSecret(*where, str(error)) from error
    return parts


def _parts(ca: authority.KeyPair, leaf: authority.KeyPair) -> dict[str, bytes]:
    return {
        CA_CERT: ca.cert_pem,
        CA_KEY: ca.key_pem,
        LEAF_CERT: leaf.cert_pem,
        LEAF_KEY: leaf.key_pem,
    }


def _leaf(parts: Mapping[str, bytes]) -> authority.KeyPair:
    return authority.KeyPair(parts.get(LEAF_CERT, b""), parts.get(LEAF_KEY, b""))


def _material(parts: Mapping[str, bytes]) -> Material:
    return Material(parts[CA_CERT], parts[LEAF_CERT], parts[LEAF_KEY])


def _parts_of(stored: objects.RawObject, namespace: str, name: str) -> dict[str, bytes]:
    """Decode the parts of a Secret that are filled; an empty one counts as absent."""
    data = stored.get("data") or {}
    try:
        decoded = {
            part: base64.b64decode(data[part], validate=True) for part in _PARTS if data.get(part)
        }
    except (binascii.Error, TypeError, ValueError):
        # Not chained: nothing of a Secret belongs in a text.
        raise errors.UnusableSecret(namespace, name, "Its data is no base64.") from None
    return {part: value for part, value in decoded.items() if value.strip()}


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
    parts: Mapping[str, bytes],
) -> bool:
    """Create or replace the Secret; tell whether we were the one."""
    encoded = {part: base64.b64encode(value).decode() for part, value in parts.items()}
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

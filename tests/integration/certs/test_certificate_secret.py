"""The certificates' Secret on a real server: made once, renewed when needed, never usurped."""

import asyncio
import base64
import datetime as dt
import traceback
from typing import Any

import pytest

from certs import authority, errors, secret
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects, resources

pytestmark = pytest.mark.integration

SECRETS = resources.Resource("", "v1", "Secret", "secrets", namespaced=True)
NOW = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
HOSTS = ("holdfast-webhook.holdfast-system.svc", "127.0.0.1")


async def ensure(
    client: clients.Client,
    namespace: str,
    *,
    hosts: tuple[str, ...] = HOSTS,
    now: dt.datetime = NOW,
) -> secret.Material:
    """Ensure the Secret ``tls``."""
    return await secret.ensure(client, namespace=namespace, name="tls", hosts=hosts, now=now)


async def put(client: clients.Client, namespace: str, **parts: bytes) -> dict[str, Any]:
    """Write the Secret ``tls`` as a user would; ``tls_crt`` stands for tls.crt."""
    data = {
        part.replace("_", "."): base64.b64encode(value).decode() for part, value in parts.items()
    }
    obj = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "tls", "namespace": namespace},
        "data": data,
    }
    return await objects.apply(client, SECRETS, obj, manager="user", force=True)


async def version(client: clients.Client, namespace: str) -> str:
    """Give the Secret's resourceVersion."""
    stored = await objects.get(client, SECRETS, namespace, "tls")
    return str(stored["metadata"]["resourceVersion"])


async def test_it_is_made_once_and_then_left_alone(client: clients.Client, namespace: str) -> None:
    """A second start reads the same and writes nothing."""
    made = await ensure(client, namespace)
    before = await version(client, namespace)

    assert await ensure(client, namespace) == made
    assert await secret.read(client, namespace=namespace, name="tls") == made
    assert await version(client, namespace) == before
    leaf = authority.KeyPair(made.cert_pem, made.key_pem)
    authority.check_leaf(leaf, ca_pem=made.ca_pem, hosts=HOSTS, now=NOW)


async def test_all_who_start_at_once_share_one_authority(
    client: clients.Client, namespace: str
) -> None:
    """gatekeeper#1045: replicas that raced ended with different authorities."""
    materials = await asyncio.gather(*(ensure(client, namespace) for _ in range(6)))

    assert len(set(materials)) == 1


async def test_replicas_that_renew_at_once_share_one_leaf(
    client: clients.Client, namespace: str
) -> None:
    """One of them writes; the others read what it wrote."""
    made = await ensure(client, namespace)
    later = NOW + dt.timedelta(days=300)
    materials = await asyncio.gather(*(ensure(client, namespace, now=later) for _ in range(6)))

    assert len(set(materials)) == 1
    assert materials[0].ca_pem == made.ca_pem
    assert materials[0].cert_pem != made.cert_pem


@pytest.mark.parametrize(
    "damage", [{"tls_crt": b"junk"}, {"tls_key": b""}, {"tls_key": b"junk"}, {}]
)
async def test_a_leaf_that_is_no_good_is_made_anew_under_the_same_authority(
    client: clients.Client, namespace: str, damage: dict[str, bytes]
) -> None:
    """Damaged, or lacking a host: the bundle in the webhook configuration stays right."""
    made = await ensure(client, namespace, hosts=("other.svc",))
    if damage:
        await put(client, namespace, **damage)
    again = await ensure(client, namespace)

    assert again.ca_pem == made.ca_pem
    leaf = authority.KeyPair(again.cert_pem, again.key_pem)
    authority.check_leaf(leaf, ca_pem=again.ca_pem, hosts=HOSTS, now=NOW)


async def test_an_empty_secret_is_filled(client: clients.Client, namespace: str) -> None:
    """A chart may create it empty; what else it holds stays."""
    await put(client, namespace, tls_crt=b"", tls_key=b"\n", note=b"keep")
    made = await ensure(client, namespace)
    stored = await objects.get(client, SECRETS, namespace, "tls")

    assert base64.b64decode(stored["data"]["ca.crt"]) == made.ca_pem
    assert base64.b64decode(stored["data"]["note"]) == b"keep"


async def test_a_supplied_certificate_is_used_as_it_is(
    client: clients.Client, namespace: str
) -> None:
    """Without ca.key it is not ours, even when two thirds of its life are over."""
    ca = authority.make_authority(NOW)
    leaf = authority.make_leaf(ca, HOSTS, now=NOW)
    await put(client, namespace, ca_crt=ca.cert_pem, tls_crt=leaf.cert_pem, tls_key=leaf.key_pem)
    before = await version(client, namespace)
    used = await ensure(client, namespace, now=NOW + dt.timedelta(days=300))

    assert used == secret.Material(ca.cert_pem, leaf.cert_pem, leaf.key_pem)
    assert await version(client, namespace) == before


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"tls_crt": b"MARKER"}, "no readable PEM"),
        ({"tls_key": b"MARKER"}, "no readable, unencrypted PEM"),
        ({"ca_crt": b"MARKER"}, "no readable PEM"),
        ({"ca_crt": b""}, "has no ca.crt"),
        ({"tls_key": b""}, "has no tls.key"),
        ({"ca_crt": authority.make_authority(NOW).cert_pem}, "not signed by its CA"),
    ],
)
async def test_a_supplied_certificate_that_is_no_good_is_named_and_kept(
    client: clients.Client, namespace: str, change: dict[str, bytes], why: str
) -> None:
    """kyverno#2642: a user's certificate was overwritten. The text says which Secret and why."""
    ca = authority.make_authority(NOW)
    leaf = authority.make_leaf(ca, HOSTS, now=NOW)
    parts = {"ca_crt": ca.cert_pem, "tls_crt": leaf.cert_pem, "tls_key": leaf.key_pem} | change
    await put(client, namespace, **parts)
    before = await version(client, namespace)

    with pytest.raises(errors.UnusableSecret, match=f"Secret {namespace}/tls .*{why}") as caught:
        await ensure(client, namespace)
    assert "MARKER" not in "".join(traceback.format_exception(caught.value))
    assert await version(client, namespace) == before


async def test_a_supplied_certificate_for_other_hosts_is_named_and_kept(
    client: clients.Client, namespace: str
) -> None:
    """The user is told which host it lacks."""
    ca = authority.make_authority(NOW)
    leaf = authority.make_leaf(ca, ["other.svc"], now=NOW)
    await put(client, namespace, ca_crt=ca.cert_pem, tls_crt=leaf.cert_pem, tls_key=leaf.key_pem)

    with pytest.raises(errors.UnusableSecret, match=f"not hold for {HOSTS[0]}"):
        await ensure(client, namespace)


async def test_a_damaged_authority_is_named_and_kept(
    client: clients.Client, namespace: str
) -> None:
    """We cannot know what a person did there; the text says that deleting it helps."""
    await ensure(client, namespace)
    await put(client, namespace, ca_key=b"junk")

    with pytest.raises(errors.UnusableSecret, match="or delete it"):
        await ensure(client, namespace)


async def test_reading_what_is_not_there_or_not_filled_gives_none(
    client: clients.Client, namespace: str
) -> None:
    """The webhook waits until the guard process has made it."""
    assert await secret.read(client, namespace=namespace, name="tls") is None
    await put(client, namespace, tls_crt=b"")
    assert await secret.read(client, namespace=namespace, name="tls") is None


async def test_a_missing_namespace_is_told(client: clients.Client) -> None:
    """It does not look like a race."""
    with pytest.raises(cluster_errors.NotFound, match="namespaces"):
        await ensure(client, "no-such-namespace")

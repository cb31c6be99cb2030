"""Certificates that a person or cert-manager makes are passed on, and never written."""

import base64
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from certs import authority, bundle, errors, rotation, upkeep
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects, resources

pytestmark = pytest.mark.integration

CONFIGURATIONS = resources.Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
SECRETS = resources.Resource("", "v1", "Secret", "secrets", namespaced=True)
NOW = dt.datetime.now(dt.UTC)
HOSTS = ("a.svc",)


@pytest.fixture
async def configuration(client: clients.Client, namespace: str) -> AsyncIterator[str]:
    """Make a webhook configuration that concerns no request, named like the namespace."""
    obj = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [
            {
                "name": "objects.holdfast.test",
                "clientConfig": {"url": "https://127.0.0.1:1/validate"},
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "failurePolicy": "Ignore",
            }
        ],
    }
    await objects.create(client, CONFIGURATIONS, obj, "helm")
    yield namespace
    await objects.delete(client, CONFIGURATIONS, "", namespace)


async def supply(client: clients.Client, namespace: str, **parts: bytes) -> str:
    """Write the Secret ``tls`` as cert-manager would; gives its version."""
    data = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in parts.items()}
    obj = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "tls", "namespace": namespace},
        "data": data,
    }
    stored = await objects.apply(client, SECRETS, obj, manager="cert-manager", force=True)
    return str(stored["metadata"]["resourceVersion"])


def keeper(client: clients.Client, namespace: str, *served: bytes, **given: Any) -> upkeep.Upkeep:
    """Make the upkeep of given certificates; the replicas serve these. Time never passes."""

    async def observe(*_: object) -> tuple[bytes, ...]:
        return served

    settings = upkeep.Settings(
        namespace=namespace,
        secret_name="tls",  # noqa: S106 - the name of a Secret
        configuration_name=namespace,
        hosts=HOSTS,
        mode=rotation.Mode.GIVEN,
        lives=rotation.Lives(leaf=dt.timedelta()),  # and nothing waits
        **given,
    )
    return upkeep.Upkeep(client, settings, observe=observe)


async def known(client: clients.Client, name: str) -> frozenset[bytes]:
    """Give the authorities in the webhook configuration."""
    stored = await bundle.standing(client, configuration_name=name)
    assert stored is not None
    return bundle.known(stored)


async def test_a_replaced_ca_is_known_beside_the_former_until_all_serve_the_new_leaf(
    client: clients.Client, configuration: str
) -> None:
    """Even a leaf with ca.key beside it, whose two thirds are over, is not written to."""
    olds, news = authority.make_authority(NOW), authority.make_authority(NOW)
    old, new = (authority.make_leaf(ca, HOSTS, now=NOW) for ca in (olds, news))
    parts = {"tls_crt": old.cert_pem, "tls_key": old.key_pem, "ca_key": olds.key_pem}
    await supply(client, configuration, ca_crt=olds.cert_pem, **parts)
    await keeper(client, configuration).once()
    assert await known(client, configuration) == {olds.cert_pem}

    parts = {"tls_crt": new.cert_pem, "tls_key": new.key_pem}
    version = await supply(client, configuration, ca_crt=news.cert_pem, **parts)
    await keeper(client, configuration, old.cert_pem, new.cert_pem).once()
    assert await known(client, configuration) == {olds.cert_pem, news.cert_pem}
    await keeper(client, configuration, new.cert_pem).once()
    assert await known(client, configuration) == {news.cert_pem}
    stored = await objects.get(client, SECRETS, configuration, "tls")
    assert stored["metadata"]["resourceVersion"] == version


async def test_it_is_waited_for_and_not_made(client: clients.Client, configuration: str) -> None:
    """The text says who is to fill it."""
    with pytest.raises(errors.CertificateMissing, match="cert-manager"):
        await keeper(client, configuration).once()
    with pytest.raises(cluster_errors.NotFound):
        await objects.get(client, SECRETS, configuration, "tls")


async def test_where_the_cainjector_fills_the_bundle_it_is_left_alone(
    client: clients.Client, configuration: str
) -> None:
    """Then a Secret without a CA will do, as one of a public authority has none."""
    leaf = authority.make_leaf(authority.make_authority(NOW), HOSTS, now=NOW)
    await supply(client, configuration, tls_crt=leaf.cert_pem, tls_key=leaf.key_pem)

    await keeper(client, configuration, injects=False).once()
    assert await known(client, configuration) == frozenset()
    with pytest.raises(errors.UnusableSecret, match=r"has no ca\.crt"):
        await keeper(client, configuration).once()

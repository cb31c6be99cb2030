"""The CA reaches every entry of the webhook configuration, in one write, once."""

import asyncio
import base64
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from certs import authority, bundle, errors
from guard.cluster import client as clients
from guard.cluster import objects, resources

pytestmark = pytest.mark.integration

CONFIGURATIONS = resources.Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)


def entry(name: str) -> dict[str, Any]:
    """Give an entry that concerns no request."""
    return {
        "name": name,
        "clientConfig": {"url": "https://127.0.0.1:1/validate"},
        "rules": [
            {
                "apiGroups": ["nothing.holdfast.test"],
                "apiVersions": ["*"],
                "operations": ["CREATE"],
                "resources": ["*"],
            }
        ],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Ignore",
    }


@pytest.fixture
async def configuration(client: clients.Client, namespace: str) -> AsyncIterator[str]:
    """Make a webhook configuration with two entries, named like the test's namespace."""
    obj = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [entry("objects.holdfast.test"), entry("scale.holdfast.test")],
    }
    await objects.create(client, CONFIGURATIONS, obj, "helm")
    yield namespace
    await objects.delete(client, CONFIGURATIONS, "", namespace)


async def bundles(client: clients.Client, name: str) -> list[bytes | None]:
    """Give the CA of each entry."""
    stored = await objects.get(client, CONFIGURATIONS, "", name)
    values = [one["clientConfig"].get("caBundle") for one in stored["webhooks"]]
    return [base64.b64decode(value) if value else None for value in values]


@pytest.fixture(scope="module")
def ca_pems() -> tuple[bytes, bytes]:
    """Give two authorities."""
    now = dt.datetime.now(dt.UTC)
    return (authority.make_authority(now).cert_pem, authority.make_authority(now).cert_pem)


async def test_every_entry_is_filled_and_a_second_call_writes_nothing(
    client: clients.Client, configuration: str, ca_pems: tuple[bytes, bytes]
) -> None:
    """Each write makes the API servers rebuild their webhooks: none without need."""
    ca_pem, other = ca_pems

    assert await bundle.inject(client, configuration_name=configuration, ca_pem=ca_pem)
    assert await bundles(client, configuration) == [ca_pem, ca_pem]
    before = await objects.get(client, CONFIGURATIONS, "", configuration)
    assert not await bundle.inject(client, configuration_name=configuration, ca_pem=ca_pem)
    assert await objects.get(client, CONFIGURATIONS, "", configuration) == before

    assert await bundle.inject(client, configuration_name=configuration, ca_pem=other)
    assert await bundles(client, configuration) == [other, other]


async def test_an_entry_that_was_emptied_is_filled_again(
    client: clients.Client, configuration: str, ca_pems: tuple[bytes, bytes]
) -> None:
    """A helm upgrade may write the chart's entry, which knows no CA."""
    await bundle.inject(client, configuration_name=configuration, ca_pem=ca_pems[0])
    await objects.patch(
        client,
        CONFIGURATIONS,
        "",
        configuration,
        [{"op": "remove", "path": "/webhooks/1/clientConfig/caBundle"}],
        content_type=objects.JSON_PATCH,
        manager="helm",
    )

    assert await bundles(client, configuration) == [ca_pems[0], None]
    assert await bundle.inject(client, configuration_name=configuration, ca_pem=ca_pems[0])
    assert await bundles(client, configuration) == [ca_pems[0], ca_pems[0]]


async def test_several_at_once_end_well(
    client: clients.Client, configuration: str, ca_pems: tuple[bytes, bytes]
) -> None:
    """Whoever loses the race finds nothing left to do."""
    written = await asyncio.gather(
        *(
            bundle.inject(client, configuration_name=configuration, ca_pem=ca_pems[0])
            for _ in range(6)
        )
    )

    assert sum(written) == 1
    assert await bundles(client, configuration) == [ca_pems[0], ca_pems[0]]


async def test_a_missing_configuration_is_named(
    client: clients.Client, ca_pems: tuple[bytes, bytes]
) -> None:
    """The chart may be installed without it."""
    with pytest.raises(errors.ConfigurationMissing, match="ValidatingWebhookConfiguration nowhere"):
        await bundle.inject(client, configuration_name="nowhere", ca_pem=ca_pems[0])


async def test_what_is_no_certificate_is_never_written(
    client: clients.Client, configuration: str
) -> None:
    """The API server itself takes anything that is base64."""
    with pytest.raises(errors.BadCertificate):
        await bundle.inject(client, configuration_name=configuration, ca_pem=b"junk")
    assert await bundles(client, configuration) == [None, None]

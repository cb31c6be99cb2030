"""No error about a Secret quotes it, whatever the server says (argo-cd#16193, CVE-2025-23216)."""

import base64
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from guard.api import keys
from guard.cluster import client as clients
from guard.cluster import discovery, errors, objects, resources

pytestmark = pytest.mark.integration

MARKER = "MARKER-4711"
FORMS = (MARKER, base64.b64encode(MARKER.encode()).decode(), "4711")

Send = Callable[[clients.Client, resources.Resource, dict[str, Any]], Awaitable[Any]]


async def create(client: clients.Client, resource: resources.Resource, obj: dict[str, Any]) -> None:
    """Send by POST."""
    await objects.create(client, resource, obj, "m")


async def apply(client: clients.Client, resource: resources.Resource, obj: dict[str, Any]) -> None:
    """Send by server-side apply."""
    await objects.apply(client, resource, obj, manager="m", force=True)


@pytest.mark.parametrize("send", [create, apply])
@pytest.mark.parametrize(
    "fault",
    [
        {"stringData": {"password": 4711}},
        {"data": {"password": MARKER}},
        {"data": {"password": [MARKER]}},
        {"data": MARKER},
        {"immutable": MARKER},
        {"stringDate": {"password": MARKER}},
        {"type": "kubernetes.io/tls", "stringData": {"tls.crt": MARKER}},
    ],
)
async def test_an_invalid_secret_is_not_echoed(
    client: clients.Client, namespace: str, fault: dict[str, Any], send: Send
) -> None:
    """The error says what to look at, by status and reason, and no value."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": namespace},
        "stringData": {"other": MARKER},
        **fault,
    }
    resource = await discovery.Discovery(client).find(keys.GroupVersionKind("", "v1", "Secret"))

    with pytest.raises(errors.ApiStatusError) as caught:
        await send(client, resource, secret)

    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
    assert [form for form in FORMS if form in shown] == []
    assert caught.value.status in {400, 422, 500}

"""Telling the API server whom to trust: the CA in each entry of a webhook configuration."""

import base64
from typing import Any, Final

import structlog

from certs import authority, errors
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.cluster import resources

_logger = structlog.get_logger(__name__)

_CONFIGURATIONS: Final = resources.Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
_MANAGER: Final = "holdfast-certs"
_ATTEMPTS: Final = 8  # a Helm upgrade and several replicas may write at once


async def inject(client: clients.Client, *, configuration_name: str, ca_pem: bytes) -> bool:
    """Write the CA into ``clientConfig.caBundle`` of every entry; tell whether there was need to.

    One JSON patch under the lock of the version that was read, and no write if all is right: each
    write makes every API server rebuild its list of webhooks.

    Raises BadCertificate for what is no certificate (the API server would take it, and then reach
    no webhook), ConfigurationMissing, Contended, and guard.cluster.errors.ClusterError.
    """
    authority.expiry(ca_pem)  # raises if it is unreadable
    ca_bundle = base64.b64encode(ca_pem).decode()
    for _ in range(_ATTEMPTS):
        try:
            stored = await verbs.get(client, _CONFIGURATIONS, "", configuration_name)
            operations = _operations(stored, ca_bundle)
            if not operations:
                return False
            await verbs.patch(
                client,
                _CONFIGURATIONS,
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


def _operations(stored: dict[str, Any], ca_bundle: str) -> list[dict[str, Any]]:
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

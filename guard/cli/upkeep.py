"""What the guard process keeps in order for the webhook: certificates, authority, identity."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any, Final

import orjson
import structlog

from certs import errors as certs_errors
from certs import rotation, secret
from certs import upkeep as certificates
from guard.api import names
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.cluster import resources

_LOG: Final = structlog.get_logger(__name__)

_MANAGER: Final = "holdfast"
_AGAIN_SECONDS: Final = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Whose webhook, with which certificates.

    ``hosts`` are the names and addresses that the certificate must hold for; ``mode`` tells whether
    it is ours to make.
    """

    namespace: str
    release: str
    hosts: tuple[str, ...]
    mode: rotation.Mode = rotation.Mode.SELF

    @property
    def secret_name(self) -> str:
        """The Secret that holds the certificate."""
        return f"{self.release}-webhook-tls"


async def keep(
    settings: Settings,
    client: clients.Client,
    *,
    on_certificate: Callable[[secret.Material], object],
) -> None:
    """Keep all of it in order until cancelled; ``on_certificate`` is given what is served now."""
    rounds = certificates.Upkeep(
        client,
        certificates.Settings(
            namespace=settings.namespace,
            secret_name=settings.secret_name,
            configuration_name=settings.release,
            hosts=settings.hosts,
            mode=settings.mode,
        ),
    )
    while True:
        wait_seconds = _AGAIN_SECONDS
        try:
            wait_seconds = await rounds.once()
            await _write_identity(settings.release, client)
        except certs_errors.ConfigurationMissing as error:
            _LOG.info("only the loop guards", reason=str(error))
            wait_seconds = rotation.DEFAULT_LIVES.upkeep_seconds
        except (cluster_errors.ClusterError, certs_errors.CertificateError) as error:
            _LOG.warning("the webhook's certificate is not in order", error=str(error))
        await _show(settings, client, on_certificate)
        await asyncio.sleep(wait_seconds)


async def _show(
    settings: Settings, client: clients.Client, on_certificate: Callable[[secret.Material], object]
) -> None:
    try:
        material = await secret.read(
            client, namespace=settings.namespace, name=settings.secret_name
        )
    except (cluster_errors.ClusterError, certs_errors.CertificateError) as error:
        _LOG.warning("the certificate cannot be read", error=str(error))
        return
    if material is not None:
        on_certificate(material)


async def _write_identity(configuration: str, client: clients.Client) -> None:
    """Write down who we are, as the API server itself says: a name alone can be impersonated."""
    review = await client.request(
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        body={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
    )
    user: dict[str, Any] = review["status"]["userInfo"]
    identity = orjson.dumps({"username": user["username"], "uid": user.get("uid", "")}).decode()
    standing = await verbs.get(client, resources.WEBHOOK_CONFIGURATIONS, "", configuration)
    annotations = standing["metadata"].get("annotations") or {}
    if annotations.get(names.ANNOTATION_IDENTITY) == identity:
        return
    if not user.get("uid"):
        _LOG.warning(
            "the guard process runs under an account without a uid, so the webhook cannot tell its "
            "writes from those of others",
            username=user["username"],
        )
    await verbs.patch(
        client,
        resources.WEBHOOK_CONFIGURATIONS,
        "",
        configuration,
        {"metadata": {"annotations": {names.ANNOTATION_IDENTITY: identity}}},
        content_type=verbs.MERGE_PATCH,
        manager=_MANAGER,
    )

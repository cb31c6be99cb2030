"""The guard process, put together: loops, certificate, audit intake; until told to stop."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import os
import socket
import time
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from certs import bundle
from certs import errors as certs_errors
from certs import secret as certificate
from guard import errors as root_errors
from guard.api import guards
from guard.audit import errors as audit_errors
from guard.audit import intake, spool, store
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.cluster import resources, tasks
from guard.loop import fleet, tools
from guard.policy import secrecy
from guard.sources import git, source
from webhook import maskkey

_LOG: Final = structlog.get_logger(__name__)

_CONFIGURATIONS: Final = resources.Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
_IDENTITY_ANNOTATION: Final = "holdfast.dev/guard-identity"
_MANAGER: Final = "holdfast"

_UPKEEP_EVERY_SECONDS: Final = 30.0
"""How soon a bundle that somebody took away, or a configuration made anew, is put right."""

_SAFE_SCHEMES: Final = frozenset({"https", "ssh"})
_INSECURE_SCHEMES: Final = frozenset({"http", "file"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run. Below ``state`` lie audit.db, mirror/ and spool/.

    ``webhook_hosts`` are the names and addresses that the webhook's certificate is good for;
    ``allow_insecure_sources`` lets Guards name http:// and file:// (tests, demo).
    """

    kubeconfig: Path | None
    context: str | None
    namespace: str
    release: str
    state: Path
    allow_insecure_sources: bool
    webhook_hosts: tuple[str, ...]

    @property
    def installation(self) -> str:
        """The identity of the installation: namespace/release."""
        return f"{self.namespace}/{self.release}"


async def run(options: Options, stop: asyncio.Event) -> None:
    """Run all loops until ``stop`` is set; then store the records that are still in the spool.

    A store that cannot be opened stops nothing: records wait in the spool. Raises
    BadConfiguration, and SpoolUnwritable where there is no room for a spool at all.
    """
    options.state.mkdir(parents=True, exist_ok=True)
    writer = f"guard-{socket.gethostname()}-{os.getpid()}"
    async with (
        await clients.Client.connect(
            kubeconfig=options.kubeconfig, context=options.context, user_agent="holdfast-guard"
        ) as client,
        asyncio.TaskGroup() as outer,
    ):
        storing = outer.create_task(tasks.guard("audit store", lambda: _store_records(options)))
        with spool.Spool(options.state / "spool", writer=writer) as own_spool:
            async with asyncio.TaskGroup() as group:
                running = [
                    group.create_task(_guard_everything(options, client, own_spool)),
                    group.create_task(
                        tasks.guard("webhook upkeep", lambda: _keep_webhook(options, client))
                    ),
                ]
                await stop.wait()
                for task in running:
                    task.cancel()
        storing.cancel()


async def _store_records(options: Options) -> None:
    """Move records into the store until cancelled, and then what is left. Raises AuditError."""
    async with await store.Store.open(options.state / "audit.db") as records:
        taking = intake.Intake(options.state / "spool", records)
        try:
            await taking.run()
        finally:
            with contextlib.suppress(audit_errors.StoreUnavailable):
                await taking.drain_once()  # what stays in the spool waits for the next process


async def _guard_everything(
    options: Options, client: clients.Client, own_spool: spool.Spool
) -> None:
    key = await _mask_key(options, client)
    schemes = _SAFE_SCHEMES | (_INSECURE_SCHEMES if options.allow_insecure_sources else frozenset())

    def open_source(spec: guards.SourceSpec, owner: str) -> source.Source:
        return git.GitSource(
            url=spec.git.url,
            ref=spec.git.ref,
            path=spec.git.path,
            mirror=options.state / "mirror",
            owner=owner,
            allowed_schemes=schemes,
        )

    loops = fleet.Fleet(
        tools.Tools(
            client=client,
            installation=options.installation,
            masker=secrecy.Masker(key),
            open_source=open_source,
            write_record=own_spool.append,
            now_ns=time.time_ns,
            entropy=os.urandom,
        )
    )
    await tasks.guard("guards", loops.run)


async def _mask_key(options: Options, client: clients.Client) -> bytes:
    """Read the masking key, however long the API server is away or the Secret is broken."""
    while True:
        try:
            return await maskkey.ensure(
                client,
                namespace=options.namespace,
                name=f"{options.release}-mask-key",
                entropy=os.urandom,
            )
        except root_errors.HoldfastError as error:
            _LOG.warning("the masking key cannot be read yet", error=str(error))
            await asyncio.sleep(1.0)


async def _keep_webhook(options: Options, client: clients.Client) -> None:
    """Keep certificate, bundle and our identity where the webhook and the API server find them."""
    while True:
        try:
            material = await certificate.ensure(
                client,
                namespace=options.namespace,
                name=f"{options.release}-webhook-tls",
                hosts=options.webhook_hosts,
                now=dt.datetime.now(dt.UTC),
            )
            await bundle.inject(client, configuration_name=options.release, ca_pem=material.ca_pem)
            await _write_identity(options, client)
        except certs_errors.ConfigurationMissing as error:
            _LOG.info("only the loop guards", reason=str(error))
        except (cluster_errors.ClusterError, certs_errors.CertificateError) as error:
            _LOG.warning("the webhook's certificate is not in order", error=str(error))
            await asyncio.sleep(1.0)
            continue
        await asyncio.sleep(_UPKEEP_EVERY_SECONDS)


async def _write_identity(options: Options, client: clients.Client) -> None:
    """Write down who we are, as the API server itself says: a name alone can be impersonated."""
    review = await client.request(
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        body={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
    )
    user: dict[str, Any] = review["status"]["userInfo"]
    identity = orjson.dumps({"username": user["username"], "uid": user.get("uid", "")}).decode()
    standing = await verbs.get(client, _CONFIGURATIONS, "", options.release)
    annotations = standing["metadata"].get("annotations") or {}
    if annotations.get(_IDENTITY_ANNOTATION) == identity:
        return
    if not user.get("uid"):
        _LOG.warning(
            "the guard process runs under an account without a uid, so the webhook cannot tell its "
            "writes from those of others",
            username=user["username"],
        )
    await verbs.patch(
        client,
        _CONFIGURATIONS,
        "",
        options.release,
        {"metadata": {"annotations": {_IDENTITY_ANNOTATION: identity}}},
        content_type=verbs.MERGE_PATCH,
        manager=_MANAGER,
    )

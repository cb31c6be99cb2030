"""The guard process, put together: loops, certificate, audit intake; until told to stop."""

import asyncio
import dataclasses
import os
import socket
import time
from pathlib import Path
from typing import Final

import structlog

from certs import rotation, secret
from guard import errors as root_errors
from guard.api import guards
from guard.audit import receiving, spool, storing, tls
from guard.cli import gatekeeping, upkeep
from guard.cluster import client as clients
from guard.cluster import switch, tasks
from guard.loop import fleet, tools
from guard.policy import secrecy
from guard.sources import git, source
from webhook import maskkey

_LOG: Final = structlog.get_logger(__name__)

_SAFE_SCHEMES: Final = frozenset({"https", "ssh"})
_INSECURE_SCHEMES: Final = frozenset({"http", "file"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run. Below ``state`` lie audit.db, mirror/ and spool/.

    ``webhook_hosts`` are the names and addresses that the webhook's certificate is good for;
    ``allow_insecure_sources`` lets Guards name http:// and file:// (tests, demo). ``intake_port``
    takes records from webhook pods, ``reading_port`` lets the CLI read the store from inside the
    pod; None leaves either out. ``certificates`` tells whether the certificate is ours to make.
    """

    kubeconfig: Path | None
    context: str | None
    namespace: str
    release: str
    state: Path
    allow_insecure_sources: bool
    webhook_hosts: tuple[str, ...]
    intake_port: int | None = None
    reading_port: int | None = None
    certificates: rotation.Mode = rotation.Mode.SELF

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
    renewable = tls.Renewable()
    async with (
        await clients.Client.connect(
            kubeconfig=options.kubeconfig, context=options.context, user_agent="holdfast-guard"
        ) as client,
        asyncio.TaskGroup() as outer,
    ):
        storing_ = outer.create_task(
            tasks.guard("audit store", lambda: _store_records(options, renewable))
        )
        with spool.Spool(options.state / "spool", writer=writer) as own_spool:
            async with asyncio.TaskGroup() as group:
                running = [
                    group.create_task(_guard_everything(options, client, own_spool)),
                    group.create_task(
                        tasks.guard(
                            "webhook upkeep", lambda: _keep_webhook(options, client, renewable)
                        )
                    ),
                ]
                await stop.wait()
                for task in running:
                    task.cancel()
        storing_.cancel()


async def _store_records(options: Options, renewable: tls.Renewable) -> None:
    """Move records into the store until cancelled, and then what is left. Raises AuditError."""
    record_intake = None
    if options.intake_port is not None:
        record_intake = storing.RecordIntake(
            tls=renewable.listening,
            identity=receiving.webhook_identity(options.release, options.namespace),
            port=options.intake_port,
        )
    await storing.run(options.state, record_intake=record_intake, reading_port=options.reading_port)


async def _keep_webhook(options: Options, client: clients.Client, renewable: tls.Renewable) -> None:
    hosts = options.webhook_hosts
    if options.intake_port is not None:
        # One certificate serves both ends of the way that records take.
        hosts = (*hosts, f"{options.release}-guard.{options.namespace}.svc")
    settings = upkeep.Settings(
        namespace=options.namespace,
        release=options.release,
        hosts=hosts,
        mode=options.certificates,
    )

    def on_certificate(found: secret.Material) -> None:
        if options.intake_port is not None:
            renewable.load(ca_pem=found.ca_pem, cert_pem=found.cert_pem, key_pem=found.key_pem)

    await upkeep.keep(
        settings,
        client,
        on_certificate=on_certificate,
    )


async def _guard_everything(
    options: Options, client: clients.Client, own_spool: spool.Spool
) -> None:
    key = await _mask_key(options, client)
    switch_ = switch.Switch(
        client,
        namespace=options.namespace,
        release=options.release,
        on_change=lambda _: loops.wake(),
    )
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
            is_off=lambda: switch_.is_off,
        )
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(tasks.guard("off switch", switch_.run))
        group.create_task(
            tasks.guard("lock", lambda: gatekeeping.lock(client, namespace=options.namespace))
        )
        group.create_task(
            tasks.guard(
                "probe",
                lambda: gatekeeping.prove(
                    client,
                    namespace=options.namespace,
                    release=options.release,
                    nonce=lambda: os.urandom(8).hex(),
                    is_off=lambda: switch_.is_off,
                ),
            )
        )
        # What is switched off must not be restored once before that is known.
        await switch_.known.wait()
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

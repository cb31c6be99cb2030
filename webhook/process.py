"""The webhook process, put together: certificate, caches, spool, server; until told to stop."""

import asyncio
import contextlib
import dataclasses
import gc
import os
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from certs import errors as certs_errors
from certs import reloading
from certs import secret as certificates
from guard import errors as root_errors
from guard.api import driftreports, guards, inventories, names, objects
from guard.audit import shipping, spool, tls
from guard.cluster import client as clients
from guard.cluster import reflector, resources, tasks, timing
from guard.policy import secrecy
from webhook import caches as caches_
from webhook import errors, gate, judge, maskkey, metrics, server

IDENTITY: Final = "guard process identity"


_CACHES_WITHIN_SECONDS: Final = 10.0
"""How long the first lists may take before serving begins without them. Reviews then pass
unjudged, which is better than an API server that waits for us."""

_FLUSH_WITHIN_SECONDS: Final = 10.0
"""How long the end of the process may wait for the record intake; the spool keeps the rest."""

_GC_THRESHOLDS: Final = (50_000, 20, 100)
"""Reviews make much short-lived garbage and no cycles: collecting it often is wasted time."""

_T = TypeVar("_T")

_log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run. ``host`` None listens on all addresses; ``port`` 0 takes a free one.

    ``metrics_port`` serves /healthz, /readyz and /metrics in plain HTTP besides; None leaves that
    to the TLS port alone. ``state`` is the folder with the spool below it.
    """

    namespace: str
    release: str
    state: Path
    host: str | None = None
    port: int = 10250
    metrics_port: int | None = None
    trusted_users: tuple[str, ...] = ()
    fsync: bool = False
    drain_seconds: float = 5.0
    intake_url: str = ""

    @property
    def installation(self) -> str:
        """The identity of the installation: namespace/release."""
        return f"{self.namespace}/{self.release}"


@dataclasses.dataclass(slots=True)
class _Readiness:
    """What stands between this process and judging reviews."""

    caches: caches_.Caches
    leaf: reloading.Leaf
    is_serving: bool = False

    def missing(self) -> tuple[str, ...]:
        certificate = self.leaf.faults() if self.is_serving else (reloading.ABSENT,)
        identity = () if self.caches.identity is not None else (IDENTITY,)
        return (*certificate, *(f"cache of {one}" for one in self.caches.missing), *identity)


async def run(
    options: Options,
    client: clients.Client,
    *,
    stop: asyncio.Event,
    on_serving: Callable[[int], None] = lambda _: None,
    timing_: timing.Timing = timing.Timing(),
) -> None:
    """Run the webhook until ``stop`` is set; then finish what is under way and return.

    ``on_serving`` is called with the TLS port once it is open. Waits for the certificate, which the
    guard process makes, for as long as it takes. Raises OSError if a port is taken, and AuditError
    if the spool cannot be written.
    """
    caches = caches_.Caches(installation=options.installation)
    leaf = reloading.Leaf()
    readiness = _Readiness(caches, leaf)
    metrics_ = metrics.Metrics()
    reloading.watch_expiry(leaf, metrics_.registry)
    reflectors = follow(client, caches, release=options.release, timing_=timing_, trust=leaf.trust)
    metrics_.watch_ages({name: _age(one, timing_) for name, one in reflectors.items()})

    renewable = tls.Renewable()

    async def certificate() -> certificates.Material:
        material = await read_certificate(options, client)
        if options.intake_url:  # the same certificate proves us to the record intake
            renewable.load(
                ca_pem=material.ca_pem, cert_pem=material.cert_pem, key_pem=material.key_pem
            )
        return material

    async def load_certificate(_: Options, __: clients.Client) -> None:
        leaf.load(await certificate())

    async def renew_certificate() -> None:
        await leaf.follow(certificate, timing=timing_)

    async def serve() -> None:
        key = await _patiently(_mask_key, options, client, timing_)
        await _patiently(load_certificate, options, client, timing_)
        gate_ = gate.Gate(
            judge.Judge(caches, masker=secrecy.Masker(key), trusted_users=options.trusted_users),
            installation=options.installation,
            write=writer.append,
            metrics_=metrics_,
            now_ns=time.time_ns,
            entropy=os.urandom,
            replica=gate.Replica(
                os.environ.get("POD_NAME") or socket.gethostname(), lambda: not caches.missing
            ),
        )
        await _filled(reflectors.values())
        _tune_garbage_collection()
        app = server.make_app(gate_, metrics_=metrics_, missing=readiness.missing)
        async with server.serving(
            app,
            host=options.host,
            port=options.port,
            tls=leaf.context,
            drain_seconds=options.drain_seconds,
        ) as port:
            readiness.is_serving = True
            on_serving(port)
            await tasks.guard("certificate", renew_certificate, timing=timing_)  # until cancelled

    async def serve_plain(port: int) -> None:
        app = server.make_plain_app(metrics_=metrics_, missing=readiness.missing)
        async with server.serving(app, host=options.host, port=port):
            await asyncio.get_running_loop().create_future()  # until cancelled

    async with contextlib.AsyncExitStack() as stack:
        shipper = await _shipper(options, renewable, stack, timing_=timing_)
        writer = stack.enter_context(
            spool.Spool(options.state / "spool", writer=writer_name(), fsync=options.fsync)
        )
        eternal = [serve()]
        if shipper is not None:
            eternal.append(tasks.guard("record shipping", shipper.run, timing=timing_))
        if options.metrics_port is not None:
            eternal.append(serve_plain(options.metrics_port))
        eternal += [
            tasks.guard(f"cache of {name}", one.run, timing=timing_)
            for name, one in reflectors.items()
        ]
        await _until(stop, eternal)


async def _shipper(
    options: Options,
    renewable: tls.Renewable,
    stack: contextlib.AsyncExitStack,
    *,
    timing_: timing.Timing,
) -> shipping.Shipper | None:
    """Make what hands records over to the guard process, where they do not share a folder.

    When ``stack`` unwinds, the spool's writer is closed first, and what is left is handed over.
    """
    if not options.intake_url:
        return None
    shipper = await stack.enter_async_context(
        shipping.Shipper(
            options.state / "spool",
            url=options.intake_url,
            tls=renewable.client,
            # By name also where the URL holds an address: a cluster may have no DNS.
            server_name=f"{options.release}-guard.{options.namespace}.svc",
            timing=timing_,
        )
    )
    stack.push_async_callback(shipper.flush, within_seconds=_FLUSH_WITHIN_SECONDS)
    return shipper


def follow(
    client: clients.Client,
    caches: caches_.Caches,
    *,
    release: str,
    timing_: timing.Timing,
    trust: Callable[[objects.RawObject | None], None],
) -> dict[str, reflector.Reflector]:
    """Make the watches that fill the caches, by the name of what they follow.

    ``trust`` is given each version of the webhook configuration, and None when it is gone.
    """
    own = {
        caches_.GUARDS: (guards.KIND, guards.PLURAL),
        caches_.INVENTORIES: (inventories.KIND, inventories.PLURAL),
        caches_.DRIFTREPORTS: (driftreports.KIND, driftreports.PLURAL),
    }
    found = {
        source: reflector.Reflector(
            client,
            resources.Resource(names.GROUP, names.VERSION, kind, plural, namespaced=True),
            on_event=_handler(caches, source),
            timing=timing_,
        )
        for source, (kind, plural) in own.items()
    }
    found[caches_.CONFIGURATION] = reflector.Reflector(
        client,
        resources.WEBHOOK_CONFIGURATIONS,
        on_event=_trusting(_handler(caches, caches_.CONFIGURATION), trust),
        # RBAC grants the one by name, and this selector is how a list names it.
        field_selector=f"metadata.name={release}",
        timing=timing_,
    )
    return found


def writer_name() -> str:
    """Name this process's folder in the spool: the pod's name, or host and process id."""
    return f"webhook-{socket.gethostname()}-{os.getpid()}"


def _handler(caches: caches_.Caches, source: str) -> Callable[[reflector.Event], None]:
    put, drop = caches.handlers()[source]

    def handle(event: reflector.Event) -> None:
        match event.type:
            case reflector.EventType.SYNCED:
                caches.filled(source)
            case reflector.EventType.DELETED:
                drop(event.object)
            case _:
                put(event.object)

    return handle


def _trusting(
    handle: Callable[[reflector.Event], None], trust: Callable[[objects.RawObject | None], None]
) -> Callable[[reflector.Event], None]:
    def handle_and_trust(event: reflector.Event) -> None:
        handle(event)
        if event.type is not reflector.EventType.SYNCED:
            trust(None if event.type is reflector.EventType.DELETED else event.object)

    return handle_and_trust


async def _mask_key(options: Options, client: clients.Client) -> bytes:
    return await maskkey.ensure(
        client,
        namespace=options.namespace,
        name=f"{options.release}-mask-key",
        entropy=os.urandom,
    )


async def read_certificate(options: Options, client: clients.Client) -> certificates.Material:
    """Read the serving certificate. Raises CertificateAbsent, ClusterError."""
    name = f"{options.release}-webhook-tls"
    try:
        material = await certificates.read(client, namespace=options.namespace, name=name)
    except certs_errors.UnusableSecret as error:
        raise errors.CertificateAbsent(str(error)) from error
    if material is None:
        message = f"Secret {name} holds no tls.crt and tls.key"
        raise errors.CertificateAbsent(message)
    return material


async def _patiently(
    read: Callable[[Options, clients.Client], Awaitable[_T]],
    options: Options,
    client: clients.Client,
    timing_: timing.Timing,
) -> _T:
    """Read again and again until it is there: the guard process may start after us."""
    failures = 0
    while True:
        try:
            return await read(options, client)
        except root_errors.HoldfastError as error:
            failures += 1
            _log.info("waiting", error=str(error), attempt=failures)
            await timing_.back_off(failures)


async def _filled(reflectors: Iterable[reflector.Reflector]) -> None:
    """Wait until every cache has been listed once, but not for ever."""
    try:
        async with asyncio.timeout(_CACHES_WITHIN_SECONDS):
            for one in reflectors:
                await one.synced.wait()
    except TimeoutError:
        _log.warning("serving begins before the caches are filled; reviews pass unjudged")


async def _until(stop: asyncio.Event, eternal: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines that never end by themselves until ``stop`` is set, or one of them fails."""
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one) for one in eternal]
            await stop.wait()
            for task in running:
                task.cancel()
    except ExceptionGroup as failures:
        # One failure ends all; whoever started us knows what to do with a taken port.
        raise failures.exceptions[0] from None


def _age(one: reflector.Reflector, timing_: timing.Timing) -> Callable[[], float | None]:
    return lambda: None if one.last_contact is None else timing_.clock() - one.last_contact


def _tune_garbage_collection() -> None:
    """Keep the collector away from the caches, which live as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)

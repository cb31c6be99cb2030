"""The webhook process, put together: certificate, caches, spool, server; until told to stop."""

import asyncio
import base64
import binascii
import dataclasses
import gc
import os
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from guard import errors as root_errors
from guard.api import driftreports, guards, inventories, names
from guard.audit import spool
from guard.cluster import client as clients
from guard.cluster import objects as verbs
from guard.cluster import reflector, resources, tasks, timing
from guard.policy import secrecy
from webhook import caches as caches_
from webhook import errors, gate, judge, maskkey, metrics, server

CERTIFICATE: Final = "certificate"
IDENTITY: Final = "guard process identity"

_CONFIGURATIONS: Final = resources.Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)

_CACHES_WITHIN_SECONDS: Final = 10.0
"""How long the first lists may take before serving begins without them. Reviews then pass
unjudged, which is better than an API server that waits for us."""

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

    @property
    def installation(self) -> str:
        """The identity of the installation: namespace/release."""
        return f"{self.namespace}/{self.release}"


@dataclasses.dataclass(slots=True)
class _Readiness:
    """What stands between this process and judging reviews."""

    caches: caches_.Caches
    is_certified: bool = False

    def missing(self) -> tuple[str, ...]:
        certificate = () if self.is_certified else (CERTIFICATE,)
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
    readiness = _Readiness(caches)
    metrics_ = metrics.Metrics()
    reflectors = follow(client, caches, release=options.release, timing_=timing_)
    metrics_.watch_ages({name: _age(one, timing_) for name, one in reflectors.items()})

    async def serve() -> None:
        key = await _patiently(_mask_key, options, client, timing_)
        tls = await _patiently(read_certificate, options, client, timing_)
        gate_ = gate.Gate(
            judge.Judge(caches, masker=secrecy.Masker(key), trusted_users=options.trusted_users),
            installation=options.installation,
            write=writer.append,
            metrics_=metrics_,
            now_ns=time.time_ns,
            entropy=os.urandom,
        )
        await _filled(reflectors.values())
        _tune_garbage_collection()
        app = server.make_app(gate_, metrics_=metrics_, missing=readiness.missing)
        async with server.serving(
            app,
            host=options.host,
            port=options.port,
            tls=tls,
            drain_seconds=options.drain_seconds,
        ) as port:
            readiness.is_certified = True
            on_serving(port)
            await asyncio.get_running_loop().create_future()  # until cancelled

    async def serve_plain(port: int) -> None:
        app = server.make_plain_app(metrics_=metrics_, missing=readiness.missing)
        async with server.serving(app, host=options.host, port=port):
            await asyncio.get_running_loop().create_future()  # until cancelled

    with spool.Spool(options.state / "spool", writer=writer_name(), fsync=options.fsync) as writer:
        eternal = [serve()]
        if options.metrics_port is not None:
            eternal.append(serve_plain(options.metrics_port))
        eternal += [
            tasks.guard(f"cache of {name}", one.run, timing=timing_)
            for name, one in reflectors.items()
        ]
        await _until(stop, eternal)


def follow(
    client: clients.Client,
    caches: caches_.Caches,
    *,
    release: str,
    timing_: timing.Timing,
) -> dict[str, reflector.Reflector]:
    """Make the watches that fill the caches, by the name of what they follow."""
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
        _CONFIGURATIONS,
        on_event=_handler(caches, caches_.CONFIGURATION),
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


async def _mask_key(options: Options, client: clients.Client) -> bytes:
    return await maskkey.ensure(
        client,
        namespace=options.namespace,
        name=f"{options.release}-mask-key",
        entropy=os.urandom,
    )


async def read_certificate(options: Options, client: clients.Client) -> ssl.SSLContext:
    """Read the serving certificate. Raises CertificateAbsent, ClusterError."""
    name = f"{options.release}-webhook-tls"
    secret = await verbs.get(client, maskkey.SECRETS, options.namespace, name)
    data = secret.get("data") or {}
    try:
        cert_pem, key_pem = (
            base64.b64decode(data[field], validate=True) for field in ("tls.crt", "tls.key")
        )
    except (KeyError, TypeError, binascii.Error) as error:
        message = f"Secret {name} holds no tls.crt and tls.key"
        raise errors.CertificateAbsent(message) from error
    return server.tls_context(cert_pem, key_pem)


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

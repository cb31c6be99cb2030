"""Keeping the webhook's certificates in order, round by round, from the guard process.

A round looks at all there is and takes at most one step, so any number of processes may do rounds,
at any time, and be killed in them. What a process remembers between rounds is only how long
something has been so; one that starts anew waits that time again.
"""

import dataclasses
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Iterable

import structlog

from certs import bundle, rotation, secret, serving
from guard.api import objects
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors

_logger = structlog.get_logger(__name__)

Observe = Callable[[clients.Client, objects.RawObject], Awaitable[tuple[bytes, ...] | None]]
"""Gives the leaves that the replicas behind a webhook configuration serve; None if unknown."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which certificates, for what.

    ``hosts`` are the names and addresses that the leaf must hold for. ``injects`` is off where
    somebody else (cert-manager's cainjector) fills the bundle of the webhook configuration; it
    matters for given certificates only.
    """

    namespace: str
    secret_name: str
    configuration_name: str
    hosts: tuple[str, ...]
    mode: rotation.Mode = rotation.Mode.SELF
    injects: bool = True
    lives: rotation.Lives = rotation.DEFAULT_LIVES


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Upkeep:
    """The rounds of one process."""

    def __init__(
        self,
        client: clients.Client,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], dt.datetime] = _utc_now,
        observe: Observe = serving.observe,
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._now = now
        self._observe = observe
        self._known_since: dict[bytes, float] = {}
        self._leaf_since: dict[bytes, float] = {}

    async def once(self) -> float:
        """Do a round; give the seconds until the next is wanted, half a minute at most.

        Raises ConfigurationMissing when there is no webhook configuration (the Secret is in order
        then), other CertificateErrors, and guard.cluster.errors.ClusterError. After an error a
        round is wanted within a second or two: it may have passed.
        """
        settings = self._settings
        standing = await bundle.standing(
            self._client, configuration_name=settings.configuration_name
        )
        view = await self._view(await self._parts(), standing)
        await self._keep(view)

        async def choose(configuration: objects.RawObject) -> bytes:
            parts = await self._parts()
            if settings.mode is rotation.Mode.SELF and parts.ca_key_pem:
                return parts.ca_pem
            before = b"\n".join(bundle.bundles(configuration))
            return rotation.overlap(parts, before, now=self._now(), view=view)

        if settings.mode is rotation.Mode.SELF or settings.injects:
            await bundle.follow(
                self._client, configuration_name=settings.configuration_name, choose=choose
            )
        return settings.lives.upkeep_seconds

    async def _parts(self) -> rotation.Parts:
        return await secret.parts(
            self._client, namespace=self._settings.namespace, name=self._settings.secret_name
        )

    async def _keep(self, view: rotation.View) -> None:
        settings = self._settings
        if settings.mode is rotation.Mode.GIVEN:
            await secret.given(
                self._client,
                namespace=settings.namespace,
                name=settings.secret_name,
                hosts=settings.hosts,
                now=self._now(),
                needs_ca=settings.injects,
            )
            return
        await secret.ensure(
            self._client,
            namespace=settings.namespace,
            name=settings.secret_name,
            hosts=settings.hosts,
            now=self._now(),
            lives=settings.lives,
            view=view,
            server_now=lambda: secret.server_now(self._client, namespace=settings.namespace),
        )

    async def _view(
        self, parts: rotation.Parts, standing: objects.RawObject | None
    ) -> rotation.View:
        if standing is None:
            return rotation.NOTHING_SEEN
        clock = self._clock()
        self._known_since = _continued(self._known_since, bundle.known(standing), clock)
        self._leaf_since = _continued(self._leaf_since, {parts.cert_pem}, clock)
        settle_seconds = self._settings.lives.settle_seconds
        return rotation.View(
            known=frozenset(
                one for one, since in self._known_since.items() if clock - since >= settle_seconds
            ),
            served=await self._served(parts, standing),
        )

    async def _served(
        self, parts: rotation.Parts, standing: objects.RawObject
    ) -> tuple[bytes, ...] | None:
        """Look what is served, where that decides anything; a replica gets time to reload first."""
        age_seconds = self._clock() - self._leaf_since[parts.cert_pem]
        if age_seconds < self._settings.lives.adoption_seconds:
            return None
        if not self._known_since or len(self._known_since) == 1:  # no former one to be dropped
            return None
        try:
            return await self._observe(self._client, standing)
        except cluster_errors.ClusterError as error:
            # Not worth stopping for: the former authority stays in the bundle until it is over.
            _logger.warning("cannot see what the webhook's replicas serve", error=str(error))
            return None


def _continued(
    since: dict[bytes, float], present: Iterable[bytes], clock: float
) -> dict[bytes, float]:
    """Give since when each of what is present has been so, without a break."""
    return {one: since.get(one, clock) for one in present}

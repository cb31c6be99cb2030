"""A cluster with certificates, in which each request is a moment of its own.

Two processes keep the certificates, replicas serve them, API servers verify them with the webhook
configuration that they have last heard of. Requests stop before and after they take effect, so that
a test may let others go first, or kill the process there.
"""

import base64
import copy
import datetime as dt
import random
from collections.abc import Coroutine, Generator
from typing import Any

from certs import authority, bundle, rotation, upkeep
from guard.cluster import errors

NAMESPACE = "holdfast-system"
_SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
_SECRET = f"{_SECRETS}/holdfast-webhook-tls"
_CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/holdfast"
START = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)

LAG_SECONDS = 20.0
"""How late an API server may learn of a configuration: less than what it takes to settle."""

RELOAD_SECONDS = 10.0


class _Pause:
    """A point at which whoever drives the coroutine may do something else."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Cluster:
    """The true time, the stored objects, and those who follow them."""

    def __init__(self) -> None:
        self.elapsed_seconds = 0.0
        self.objects: dict[str, dict[str, Any]] = {
            _CONFIGURATION: {
                "metadata": {"name": "holdfast", "resourceVersion": "1"},
                "webhooks": [{"clientConfig": {}}, {"clientConfig": {}}],
            }
        }
        self.version = 1
        self.leaf_history: list[tuple[float, bytes]] = []
        self.bundle_history: list[tuple[float, tuple[bytes, ...]]] = []

    @property
    def now(self) -> dt.datetime:
        """The true time, which API servers go by."""
        return START + dt.timedelta(seconds=self.elapsed_seconds)

    async def request(self, method: str, path: str, **given: Any) -> Any:
        """Do one request, with a pause on the way there and on the way back."""
        await _Pause()
        answer = copy.deepcopy(self._do(method, path, given.get("query") or {}, given.get("body")))
        await _Pause()
        return answer

    def _do(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        if method == "POST" and "dryRun" in query:
            return {"metadata": {"creationTimestamp": self.now.strftime("%Y-%m-%dT%H:%M:%SZ")}}
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                raise errors.Conflict(409, reason="AlreadyExists")
            return self._store(path, copy.deepcopy(body))
        if path not in self.objects:
            raise errors.NotFound(404, reason="NotFound")
        stored = self.objects[path]
        if method == "GET":
            return stored
        changed = copy.deepcopy(stored)
        if method == "PUT":
            changed = copy.deepcopy(body)
        else:
            assert method == "PATCH"
            version, *changes = body
            changed["metadata"]["resourceVersion"] = version["value"]
            for change in changes:
                entry = changed["webhooks"][int(change["path"].split("/")[2])]
                entry["clientConfig"]["caBundle"] = change["value"]
        if changed["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"]:
            raise errors.Conflict(409, reason="Conflict")
        return self._store(path, changed)

    def _store(self, path: str, obj: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self.objects[path] = obj
        if path == _SECRET:
            leaf = base64.b64decode(obj["data"]["tls.crt"])
            self.leaf_history.append((self.elapsed_seconds, leaf))
        else:
            self.bundle_history.append((self.elapsed_seconds, bundle.bundles(obj)))
        return obj


class Keeper:
    """A process that does rounds, one request at a time. Its own clock may be wrong."""

    def __init__(self, world: "World", lives: rotation.Lives) -> None:
        self._world = world
        self._lives = lives
        self.offset = dt.timedelta()
        self.rounds = 0
        self._next_at = 0.0
        self.restart()

    def restart(self) -> None:
        """Be killed, wherever it is, and start over without a memory."""
        cluster: Any = self._world.cluster
        self._round: Coroutine[Any, Any, float] | None = None
        self._upkeep = upkeep.Upkeep(
            cluster,
            upkeep.Settings(
                namespace=NAMESPACE,
                secret_name="holdfast-webhook-tls",  # noqa: S106 - the name of a Secret
                configuration_name="holdfast",
                hosts=("a.svc",),
                lives=self._lives,
            ),
            clock=lambda: self._world.cluster.elapsed_seconds,
            now=lambda: self._world.cluster.now + self.offset,
            observe=self._world.observe,
        )

    def advance(self) -> bool:
        """Go on to the next pause; tell whether a round is over, or none is due."""
        if self._round is None:
            self._round = self._upkeep.once()
        try:
            self._round.send(None)
        except StopIteration:
            self._end()
        except errors.ClusterError:
            self._end()
        return self._round is None

    def _end(self) -> None:
        self._round = None
        self.rounds += 1


class World:
    """All of it; ``chance`` decides what is left open."""

    def __init__(self, lives: rotation.Lives, chance: random.Random) -> None:
        self.cluster = Cluster()
        self._chance = chance
        self.keepers = [Keeper(self, lives), Keeper(self, lives)]
        self.settle(self.keepers[0])
        self.replicas = [self._leaf(), self._leaf(), self._leaf()]
        self.api_servers = [self._bundles(), self._bundles()]
        self._is_starting = False

    def settle(self, keeper: Keeper) -> None:
        """Let one process finish its round, and do a whole one."""
        while not keeper.advance():
            pass
        while not keeper.advance():
            pass

    def start_replica(self) -> None:
        """Let one replica start: it has read its leaf, and does not answer before time passes."""
        self._is_starting = True
        self.replicas[-1] = self._leaf()

    def pass_time(self, seconds: float) -> None:
        """Let time pass. Those who follow something hear of it at the latest after their lag."""
        self.cluster.elapsed_seconds += seconds
        self._is_starting = False
        self.replicas = [
            self._chance.choice((one, self._leaf()))
            if one in self._since(self.cluster.leaf_history, RELOAD_SECONDS)
            else self._leaf()
            for one in self.replicas
        ]
        self.api_servers = [
            self._chance.choice((one, self._bundles()))
            if one in self._since(self.cluster.bundle_history, LAG_SECONDS)
            else self._bundles()
            for one in self.api_servers
        ]

    @property
    def is_stirring(self) -> bool:
        """Whether something was written a moment ago: now is when things can go wrong."""
        written = max(self.cluster.leaf_history[-1][0], self.cluster.bundle_history[-1][0])
        return self.cluster.elapsed_seconds - written < 120.0

    async def observe(self, *_: object) -> tuple[bytes, ...] | None:
        """Shake hands with all replicas; now and then one of them does not answer."""
        await _Pause()
        seen = self.replicas[:-1] if self._is_starting else self.replicas
        return None if self._chance.random() < 0.2 else tuple(seen)

    def refusals(self) -> list[str]:
        """Give a sentence for each API server that would refuse a replica now."""
        now = self.cluster.now
        bundles = {pem for trusted in self.api_servers for pem in trusted}
        return [
            f"A replica is refused at {now}, {self.cluster.elapsed_seconds} s after the start."
            for pem in bundles
            for leaf in set(self.replicas)
            if not authority.is_trusted(leaf, ca_pem=pem, now=now)
        ]

    def _leaf(self) -> bytes:
        return self.cluster.leaf_history[-1][1]

    def _bundles(self) -> tuple[bytes, ...]:
        return self.cluster.bundle_history[-1][1]

    def _since(self, history: list[tuple[float, Any]], lag_seconds: float) -> list[Any]:
        """Give what one may still hold whose lag is at most this."""
        edge = self.cluster.elapsed_seconds - lag_seconds
        before = [value for at, value in history if at <= edge][-1:]
        return before + [value for at, value in history if at > edge]

"""Certificates that live for seconds, under writes that fail whenever a review cannot be made.

Two replicas, each asked about each write (two entries, failurePolicy Fail), with a new handshake
for every review; two processes that renew at the same time.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web
from controlplane import plane
from support import polling

from certs import authority, bundle, errors, reloading, rotation, secret, upkeep
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects, resources

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CONFIGURATIONS = resources.Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
CONFIGMAPS = resources.Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)


class Replica:
    """A webhook that allows all there is, and closes each connection after its answer."""

    def __init__(self, client: clients.Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self.leaf = reloading.Leaf()
        self.reviews = 0

    async def read(self) -> secret.Material | None:
        """Read the certificate, as the webhook process does."""
        return await secret.read(self._client, namespace=self._namespace, name="tls")

    @contextlib.asynccontextmanager
    async def serving(self, port: int) -> AsyncIterator[None]:
        """Serve inside the block."""
        material = await self.read()
        assert material is not None
        self.leaf.load(material)
        app = web.Application()
        app.router.add_post("/validate", self._answer)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=self.leaf.context).start()
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        review = orjson.loads(await request.read())
        self.reviews += 1
        answer = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": {"uid": review["request"]["uid"], "allowed": True},
        }
        response = web.json_response(answer)
        response.force_close()
        return response


def entry(name: str, port: int, namespace: str) -> dict[str, Any]:
    """Give an entry that must be asked about each ConfigMap of the test's namespace."""
    return {
        "name": name,
        "clientConfig": {"url": f"https://127.0.0.1:{port}/validate"},
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["configmaps"],
            }
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "sideEffects": "None",
        "timeoutSeconds": 10,
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Fail",
    }


@contextlib.asynccontextmanager
async def configured(client: clients.Client, name: str, ports: list[int]) -> AsyncIterator[None]:
    """Make the webhook configuration, one entry for each replica."""
    entries = [entry(f"r{n}.holdfast.test", port, name) for n, port in enumerate(ports)]
    obj = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": entries,
    }
    await objects.create(client, CONFIGURATIONS, obj, "helm")
    try:
        yield
    finally:
        await objects.delete(client, CONFIGURATIONS, "", name)


class Watcher:
    """What happened to the certificates meanwhile."""

    def __init__(self) -> None:
        self.leaves: set[bytes] = set()
        self.authorities: set[bytes] = set()
        self.sizes: set[int] = set()

    def look(self, parts: rotation.Parts) -> None:
        """Note what the Secret holds."""
        known = authority.split(parts.ca_pem)
        self.leaves.add(parts.cert_pem)
        self.authorities.update(known)
        self.sizes.add(len(known))


async def keep(keeper: upkeep.Upkeep, stop: asyncio.Event) -> None:
    """Do rounds, as the guard process does."""
    while not stop.is_set():
        seconds = 0.1
        with contextlib.suppress(errors.Contended):
            seconds = await keeper.once()
        await asyncio.sleep(seconds)


async def write(client: clients.Client, namespace: str, name: str, stop: asyncio.Event) -> set[str]:
    """Change a ConfigMap ten times a second; gives what failed."""
    failed = set()
    number = 0
    while not stop.is_set():
        number += 1
        obj = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"namespace": namespace, "name": name},
            "data": {"n": str(number)},
        }
        try:
            await objects.apply(client, CONFIGMAPS, obj, manager="writer", force=True)
        except cluster_errors.ClusterError as error:
            failed.add(str(error))
        await asyncio.sleep(0.1)
    return failed


async def follow(replica: Replica, client: clients.Client, name: str, stop: asyncio.Event) -> None:
    """Tell a replica of the webhook configuration, as a watch does."""
    while not stop.is_set():
        replica.leaf.trust(await bundle.standing(client, configuration_name=name))
        await asyncio.sleep(0.2)


async def run(
    client: clients.Client, namespace: str, *, lives: rotation.Lives, seconds: float
) -> tuple[Watcher, set[str], int]:
    """Write for so long; gives what was seen, what failed, and how many reviews were made."""
    ports = list(plane.free_ports(2))
    settings = upkeep.Settings(
        namespace=namespace,
        secret_name="tls",  # noqa: S106 - the name of a Secret
        configuration_name=namespace,
        hosts=("127.0.0.1",),
        lives=lives,
    )
    keepers = [upkeep.Upkeep(client, settings) for _ in range(2)]
    replicas = [Replica(client, namespace) for _ in ports]
    seen = Watcher()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(configured(client, namespace, ports))
        await keepers[0].once()
        for replica, port in zip(replicas, ports, strict=True):
            await stack.enter_async_context(replica.serving(port))
        await polling.eventually(lambda: is_asked(client, namespace))
        async with asyncio.TaskGroup() as group:
            for keeper in keepers:
                group.create_task(keep(keeper, stop))
            reloads = [group.create_task(one.leaf.follow(one.read)) for one in replicas]
            for replica in replicas:
                group.create_task(follow(replica, client, namespace, stop))
            writers = [
                group.create_task(write(client, namespace, f"w{number}", stop))
                for number in range(3)
            ]
            end = loop.time() + seconds
            while loop.time() < end:
                seen.look(await secret.parts(client, namespace=namespace, name="tls"))
                assert [replica.leaf.faults() for replica in replicas] == [(), ()]
                await asyncio.sleep(0.1)
            stop.set()
            for task in reloads:
                task.cancel()
    failed = set[str]().union(*(writer.result() for writer in writers))
    return seen, failed, min(replica.reviews for replica in replicas)


async def is_asked(client: clients.Client, namespace: str) -> bool:
    """Tell whether the API server, which hears of webhooks by a watch, reaches both replicas."""
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": "probe"},
    }
    try:
        await objects.apply(client, CONFIGMAPS, obj, manager="writer", force=True)
    except cluster_errors.ClusterError:
        return False
    return True


async def test_no_write_fails_while_leaf_and_authority_are_renewed(
    client: clients.Client, namespace: str
) -> None:
    """Forty seconds: the leaf lives for 12, the authority for 30."""
    lives = rotation.Lives(ca=dt.timedelta(seconds=30), leaf=dt.timedelta(seconds=12))

    seen, failed, reviews = await run(client, namespace, lives=lives, seconds=40)

    assert failed == set()
    assert reviews > 100
    assert len(seen.leaves) >= 4
    assert len(seen.authorities) >= 2
    assert seen.sizes == {1, 2}


@pytest.mark.slow
async def test_no_write_fails_in_five_minutes_of_two_minute_certificates(
    client: clients.Client, namespace: str
) -> None:
    """BR-47: authorities that live for two minutes, leaves for one."""
    lives = rotation.Lives(ca=dt.timedelta(minutes=2), leaf=dt.timedelta(minutes=1))

    seen, failed, reviews = await run(client, namespace, lives=lives, seconds=300)

    assert failed == set()
    assert reviews > 1_000
    assert len(seen.leaves) >= 6
    assert len(seen.authorities) >= 3
    assert seen.sizes == {1, 2}


async def test_the_clock_of_the_api_server_is_read(client: clients.Client, namespace: str) -> None:
    """Off an object that is never stored."""
    server_time = await secret.server_now(client, namespace=namespace)

    assert abs(server_time - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)
    assert await secret.parts(client, namespace=namespace, name="holdfast-clock") == (b"",) * 4

"""The process waits for what others make, says what it waits for, and stops when it is told to."""

import asyncio
import base64
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from controlplane import plane
from support import polling

from guard.cluster import errors as cluster_errors
from guard.cluster import timing
from webhook import errors, maskkey, process


class Cluster:
    """Stands in for a client: a few objects by path, and watches that cannot connect."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.created: list[Any] = []

    async def request(self, method: str, path: str, **given: Any) -> Any:
        """Answer from memory."""
        if method == "POST":
            self.created.append(given["body"])
            return given["body"]
        if path not in self.objects:
            raise cluster_errors.NotFound(404, reason="NotFound")
        return self.objects[path]

    async def stream(self, *_: object, **__: object) -> Any:
        """Fail as an API server does that is away."""
        message = "away"
        raise cluster_errors.Unreachable(message)
        yield


async def hurried(_: float) -> None:
    """Wait no longer than a moment."""
    await asyncio.sleep(0.01)


def options(state: Path, **given: Any) -> process.Options:
    """Run on loopback with files in a folder of the test."""
    return process.Options(
        namespace="holdfast-system", release="holdfast", state=state, host="127.0.0.1", **given
    )


SECRETS = "/api/v1/namespaces/holdfast-system/secrets"


async def test_it_says_what_it_waits_for_and_stops(tmp_path: Path) -> None:
    """Without a certificate it is alive, not ready, and ends as soon as it is told."""
    (port,) = plane.free_ports(1)
    stop = asyncio.Event()
    cluster: Any = Cluster()

    async def ask() -> str:
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
                    return await response.text() if response.status == 503 else ""
            except aiohttp.ClientConnectionError:
                return ""

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(
            process.run(
                options(tmp_path, metrics_port=port),
                cluster,
                stop=stop,
                timing_=timing.Timing(sleep=hurried),
            )
        )
        missing = await polling.eventually(ask)
        stop.set()

    assert missing == (
        "missing: certificate, cache of guards, cache of inventories, cache of driftreports,"
        " cache of configuration, guard process identity\n"
    )


async def test_a_taken_port_is_an_error_of_its_own(tmp_path: Path) -> None:
    """Whoever started the process learns which error it was."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        cluster: Any = Cluster()

        with pytest.raises(OSError, match="address already in use"):
            await process.run(
                options(tmp_path, metrics_port=taken.getsockname()[1]),
                cluster,
                stop=asyncio.Event(),
                timing_=timing.Timing(sleep=hurried),
            )


@pytest.mark.parametrize(
    "data", [None, {}, {"tls.crt": "AAAA"}, {"tls.crt": "%", "tls.key": "%"}, {"tls.crt": 1}]
)
async def test_an_unusable_certificate_is_waited_out(tmp_path: Path, data: object) -> None:
    """It is tried again, as one that is missing is."""
    cluster: Any = Cluster()
    cluster.objects[f"{SECRETS}/holdfast-webhook-tls"] = {"data": data}

    with pytest.raises(errors.CertificateAbsent):
        await process.read_certificate(options(tmp_path), cluster)


async def test_a_mask_key_is_made_once() -> None:
    """By whoever comes first; 32 random bytes."""
    cluster: Any = Cluster()

    key = await maskkey.ensure(
        cluster, namespace="holdfast-system", name="holdfast-mask-key", entropy=lambda n: b"r" * n
    )

    assert key == b"r" * 32
    assert cluster.created[0]["metadata"]["name"] == "holdfast-mask-key"


async def test_a_mask_key_that_exists_is_read() -> None:
    """Both processes must hash alike."""
    cluster: Any = Cluster()
    cluster.objects[f"{SECRETS}/k"] = {"data": {"key": base64.b64encode(b"x" * 32).decode()}}

    key = await maskkey.ensure(cluster, namespace="holdfast-system", name="k", entropy=bytes)

    assert key == b"x" * 32
    assert cluster.created == []


@pytest.mark.parametrize("data", [None, {}, {"key": "%"}, {"key": "AAAA"}])
async def test_a_secret_without_a_key_is_an_error(data: object) -> None:
    """A short key would be a guessable one."""
    cluster: Any = Cluster()
    cluster.objects[f"{SECRETS}/k"] = {"data": data}

    with pytest.raises(errors.MaskKeyUnreadable):
        await maskkey.ensure(cluster, namespace="holdfast-system", name="k", entropy=bytes)

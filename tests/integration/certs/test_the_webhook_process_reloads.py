"""The webhook process serves a renewed certificate without a restart, and says when it ends."""

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import aiohttp
import pytest
from controlplane import plane
from support import polling

from certs import authority, rotation, secret
from guard.cluster import client as clients
from webhook import process

pytestmark = pytest.mark.integration

LIVES = rotation.Lives(ca=dt.timedelta(minutes=10), leaf=dt.timedelta(seconds=30))


async def ensure(client: clients.Client, namespace: str, host: str) -> secret.Material:
    """Let the Secret hold a leaf for a host; asked for another host, it is made anew."""
    return await secret.ensure(
        client,
        namespace=namespace,
        name="own-webhook-tls",
        hosts=("127.0.0.1", host),
        now=dt.datetime.now(dt.UTC),
        lives=LIVES,
    )


async def served_by(port: int) -> bytes:
    """Give the leaf that a new handshake meets."""
    pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port), timeout=5)
    return pem.encode()


async def test_a_new_leaf_is_served_and_its_end_is_told(
    client: clients.Client, namespace: str, chart: tuple[str, ...], tmp_path: Path
) -> None:
    """It reads its Secret by name; the metrics are those of the new leaf."""
    del chart  # it brings the kinds that the process follows
    (metrics_port,) = plane.free_ports(1)
    options = process.Options(
        namespace=namespace,
        release="own",
        state=tmp_path,
        host="127.0.0.1",
        port=0,
        metrics_port=metrics_port,
    )
    first = await ensure(client, namespace, "a.svc")
    stop = asyncio.Event()
    serving: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(process.run(options, client, stop=stop, on_serving=serving.set_result))
        port = await serving
        assert await served_by(port) == first.cert_pem
        second = await ensure(client, namespace, "b.svc")

        async def is_second() -> bool:
            return await served_by(port) == second.cert_pem

        await polling.eventually(is_second, every_seconds=0.2)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{metrics_port}/metrics") as answer,
        ):
            lines = (await answer.text()).splitlines()
        stop.set()

    kind = 'holdfast_certificate_expiry_timestamp_seconds{kind="leaf"}'
    (end,) = (float(line.split()[1]) for line in lines if line.startswith(kind))
    assert end == authority.expiry(second.cert_pem).timestamp()

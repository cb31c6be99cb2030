"""Webhook pod and guard process as real processes, over real TLS, and really killed."""

import asyncio
import contextlib
import random
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support import leaves, polling

from guard.audit import framing, receiving, record, spool, store

HERE = Path(__file__).parent
TIMEOUT_SECONDS = 60.0
IDENTITY = receiving.webhook_identity("holdfast", "holdfast-system")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with what both ends need."""
    folder = tmp_path_factory.mktemp("certificates")
    ca = leaves.make_authority()
    (folder / "ca.crt").write_bytes(ca.cert_pem)
    for name, names, usage in (
        ("guard", [leaves.LOOPBACK], leaves.SERVER),
        ("webhook", [IDENTITY], leaves.CLIENT),
    ):
        pair = leaves.make_leaf(ca, names, usages=[usage])
        (folder / f"{name}.crt").write_bytes(pair.cert_pem)
        (folder / f"{name}.key").write_bytes(pair.key_pem)
    return folder


class Pods:
    """Starts the processes; all that still run are killed at the end."""

    def __init__(self, folder: Path, certificates: Path) -> None:
        self.root = folder / "spool"
        self.state = folder / "state"
        self.port = _free_port()
        self._certificates = certificates
        self._started: list[asyncio.subprocess.Process] = []

    async def start_shipper(self, *rest: str) -> asyncio.subprocess.Process:
        """Start a webhook pod's shipper."""
        url = f"https://127.0.0.1:{self.port}"
        return await self._start("shipper.py", self.root, url, self._certificates, *rest)

    async def start_receiver(self) -> asyncio.subprocess.Process:
        """Start a guard process's intake."""
        return await self._start("receiver.py", self.state, self.port, self._certificates, IDENTITY)

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        """Kill -9."""
        process.kill()
        assert await process.wait() == -signal.SIGKILL

    async def flush(self) -> None:
        """Ship what is left, by a process of its own."""
        process = await self.start_shipper("flush")
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert await process.wait() == 0

    async def close(self) -> None:
        """Kill what still runs."""
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def stored(self) -> Counter[str]:
        """Count the ids in the store."""
        async with await store.Store.open_readonly(self.state / "audit.db") as opened:
            found = await opened.query(store.Filter(limit=None))
        return Counter(each.id for each in found)

    async def _start(self, script: str, *arguments: object) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(HERE / script),
            *map(str, arguments),
            stdout=asyncio.subprocess.PIPE,
        )
        self._started.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert await process.stdout.readline() == b"ready\n"
        return process


@pytest.fixture
async def pods(tmp_path: Path, certificates: Path) -> AsyncIterator[Pods]:
    """Give the processes of one test."""
    made = Pods(tmp_path, certificates)
    yield made
    await made.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write(root: Path, numbers: range) -> list[str]:
    """Append records with ids of their numbers, as a webhook does."""
    with spool.Spool(root, writer="webhook-1", max_segment_bytes=200_000) as opened:
        made = [
            record.Record(
                id=record.new_id(1_789_000_000_000_000_000 + number, number.to_bytes(8, "big")),
                time=record.timestamp(1_789_000_000_000_000_000 + number),
                guard="shop/shop-prod",
                object=record.ObjectRef(kind="ConfigMap", namespace="shop", name=f"c-{number}"),
                verdict="Denied",
                message="x" * (number % 7 * 50),
            )
            for number in numbers
        ]
        for entry in made:
            opened.append(entry)
    return [entry.id for entry in made]


@pytest.mark.parametrize("seed", range(2))
async def test_ten_thousand_records_survive_kills_of_both_ends(pods: Pods, seed: int) -> None:
    """Shipper and intake die in mid-batch, in turns; in the end each record is there once."""
    chance = random.Random(seed)
    written = await asyncio.to_thread(_write, pods.root, range(10_000))
    receiver, shipper = await asyncio.gather(pods.start_receiver(), pods.start_shipper())
    counts = []
    for turn in range(4):
        seen = sum((await pods.stored()).values())
        counts.append(seen)
        if seen == len(written):
            break
        # Something moves first, so that the kill comes in the middle of the work.
        await polling.eventually(
            lambda seen=seen: _grown(pods, seen), within_seconds=30, every_seconds=0.001
        )
        await asyncio.sleep(chance.random() * 0.02)
        if turn % 2:
            await pods.kill(receiver)
            receiver = await pods.start_receiver()
        else:
            await pods.kill(shipper)
            shipper = await pods.start_shipper()
    await pods.kill(shipper)
    await pods.flush()

    stored = await pods.stored()
    assert stored.keys() == set(written)
    assert set(stored.values()) == {1}
    assert await asyncio.to_thread(lambda: list(pods.root.iterdir())) == []
    assert counts[0] < len(written)


async def _grown(pods: Pods, before: int) -> bool:
    return sum((await pods.stored()).values()) > before


async def test_records_wait_for_an_intake_that_comes_later(pods: Pods) -> None:
    """A webhook pod starts first, and records all the while."""
    shipper = await pods.start_shipper()
    written = await asyncio.to_thread(_write, pods.root, range(100))
    assert shipper.returncode is None
    receiver = await pods.start_receiver()
    await polling.eventually(lambda: _has(pods, 100), within_seconds=30)
    await pods.kill(receiver)
    written += await asyncio.to_thread(_write, pods.root, range(100, 200))
    await pods.start_receiver()
    await polling.eventually(lambda: _has(pods, 200), within_seconds=40)

    assert (await pods.stored()).keys() == set(written)
    assert shipper.returncode is None


async def _has(pods: Pods, number: int) -> bool:
    return sum((await pods.stored()).values()) == number


async def test_a_record_that_cannot_be_read_stays_with_the_pod(pods: Pods) -> None:
    """It is set aside where it lies, and all others arrive."""
    written = await asyncio.to_thread(_write, pods.root, range(10))
    (segment,) = await asyncio.to_thread(lambda: list(pods.root.glob("webhook-1/*.log")))
    lines = segment.read_bytes().splitlines(keepends=True)
    lines.insert(4, framing.line_of(b'{"poison":true}'))
    segment.write_bytes(b"".join(lines))
    await pods.start_receiver()
    await pods.flush()

    assert (await pods.stored()).keys() == set(written)
    (kept,) = await asyncio.to_thread(lambda: list((pods.root / ".rejected").iterdir()))
    assert b"poison" in kept.read_bytes()


async def test_another_identity_gets_nothing_in(pods: Pods, tmp_path: Path) -> None:
    """A certificate of the same authority for another name ships nothing, and loses nothing."""
    written = await asyncio.to_thread(_write, pods.root, range(3))
    ca = leaves.make_authority()
    other = tmp_path / "other"
    other.mkdir()
    (other / "ca.crt").write_bytes(ca.cert_pem)
    for name, names in (("guard", [leaves.LOOPBACK]), ("webhook", ["other.holdfast-system.svc"])):
        pair = leaves.make_leaf(ca, names)
        (other / f"{name}.crt").write_bytes(pair.cert_pem)
        (other / f"{name}.key").write_bytes(pair.key_pem)
    strangers = Pods(tmp_path, other)
    try:
        await strangers.start_receiver()
        process = await strangers.start_shipper()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await process.wait()
        assert await strangers.stored() == Counter()
        assert len(written) == 3
        (segment,) = await asyncio.to_thread(lambda: list(pods.root.glob("webhook-1/*.log")))
        assert segment.read_bytes().count(b"\n") == 3
    finally:
        await strangers.close()

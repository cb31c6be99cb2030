"""The audit store of the guard process, as one task."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support import leaves, polling

from guard.audit import asking, errors, receiving, record, shipping, spool, storing, tls

MakeRecord = Callable[..., record.Record]

IDENTITY = receiving.webhook_identity("holdfast", "holdfast-system")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def _running(state: Path, **settings: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(storing.run(state, **settings))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _append(root: Path, *entries: record.Record) -> None:
    with spool.Spool(root, writer="a-process") as opened:
        for entry in entries:
            opened.append(entry)


async def _read(port: int) -> list[str]:
    async with aiohttp.ClientSession(f"http://localhost:{port}") as session:
        try:
            return [each.id for each in await asking.records(session, [])]
        except aiohttp.ClientConnectionError:
            return []


async def test_records_of_this_machine_and_of_other_pods_can_be_read(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    """From the local spool and through the record intake into one store, and out of its door."""
    ca = leaves.make_authority()
    guard = leaves.make_leaf(ca, [leaves.LOOPBACK], usages=[leaves.SERVER])
    webhook = leaves.make_leaf(ca, [IDENTITY], usages=[leaves.CLIENT])
    client = tls.client_context(
        ca_pem=ca.cert_pem, cert_pem=webhook.cert_pem, key_pem=webhook.key_pem
    )

    async def context() -> ssl.SSLContext:
        return tls.server_context(
            ca_pem=ca.cert_pem, cert_pem=guard.cert_pem, key_pem=guard.key_pem
        )

    here, there = make_record(), make_record()
    _append(tmp_path / "spool", here)
    _append(tmp_path / "pod", there)
    intake = storing.RecordIntake(
        tls=context, identity=IDENTITY, host="127.0.0.1", port=_free_port()
    )
    door = _free_port()
    async with (
        _running(tmp_path, record_intake=intake, reading_port=door),
        shipping.Shipper(
            tmp_path / "pod", url=f"https://127.0.0.1:{intake.port}", tls=lambda: client
        ) as shipper,
    ):
        assert await shipper.flush(within_seconds=10)
        await polling.eventually(lambda: _has(door, {here.id, there.id}))


async def _has(door: int, ids: set[str]) -> bool:
    return set(await _read(door)) == ids


async def test_a_port_that_is_taken_does_not_stop_the_storing(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    """Records of this machine are stored whatever becomes of the doors."""

    async def never() -> ssl.SSLContext:
        await asyncio.Event().wait()
        raise AssertionError

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        intake = storing.RecordIntake(tls=never, identity=IDENTITY, host="127.0.0.1", port=0)
        async with _running(
            tmp_path, record_intake=intake, reading_port=int(taken.getsockname()[1])
        ):
            _append(tmp_path / "spool", make_record())
            await polling.eventually(lambda: not list((tmp_path / "spool").iterdir()))


async def test_the_rest_of_the_spool_is_stored_at_the_end(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    """As before there were doors."""
    async with _running(tmp_path):
        _append(tmp_path / "spool", make_record())
        await polling.eventually(lambda: not list((tmp_path / "spool").iterdir()))
        _append(tmp_path / "spool", make_record())

    assert not list((tmp_path / "spool").iterdir())


async def test_a_store_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    """Whoever runs this starts it over."""
    (tmp_path / "audit.db").mkdir()

    with pytest.raises(errors.StoreUnavailable):
        await storing.run(tmp_path)

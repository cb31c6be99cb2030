"""The record intake over real mutual TLS."""

import asyncio
import io
import sqlite3
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support import leaves

from certs import authority
from guard.audit import receiving, record, serving, store, tls, wire

MakeRecord = Callable[..., record.Record]

IDENTITY = receiving.webhook_identity("holdfast", "holdfast-system")
CA = leaves.make_authority()
STRANGER = leaves.make_authority()
SERVER = leaves.make_leaf(CA, [leaves.LOOPBACK], usages=[leaves.SERVER])
WEBHOOK = leaves.make_leaf(CA, [IDENTITY], usages=[leaves.CLIENT])


def _client(pair: authority.KeyPair) -> ssl.SSLContext:
    return tls.client_context(ca_pem=CA.cert_pem, cert_pem=pair.cert_pem, key_pem=pair.key_pem)


class Door:
    """An intake that serves, and how to knock."""

    def __init__(self, target: store.Store) -> None:
        self.store = target
        self.receiver = receiving.Receiver(target, identity=IDENTITY)
        self.port = 0

    async def post(
        self,
        body: bytes,
        *,
        client: ssl.SSLContext | None = None,
        content_type: str = wire.CONTENT_TYPE,
        scheme: str = "https",
    ) -> tuple[int, bytes, Any]:
        """Post a body; gives status, body and headers of the answer."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{scheme}://127.0.0.1:{self.port}/v1/records",
                data=io.BytesIO(body),
                headers={"Content-Type": content_type},
                ssl=client or _client(WEBHOOK),
            ) as response,
        ):
            return response.status, await response.read(), response.headers

    async def ids(self) -> list[str]:
        """Give the ids that are stored, oldest first."""
        return [each.id for each in await self.store.query(store.Filter(limit=None))][::-1]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """Give an intake that serves on a port of its own."""
    context = tls.server_context(
        ca_pem=CA.cert_pem, cert_pem=SERVER.cert_pem, key_pem=SERVER.key_pem
    )
    path = tmp_path / "audit.db"
    async with await store.Store.open(path, busy_timeout_seconds=0.05) as target:
        made = Door(target)
        async with serving.serving(
            made.receiver.app(), host="127.0.0.1", port=0, tls=context
        ) as made.port:
            yield made


def _body(*entries: record.Record) -> bytes:
    return wire.pack([record.Line(entry, record.encode(entry)) for entry in entries])


async def test_what_is_answered_with_200_is_stored_once(
    door: Door, make_record: MakeRecord
) -> None:
    """A batch that is sent again is confirmed again, and stored once."""
    entries = [make_record() for _ in range(3)]
    for _ in range(2):
        status, answer, _ = await door.post(_body(*entries))
        assert status == 200
        assert wire.read_receipt(answer, sent=3).refused == ()

    assert await door.ids() == [entry.id for entry in entries]
    receiver = door.receiver
    assert (receiver.received, receiver.stored, receiver.refused) == (6, 3, 0)


async def test_a_poison_record_is_named_and_the_others_are_stored(
    door: Door, make_record: MakeRecord, logged: list[Any]
) -> None:
    """The receipt tells which one, and why."""
    good, other = make_record(), make_record()

    status, answer, _ = await door.post(_body(good) + b"poison\n" + _body(other))

    assert status == 200
    assert [one.index for one in wire.read_receipt(answer, sent=3).refused] == [1]
    assert await door.ids() == [good.id, other.id]
    assert door.receiver.refused == 1
    assert any(entry["event"] == "an audit record is refused" for entry in logged)


async def test_a_store_that_is_away_is_503_and_when_to_come_again(
    door: Door, make_record: MakeRecord, tmp_path: Path
) -> None:
    """Nothing is confirmed that is not committed."""
    entry = make_record()
    other = await asyncio.to_thread(
        sqlite3.connect, tmp_path / "audit.db", isolation_level=None, check_same_thread=False
    )
    try:
        other.execute("BEGIN IMMEDIATE")
        status, _, headers = await door.post(_body(entry))
        assert (status, headers["Retry-After"]) == (503, "5")
        other.execute("ROLLBACK")
    finally:
        other.close()

    assert await door.ids() == []
    assert (await door.post(_body(entry)))[0] == 200
    assert await door.ids() == [entry.id]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"x\n", "application/json", 415),
        (b"", wire.CONTENT_TYPE, 400),
        (b"torn", wire.CONTENT_TYPE, 400),
        (b"x" * (wire.MAX_BODY_BYTES + 1), wire.CONTENT_TYPE, 413),
    ],
    ids=["type", "empty", "torn", "large"],
)
async def test_what_is_no_batch_is_refused(
    door: Door, body: bytes, content_type: str, status: int
) -> None:
    """Each with the status that fits, and nothing is stored."""
    assert (await door.post(body, content_type=content_type))[0] == status
    assert await door.ids() == []


@pytest.mark.parametrize(
    ("issuer", "names", "usages"),
    [
        (STRANGER, [IDENTITY], [leaves.CLIENT]),
        (CA, [IDENTITY], [leaves.SERVER]),
    ],
    ids=["another authority", "no client certificate"],
)
async def test_a_certificate_that_proves_nothing_is_hung_up_on(
    door: Door, make_record: MakeRecord, issuer: Any, names: list[str], usages: Any
) -> None:
    """TLS itself ends it: a stranger's certificate, or one that is for servers alone."""
    stranger = _client(leaves.make_leaf(issuer, names, usages=usages))

    with pytest.raises((aiohttp.ClientError, OSError)):
        await door.post(_body(make_record()), client=stranger)
    assert await door.ids() == []


async def test_who_shows_no_certificate_is_hung_up_on(door: Door, make_record: MakeRecord) -> None:
    """Nobody writes records without one."""
    nobody = ssl.create_default_context(cadata=CA.cert_pem.decode())

    with pytest.raises((aiohttp.ClientError, OSError)):
        await door.post(_body(make_record()), client=nobody)
    with pytest.raises((aiohttp.ClientError, OSError)):
        await door.post(_body(make_record()), scheme="http")
    assert await door.ids() == []


@pytest.mark.parametrize(
    "names",
    [
        ["holdfast-guard.holdfast-system.svc"],
        ["other-webhook.holdfast-system.svc"],
        ["*.holdfast-system.svc"],
    ],
)
async def test_another_name_of_our_own_authority_is_forbidden(
    door: Door, make_record: MakeRecord, names: list[str]
) -> None:
    """The authority may sign for others, and their certificates are not the webhook's."""
    other = _client(leaves.make_leaf(CA, names))

    status, answer, _ = await door.post(_body(make_record()), client=other)

    assert (status, IDENTITY.encode() in answer) == (403, True)
    assert await door.ids() == []


@pytest.mark.parametrize(
    ("peer", "is_welcome"),
    [
        (None, False),
        ({}, False),
        ({"subjectAltName": (("DNS", "a.b.svc"),)}, True),
        ({"subjectAltName": (("DNS", "A.B.svc"),)}, True),
        ({"subjectAltName": (("DNS", "x"), ("DNS", "a.b.svc"))}, True),
        ({"subjectAltName": (("DNS", "*.b.svc"),)}, False),
        ({"subjectAltName": (("DNS", "xa.b.svc"), ("DNS", "a.b.svc.x"))}, False),
        ({"subjectAltName": (("URI", "a.b.svc"), ("IP Address", "10.0.0.1"))}, False),
        ({"subject": ((("commonName", "a.b.svc"),),)}, False),
    ],
)
def test_the_name_of_a_certificate_decides(peer: Any, *, is_welcome: bool) -> None:
    """A DNS name of it must be the identity: no wildcard, no common name."""
    assert receiving.is_welcome(peer, "a.b.svc") is is_welcome

"""Certificates of the record intake that are replaced while it serves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support import leaves

from certs import authority
from guard.audit import errors, receiving, record, serving, shipping, spool, store, tls

MakeRecord = Callable[..., record.Record]

IDENTITY = receiving.webhook_identity("holdfast", "holdfast-system")
OLD = leaves.make_authority()
NEW = leaves.make_authority()
BOTH = OLD.cert_pem + NEW.cert_pem


def _leaf(ca: authority.KeyPair) -> authority.KeyPair:
    """Give one leaf that serves at both ends, as the Secret of an installation holds it."""
    return leaves.make_leaf(ca, [IDENTITY, leaves.LOOPBACK])


def _load(end: tls.Renewable, ca_pem: bytes, leaf: authority.KeyPair) -> bool:
    return end.load(ca_pem=ca_pem, cert_pem=leaf.cert_pem, key_pem=leaf.key_pem)


class Ends:
    """Both ends, each with a certificate of its own."""

    def __init__(self, root: Path, target: store.Store) -> None:
        self.here = tls.Renewable()
        self.there = tls.Renewable()
        self.port = 0
        self._root = root
        self._target = target

    async def ship(self, make_record: MakeRecord) -> bool:
        """Ship one record by a new connection; tell whether it arrived in a second."""
        entry = make_record()
        with spool.Spool(self._root, writer="webhook-1") as opened:
            opened.append(entry)
        async with shipping.Shipper(
            self._root, url=f"https://127.0.0.1:{self.port}", tls=self.here.client
        ) as shipper:
            await shipper.flush(within_seconds=1.0)
        stored = await self._target.query(store.Filter(limit=None))
        return entry.id in {one.id for one in stored}


@pytest.fixture
async def ends(root: Path, tmp_path: Path) -> AsyncIterator[Ends]:
    """Give both ends with certificates of the old authority, trusting it alone."""
    async with await store.Store.open(tmp_path / "audit.db") as target:
        made = Ends(root, target)
        for end in (made.here, made.there):
            _load(end, OLD.cert_pem, _leaf(OLD))
        app = receiving.Receiver(target, identity=IDENTITY).app()
        context = await made.there.listening()
        async with serving.serving(app, host="127.0.0.1", port=0, tls=context) as made.port:
            yield made


async def test_a_new_authority_comes_in_without_a_restart(
    ends: Ends, make_record: MakeRecord
) -> None:
    """Both trust both for a while; then either end goes first, and the old one is left."""
    old = _leaf(OLD)
    assert await ends.ship(make_record)
    for end in (ends.here, ends.there):
        _load(end, BOTH, old)
    _load(ends.there, BOTH, _leaf(NEW))
    assert await ends.ship(make_record)
    _load(ends.here, BOTH, _leaf(NEW))
    assert await ends.ship(make_record)
    for end in (ends.here, ends.there):
        _load(end, NEW.cert_pem, _leaf(NEW))
    assert await ends.ship(make_record)


async def test_an_authority_that_is_left_lets_nobody_in(
    ends: Ends, make_record: MakeRecord
) -> None:
    """Whom to trust is renewed with the certificate, at the intake and at the sender."""
    _load(ends.there, NEW.cert_pem, _leaf(OLD))
    assert not await ends.ship(make_record)
    _load(ends.there, OLD.cert_pem, _leaf(NEW))
    assert not await ends.ship(make_record)
    _load(ends.there, OLD.cert_pem, _leaf(OLD))
    assert await ends.ship(make_record)


async def test_a_certificate_that_cannot_be_used_changes_nothing(
    ends: Ends, make_record: MakeRecord
) -> None:
    """A key of another certificate, or a text that is none, is an error, and the old one stays."""
    one, other = _leaf(OLD), _leaf(OLD)
    for ca_pem, leaf in (
        (OLD.cert_pem, authority.KeyPair(one.cert_pem, other.key_pem)),
        (OLD.cert_pem, authority.KeyPair(b"", b"")),
        (b"", one),
        ("Ä".encode(), one),
    ):
        with pytest.raises(errors.UnusableCertificate):
            _load(ends.there, ca_pem, leaf)
    assert await ends.ship(make_record)


async def test_the_same_certificate_is_no_new_one() -> None:
    """So that a reader which asks every minute makes no new connections."""
    end, leaf = tls.Renewable(), _leaf(OLD)

    assert _load(end, OLD.cert_pem, leaf)
    context = end.client()
    assert not _load(end, OLD.cert_pem, leaf)
    assert end.client() is context


async def test_before_there_is_a_certificate_a_sender_is_told_and_an_intake_waits() -> None:
    """Whoever starts first waits for the other, who makes it."""
    end = tls.Renewable()
    with pytest.raises(errors.UnusableCertificate):
        end.client()
    waiting = asyncio.create_task(end.listening())
    await asyncio.sleep(0)
    assert not waiting.done()
    _load(end, OLD.cert_pem, _leaf(OLD))
    assert await waiting

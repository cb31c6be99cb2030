"""Certificates that we make serve TLS to a client that trusts only our authority."""

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import oid

from certs import authority, errors

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


async def shake_hands(
    pair: authority.KeyPair, ca_pem: bytes, folder: Path, *, server_hostname: str
) -> None:
    """Serve with a pair and connect; raises ssl.SSLError if the client refuses."""
    (folder / "cert").write_bytes(pair.cert_pem)
    (folder / "key").write_bytes(pair.key_pem)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "cert", folder / "key")
    trusting = ssl.create_default_context(cadata=ca_pem.decode())
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=serving
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusting, server_hostname=server_hostname
        )
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("host", ["holdfast-webhook.holdfast-system.svc", "127.0.0.1", "::1"])
async def test_each_host_of_the_leaf_can_be_reached(tmp_path: Path, host: str) -> None:
    """A service's DNS name and IP addresses alike, under strict verification."""
    ca = authority.make_authority(NOW)
    hosts = ["holdfast-webhook.holdfast-system.svc", "127.0.0.1", "::1"]
    leaf = authority.make_leaf(ca, hosts, now=NOW)

    await shake_hands(leaf, ca.cert_pem, tmp_path, server_hostname=host)


async def test_other_names_and_other_authorities_are_refused(tmp_path: Path) -> None:
    """The handshake of this test can fail, so its success means something."""
    ca = authority.make_authority(NOW)
    leaf = authority.make_leaf(ca, ["a.svc"], now=NOW)

    with pytest.raises(ssl.SSLCertVerificationError):
        await shake_hands(leaf, ca.cert_pem, tmp_path, server_hostname="b.svc")
    other = authority.make_authority(NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        await shake_hands(leaf, other.cert_pem, tmp_path, server_hostname="a.svc")


def test_a_leaf_is_for_servers_and_clients() -> None:
    """Webhook pods show it when they send their records."""
    leaf = authority.make_leaf(authority.make_authority(NOW), ["a.svc"], now=NOW)

    usage = x509.load_pem_x509_certificate(leaf.cert_pem).extensions.get_extension_for_class(
        x509.ExtendedKeyUsage
    )
    assert set(usage.value) == {
        oid.ExtendedKeyUsageOID.SERVER_AUTH,
        oid.ExtendedKeyUsageOID.CLIENT_AUTH,
    }


def test_a_short_life_begins_when_it_begins() -> None:
    """An hour into the past would be more than two thirds of it."""
    ca = authority.make_authority(NOW)
    leaf = authority.make_leaf(ca, ["a"], now=NOW, life=dt.timedelta(minutes=1))

    assert not authority.is_due(leaf, now=NOW + dt.timedelta(seconds=30))
    assert authority.is_due(leaf, now=NOW + dt.timedelta(seconds=41))


def test_lives_are_backdated_and_bounded() -> None:
    """An hour for clocks that differ; a leaf never outlives its authority."""
    ca = authority.make_authority(NOW)
    leaf = authority.make_leaf(ca, ["a"], now=NOW)
    short = authority.make_authority(NOW, life=dt.timedelta(days=1))

    certificate = x509.load_pem_x509_certificate(leaf.cert_pem)
    assert certificate.not_valid_before_utc == NOW - dt.timedelta(hours=1)
    assert authority.expiry(leaf.cert_pem) == NOW + dt.timedelta(days=365)
    assert authority.expiry(ca.cert_pem) == NOW + dt.timedelta(days=3650)
    assert authority.expiry(
        authority.make_leaf(short, ["a"], now=NOW).cert_pem
    ) == NOW + dt.timedelta(days=1)


def test_two_authorities_have_different_names() -> None:
    """So a verifier that knows both, during a rotation, takes the right one."""
    names = {
        x509.load_pem_x509_certificate(authority.make_authority(NOW).cert_pem).subject
        for _ in range(2)
    }

    assert len(names) == 2


@pytest.mark.parametrize(("days", "due"), [(0, False), (243, False), (244, True), (400, True)])
def test_a_leaf_is_due_after_two_thirds_of_its_life(days: int, *, due: bool) -> None:
    """Months are left for somebody to notice that the renewal fails."""
    leaf = authority.make_leaf(authority.make_authority(NOW), ["a"], now=NOW)

    assert authority.is_due(leaf, now=NOW + dt.timedelta(days=days)) is due


@pytest.mark.parametrize("authority_key", [b"", b"junk"])
def test_an_unreadable_authority_signs_nothing(authority_key: bytes) -> None:
    """The error names the key and quotes nothing."""
    ca = authority.make_authority(NOW)._replace(key_pem=authority_key)

    with pytest.raises(errors.BadCertificate, match="key is no readable"):
        authority.make_leaf(ca, ["a"], now=NOW)

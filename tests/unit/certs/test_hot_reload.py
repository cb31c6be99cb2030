"""A server takes a new certificate while it serves, and no handshake fails."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import prometheus_client as prometheus
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from support import certificates, polling

from certs import authority, errors, reloading, secret, serving

NOW = dt.datetime.now(dt.UTC)
CA = authority.make_authority(NOW)
NEXT_CA = authority.make_authority(NOW)
HOSTS = ("127.0.0.1", "a.svc")


def signed_by(
    ca: authority.KeyPair, *, life: dt.timedelta = authority.LEAF_LIFE
) -> secret.Material:
    """Make a leaf, with its authority beside it."""
    leaf = authority.make_leaf(ca, HOSTS, now=NOW, life=life)
    return secret.Material(ca.cert_pem, leaf.cert_pem, leaf.key_pem)


def configuration(*ca_pems: bytes) -> dict[str, Any]:
    """Make a webhook configuration of one entry that trusts these."""
    return {"webhooks": [{"clientConfig": {"caBundle": certificates.base64_of(b"".join(ca_pems))}}]}


@contextlib.asynccontextmanager
async def served(leaf: reloading.Leaf) -> AsyncIterator[int]:
    """Serve one byte to whoever connects; gives the port."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"k")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=leaf.context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def shake_hands(
    port: int, *ca_pems: bytes, name: str = "a.svc", version: ssl.TLSVersion | None = None
) -> bytes:
    """Connect as a client that trusts these; gives the leaf. Raises SSLError."""
    context = ssl.create_default_context(cadata=b"".join(ca_pems).decode())
    if version is not None:
        context.maximum_version = version
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name
    )
    assert await reader.read() == b"k"
    leaf = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return ssl.DER_cert_to_PEM_cert(leaf).encode()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", HOSTS)
async def test_the_next_handshake_gets_the_new_certificate(
    version: ssl.TLSVersion, name: str
) -> None:
    """With a server name and without one, which an address is."""
    leaf = reloading.Leaf()
    first, second = signed_by(CA), signed_by(CA)
    leaf.load(first)

    async with served(leaf) as port:
        assert await shake_hands(port, CA.cert_pem, name=name, version=version) == first.cert_pem
        assert leaf.load(second)
        assert await shake_hands(port, CA.cert_pem, name=name, version=version) == second.cert_pem


async def test_no_handshake_fails_under_steady_connections() -> None:
    """Fifty renewals and a change of authority while four clients connect without a pause."""
    leaf = reloading.Leaf()
    leaf.load(signed_by(CA))
    seen: set[bytes] = set()
    done = asyncio.Event()

    async def connect(port: int) -> None:
        while not done.is_set():
            seen.add(await shake_hands(port, CA.cert_pem, NEXT_CA.cert_pem))

    async with served(leaf) as port, asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(connect(port))
        for number in range(50):
            leaf.load(signed_by(NEXT_CA if number % 2 else CA))
            known = len(seen)
            await polling.eventually(lambda known=known: len(seen) > known, every_seconds=0.001)
        done.set()

    assert len(seen) >= 50


@pytest.mark.parametrize(
    "broken",
    [
        {"cert_pem": b"junk"},
        {"key_pem": b"junk"},
        {"key_pem": CA.key_pem},
        {"cert_pem": b""},
    ],
)
async def test_a_broken_certificate_leaves_what_is_served(broken: dict[str, bytes]) -> None:
    """Loading it into the context that serves would end all handshakes."""
    leaf = reloading.Leaf()
    good = signed_by(CA)
    leaf.load(good)

    async with served(leaf) as port:
        with pytest.raises(errors.BadCertificate):
            leaf.load(signed_by(CA)._replace(**broken))
        assert await shake_hands(port, CA.cert_pem) == good.cert_pem


async def test_nothing_stays_of_a_certificate_with_another_kind_of_key() -> None:
    """A context can hold an RSA and an EC certificate at once: a client would choose."""
    rsa_pem, rsa_key_pem = certificates.self_signed_rsa("a.svc")
    leaf = reloading.Leaf()
    leaf.load(secret.Material(rsa_pem, rsa_pem, rsa_key_pem))
    fresh = signed_by(CA)

    async with served(leaf) as port:
        leaf.load(fresh)
        context = ssl.create_default_context(cadata=(rsa_pem + CA.cert_pem).decode())
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384")
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="a.svc"
        )
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        await reader.read()
        writer.close()
        await writer.wait_closed()

    key = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)


def test_a_certificate_waits_until_api_servers_know_its_authority() -> None:
    """Unless what is served is no good either."""
    leaf = reloading.Leaf()
    leaf.trust(configuration(CA.cert_pem))
    leaf.load(signed_by(CA))
    following = signed_by(NEXT_CA)

    assert not leaf.load(following)
    assert leaf.faults() == ()
    leaf.trust(configuration(CA.cert_pem, NEXT_CA.cert_pem))
    assert leaf.load(following)

    leaf.trust(configuration(CA.cert_pem))
    assert leaf.load(signed_by(CA))


def test_it_is_not_ready_without_a_certificate_that_api_servers_take() -> None:
    """BR-47: false when the served leaf is expired or does not match the bundle."""
    now = NOW
    leaf = reloading.Leaf(now=lambda: now)
    assert leaf.faults() == (reloading.ABSENT,)
    with pytest.raises(errors.BadCertificate):
        _ = leaf.context

    leaf.load(signed_by(CA, life=dt.timedelta(days=1)))
    assert leaf.faults() == ()
    leaf.trust(configuration(NEXT_CA.cert_pem))
    assert leaf.faults() == (reloading.UNTRUSTED,)
    leaf.trust(configuration())
    assert leaf.faults() == (reloading.UNTRUSTED,)
    leaf.trust(configuration(NEXT_CA.cert_pem, CA.cert_pem))
    assert leaf.faults() == ()
    leaf.trust(None)
    assert leaf.faults() == ()
    now = NOW + dt.timedelta(days=2)
    assert leaf.faults() == (reloading.OVER,)


def test_an_authority_that_all_machines_trust_is_not_judged() -> None:
    """Neither the Secret nor the webhook configuration names it."""
    leaf = reloading.Leaf()
    leaf.trust(configuration())
    leaf.load(signed_by(CA)._replace(ca_pem=b""))

    assert leaf.faults() == ()


async def test_it_looks_again_and_again_and_survives_what_it_finds() -> None:
    """Errors, an emptied Secret, a broken certificate, and then a good one."""
    leaf = reloading.Leaf()
    leaf.load(signed_by(CA))
    good = signed_by(CA)
    finds: list[Callable[[], secret.Material | None]] = [
        lambda: None,
        lambda: signed_by(CA)._replace(key_pem=b"junk"),
        lambda: good,
    ]
    waits: list[float] = []

    async def read() -> secret.Material | None:
        if len(waits) == 1:
            where = ("ns", "tls")
            raise errors.UnusableSecret(*where, "")
        if not finds:
            raise asyncio.CancelledError
        return finds.pop(0)()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    with pytest.raises(asyncio.CancelledError):
        await leaf.follow(read, timing=reloading.timings.Timing(sleep=sleep))

    assert waits[0] == 10
    assert leaf.failures == 2
    assert not leaf.load(good)


def test_expiry_is_a_metric() -> None:
    """Of the leaf, and of the authority that stays longest of those that verify it."""
    registry = prometheus.CollectorRegistry()
    leaf = reloading.Leaf()
    reloading.watch_expiry(leaf, registry)
    name = "holdfast_certificate_expiry_timestamp_seconds"
    leaf.load(signed_by(CA))

    assert registry.get_sample_value(name, {"kind": "leaf"}) == pytest.approx(
        (NOW + authority.LEAF_LIFE).timestamp(), abs=1
    )
    leaf.trust(configuration(NEXT_CA.cert_pem, CA.cert_pem))
    assert registry.get_sample_value(name, {"kind": "ca"}) == pytest.approx(
        (NOW + authority.CA_LIFE).timestamp(), abs=1
    )
    assert registry.get_sample_value("holdfast_certificate_reload_failures") == 0


async def test_handshakes_show_what_replicas_serve() -> None:
    """By URL; one that cannot be reached makes the answer unknown."""
    leaf = reloading.Leaf()
    leaf.load(signed_by(CA))
    nobody: Any = None

    async with served(leaf) as port:
        url = {"clientConfig": {"url": f"https://127.0.0.1:{port}/validate"}}
        seen = await serving.observe(nobody, {"webhooks": [url, url]})
    assert seen is not None
    assert len(seen) == 1
    assert authority.is_trusted(seen[0], ca_pem=CA.cert_pem, now=NOW)
    assert await serving.observe(nobody, {"webhooks": [url]}) is None


class Slices:
    """Stands in for a client: EndpointSlices of one Service."""

    def __init__(self, *slices: dict[str, Any]) -> None:
        self.slices = list(slices)

    async def request(self, _method: str, path: str, **given: Any) -> Any:
        """Answer the list that was asked for."""
        assert path == "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices"
        assert given["query"]["labelSelector"] == "kubernetes.io/service-name=web"
        return {"items": self.slices, "metadata": {}}


def endpoint(address: str, *, ready: bool | None = True) -> dict[str, Any]:
    """Make one endpoint."""
    return {"addresses": [address], "conditions": {"ready": ready}}


SERVICE = {"webhooks": [{"clientConfig": {"service": {"namespace": "ns", "name": "web"}}}]}


async def test_replicas_in_pods_are_found_by_endpoint_slices() -> None:
    """All of them, ready or not: one that is not, may be in a moment."""
    slices: Any = Slices(
        {
            "ports": [{"name": "metrics", "port": 8080}, {"name": "https", "port": 10250}],
            "endpoints": [endpoint("10.0.0.1"), endpoint("10.0.0.2", ready=False)],
        },
        {"ports": [{"port": 10250}], "endpoints": [endpoint("fd00::3", ready=None)]},
        {"ports": [], "endpoints": []},
    )

    assert await serving.places(slices, SERVICE) == (
        serving.Place("10.0.0.1", 10250, "web.ns.svc", must_answer=True),
        serving.Place("10.0.0.2", 10250, "web.ns.svc", must_answer=False),
        serving.Place("fd00::3", 10250, "web.ns.svc", must_answer=True),
    )


async def test_a_port_that_cannot_be_told_makes_the_answer_unknown() -> None:
    """Better than asking the wrong one."""
    slices: Any = Slices(
        {"ports": [{"port": 1}, {"port": 2}], "endpoints": [endpoint("10.0.0.1")]},
    )

    assert await serving.observe(slices, SERVICE) is None


async def test_one_that_is_not_ready_and_silent_serves_nobody() -> None:
    """And without any endpoint, nobody serves."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        slices: Any = Slices(
            {"ports": [{"port": port}], "endpoints": [endpoint("127.0.0.1", ready=False)]}
        )
        assert await serving.observe(slices, SERVICE) == ()
    empty: Any = Slices()
    assert await serving.observe(empty, SERVICE) == ()

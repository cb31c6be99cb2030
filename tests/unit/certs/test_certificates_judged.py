"""A pair is accepted if and only if the API server would accept it."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import oid

from certs import authority, errors

NOW = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
CA = authority.make_authority(NOW)
LEAF = authority.make_leaf(CA, ["a.svc", "*.b.svc", "10.0.0.1"], now=NOW)


def judge(
    pair: authority.KeyPair = LEAF,
    *,
    ca_pem: bytes = CA.cert_pem,
    hosts: tuple[str, ...] = ("a.svc",),
    now: dt.datetime = NOW,
) -> None:
    """Check a leaf."""
    authority.check_leaf(pair, ca_pem=ca_pem, hosts=hosts, now=now)


def self_signed(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> authority.KeyPair:
    """Make what ``openssl req -x509`` makes: no key usage, and an authority of itself."""
    name = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, "own")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.svc")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return authority.KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ),
    )


@pytest.mark.parametrize(
    "hosts", [("a.svc",), ("A.SVC",), ("x.b.svc",), ("10.0.0.1",), ("a.svc", "10.0.0.1"), ()]
)
def test_hosts_that_the_leaf_names_are_accepted(hosts: tuple[str, ...]) -> None:
    """DNS names in any case, one label for a wildcard, and addresses."""
    judge(hosts=hosts)


@pytest.mark.parametrize("host", ["b.svc", "x.y.b.svc", "10.0.0.2", "xa.svc", "b"])
def test_a_host_that_it_does_not_name_is_told(host: str) -> None:
    """The sentence names the host."""
    with pytest.raises(errors.BadCertificate, match=f"not hold for {host}"):
        judge(hosts=("a.svc", host))


def test_a_leaf_of_another_authority_is_refused() -> None:
    """A CA that was made anew leaves no leaf of the old one."""
    with pytest.raises(errors.BadCertificate, match="not signed by its CA"):
        judge(ca_pem=authority.make_authority(NOW).cert_pem)


def test_one_of_several_authorities_is_enough() -> None:
    """During a rotation the old and the new stand side by side."""
    judge(ca_pem=authority.make_authority(NOW).cert_pem + CA.cert_pem)


@pytest.mark.parametrize("days", [-1, 366])
def test_the_time_counts(days: int) -> None:
    """Not yet, and no more."""
    with pytest.raises(errors.BadCertificate, match="is not now"):
        judge(now=NOW + dt.timedelta(days=days))


def test_an_expired_authority_takes_its_leaves_along() -> None:
    """kyverno#13639: the CA had run out while the leaf was valid, and nothing told."""
    ca = authority.make_authority(NOW, life=dt.timedelta(days=1))
    leaf = authority.make_leaf(CA, ["a.svc"], now=NOW)
    later = NOW + dt.timedelta(days=2)

    with pytest.raises(errors.BadCertificate):
        judge(leaf, ca_pem=ca.cert_pem, now=later)
    with pytest.raises(errors.BadCertificate, match="is not now"):
        authority.check_authority(ca, now=later)


def test_a_key_of_another_certificate_is_refused() -> None:
    """Two halves of two pairs serve nothing."""
    with pytest.raises(errors.BadCertificate, match="do not belong together"):
        judge(LEAF._replace(key_pem=CA.key_pem))


@pytest.mark.parametrize("pem", [b"", b"junk", CA.key_pem])
def test_what_is_no_certificate_is_refused(pem: bytes) -> None:
    """Whatever the Secret holds, the answer is one error."""
    for pair in (LEAF._replace(cert_pem=pem), LEAF._replace(key_pem=b"junk")):
        with pytest.raises(errors.BadCertificate):
            judge(pair)
    with pytest.raises(errors.BadCertificate):
        judge(ca_pem=pem)


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())]
)
def test_what_openssl_makes_by_default_is_accepted(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
) -> None:
    """A self-signed pair of a user is its own authority, as Go's verifier has it."""
    own = self_signed(key)

    judge(own, ca_pem=own.cert_pem)


def test_a_leaf_is_no_authority() -> None:
    """It cannot sign, though its pair is sound."""
    with pytest.raises(errors.BadCertificate, match="no certificate authority"):
        authority.check_authority(LEAF, now=NOW)

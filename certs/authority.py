"""Making and judging certificates. Pure: the time is passed in, nothing is read or written.

P-256 throughout: every API server can verify it, and a pair takes 0.1 ms to make. The extensions
are those that strict verification asks for (RFC 5280; Python 3.13 and Go reject a CA without a key
identifier, or a leaf without a subject alternative name).
"""

import contextlib
import datetime as dt
import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509 import oid

from certs import errors

CA_LIFE: Final = dt.timedelta(days=3650)
LEAF_LIFE: Final = dt.timedelta(days=365)

_BACKDATED: Final = dt.timedelta(hours=1)
"""Valid from an hour ago: the API server's clock may be behind ours."""

_MOST_BACKDATED: Final = 1 / 12
"""Of a life, at most: else two thirds of a short one would be over when it begins."""

_RENEW_AFTER: Final = 2 / 3
"""Renewed after two thirds of its life, as cert-manager does: months are left to notice a fault."""

_CA_NAME: Final = "holdfast webhook CA"
_LEAF_PURPOSES: Final = (
    oid.ExtendedKeyUsageOID.SERVER_AUTH,
    oid.ExtendedKeyUsageOID.CLIENT_AUTH,  # webhook pods send their records with it
)
_LEAF_NAME: Final = "holdfast webhook"  # verifiers look at the alternative names only


class KeyPair(NamedTuple):
    """A certificate (a leaf may bring its chain) and its private key, as PEM."""

    cert_pem: bytes
    key_pem: bytes


def make_authority(now: dt.datetime, *, life: dt.timedelta = CA_LIFE) -> KeyPair:
    """Make a certificate authority that may sign leaves and no further authorities.

    ``now`` is aware. The name holds the serial number, so that an old and a new authority differ.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = _name(f"{_CA_NAME} {serial:x}"[:64])  # 64 is X.520's bound of a common name
    certificate = (
        _builder(now, life, serial)
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(_pem(certificate), _key_pem(key))


def make_leaf(
    authority: KeyPair,
    hosts: Sequence[str],
    *,
    now: dt.datetime,
    life: dt.timedelta = LEAF_LIFE,
) -> KeyPair:
    """Make a certificate for servers and clients, for ``hosts`` (DNS names and IP addresses).

    It never outlives its authority. Raises BadCertificate if the authority cannot be read.
    """
    issuer = _certificates(authority.cert_pem)[0]
    issuer_key = _private_key(authority.key_pem)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        message = "The key of the CA is on no elliptic curve."
        raise errors.BadCertificate(message)
    life = min(life, issuer.not_valid_after_utc - now)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(now, life, x509.random_serial_number())
        .subject_name(_name(_LEAF_NAME))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_LEAF_PURPOSES), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names_of(hosts)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return KeyPair(_pem(certificate), _key_pem(key))


def check_authority(pair: KeyPair, *, now: dt.datetime | None) -> None:
    """Raise BadCertificate unless the pair can sign leaves now; at some time, if ``now`` is None.

    The first certificate counts; the authorities that came before may follow it.
    """
    certificate = _check_pair(pair)
    if now is not None:
        _check_time(certificate, now)
    if not _may_sign(certificate):
        message = "The CA certificate is no certificate authority."
        raise errors.BadCertificate(message)


def check_leaf(
    pair: KeyPair, *, ca_pem: bytes | None, hosts: Iterable[str], now: dt.datetime
) -> None:
    """Raise BadCertificate unless a client that trusts ``ca_pem`` accepts the pair for all hosts.

    ``ca_pem`` may hold several certificates; with None, whom clients trust is not judged. The first
    host that fails is named.
    """
    leaf = _check_pair(pair)
    _check_time(leaf, now)
    _, *chain = _certificates(pair.cert_pem)
    if ca_pem is not None and not _is_trusted(leaf, chain, _certificates(ca_pem), now):
        message = "The serving certificate is not signed by its CA, or the CA is not valid now."
        raise errors.BadCertificate(message)
    names = _alternative_names(leaf)
    for host in hosts:
        if not any(_holds_for(name, host) for name in names):
            message = f"The serving certificate does not hold for {host}."
            raise errors.BadCertificate(message)


def is_trusted(cert_pem: bytes, *, ca_pem: bytes, now: dt.datetime) -> bool:
    """Tell whether a client that trusts ``ca_pem`` accepts a leaf, for whatever host it names.

    ``cert_pem`` may bring its chain, and ``ca_pem`` hold several. Raises BadCertificate if either
    cannot be read.
    """
    leaf, *chain = _certificates(cert_pem)
    return _is_valid(leaf, now) and _is_trusted(leaf, chain, _certificates(ca_pem), now)


def is_over(cert_pem: bytes, *, now: dt.datetime) -> bool:
    """Tell whether the first certificate has expired. Raises BadCertificate if unreadable."""
    return now > expiry(cert_pem)


def split(bundle_pem: bytes) -> tuple[bytes, ...]:
    """Give the certificates of a bundle, each as PEM of its own, in one way of writing.

    Raises BadCertificate if there is none.
    """
    return tuple(_pem(certificate) for certificate in _certificates(bundle_pem))


def lifetime(cert_pem: bytes) -> dt.timedelta:
    """Give how long the first certificate is valid in all. Raises BadCertificate if unreadable."""
    certificate = _certificates(cert_pem)[0]
    return certificate.not_valid_after_utc - certificate.not_valid_before_utc


def is_due(pair: KeyPair, *, now: dt.datetime) -> bool:
    """Tell whether a certificate should be renewed: two thirds of its life are over.

    Raises BadCertificate if it cannot be read.
    """
    certificate = _certificates(pair.cert_pem)[0]
    return now >= certificate.not_valid_before_utc + lifetime(pair.cert_pem) * _RENEW_AFTER


def expiry(cert_pem: bytes) -> dt.datetime:
    """Give the end of the first certificate, in UTC. Raises BadCertificate if it is unreadable."""
    return _certificates(cert_pem)[0].not_valid_after_utc


def _builder(now: dt.datetime, life: dt.timedelta, serial: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .serial_number(serial)
        .not_valid_before(now - min(_BACKDATED, life * _MOST_BACKDATED))
        .not_valid_after(now + life)
    )


def _check_pair(pair: KeyPair) -> x509.Certificate:
    """Give the certificate of a pair that belongs together."""
    certificate = _certificates(pair.cert_pem)[0]
    if certificate.public_key() != _private_key(pair.key_pem).public_key():
        message = "The certificate and the key do not belong together."
        raise errors.BadCertificate(message)
    return certificate


def _check_time(certificate: x509.Certificate, now: dt.datetime) -> None:
    if not _is_valid(certificate, now):
        begin = certificate.not_valid_before_utc.isoformat()
        end = certificate.not_valid_after_utc.isoformat()
        message = f"The certificate is valid from {begin} to {end}, which is not now."
        raise errors.BadCertificate(message)


def _is_trusted(
    leaf: x509.Certificate,
    chain: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    now: dt.datetime,
) -> bool:
    """Tell whether ``leaf`` leads to one of ``roots``, as Go's verifier, the API server's, sees it.

    Not by cryptography's own verifier: that one is the Web's and refuses what openssl makes by
    default (a CA without key usage), and a self-signed certificate that is its own root.
    """
    certificate = leaf
    for _ in range(len(chain) + 1):
        if certificate in roots:
            return True
        issuers = [
            issuer
            for issuer in (*roots, *chain)
            if _is_valid(issuer, now) and _may_sign(issuer) and _is_signed_by(certificate, issuer)
        ]
        if not issuers:
            return False
        certificate = issuers[0]
    return certificate in roots


def _is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, exceptions.InvalidSignature):
        return False
    return True


def _is_valid(certificate: x509.Certificate, now: dt.datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _alternative_names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    with contextlib.suppress(x509.ExtensionNotFound):
        return list(
            certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        )
    return []


def _holds_for(name: x509.GeneralName, host: str) -> bool:
    wanted = _general_name(host)
    if name == wanted:
        return True
    if not (isinstance(name, x509.DNSName) and isinstance(wanted, x509.DNSName)):
        return False
    pattern, text = name.value.lower(), wanted.value.lower()
    # A wildcard stands for exactly one label (RFC 6125).
    return pattern == text or (
        pattern.startswith("*.") and pattern[1:] == text[text.find(".") :] != ""
    )


def _may_sign(certificate: x509.Certificate) -> bool:
    with contextlib.suppress(x509.ExtensionNotFound):
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    return False


def _certificates(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        # Not chained: the library may quote what it read.
        message = "The certificate is no readable PEM."
        raise errors.BadCertificate(message) from None


def _private_key(pem: bytes) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):  # TypeError: it is encrypted
        message = "The key is no readable, unencrypted PEM."
        raise errors.BadCertificate(message) from None


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, common_name)])


def _names_of(hosts: Iterable[str]) -> list[x509.GeneralName]:
    return [_general_name(host) for host in dict.fromkeys(hosts)]


def _general_name(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )

"""Keys and certificates of the control plane: one authority, a serving leaf, one leaf a person.

P-256 throughout: a key takes under a millisecond, an RSA one a good part of a second.
"""

import dataclasses
import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = dt.timedelta(days=365)
_BACKDATED = dt.timedelta(hours=1)  # clocks of one machine agree, but a suspend may not


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """A private key and its certificate, both as PEM files."""

    certificate: Path
    key: Path


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def write_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Make a private key and write it as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    write_private(path, pem)
    return key


@dataclasses.dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority whose files, and those of its leaves, lie in ``folder``."""

    folder: Path
    pair: Pair
    _key: ec.EllipticCurvePrivateKey
    _certificate: x509.Certificate

    @classmethod
    def create(cls, folder: Path, *, now: dt.datetime) -> Self:
        """Make an authority and write ``ca.crt`` and ``ca.key``."""
        folder.mkdir(parents=True, exist_ok=True)
        pair = Pair(folder / "ca.crt", folder / "ca.key")
        key = write_key(pair.key)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "holdfast-test-ca")])
        certificate = (
            _builder(subject=name, issuer=name, key=key.public_key(), now=now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, pair, key, certificate)

    def serving(self, name: str, hosts: Sequence[str], *, now: dt.datetime) -> Pair:
        """Make a server's leaf for these DNS names and IP addresses."""
        alternatives = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self._leaf(name, subject, ExtendedKeyUsageOID.SERVER_AUTH, now, alternatives)

    def client(self, user: str, groups: Sequence[str], *, now: dt.datetime) -> Pair:
        """Make a client's leaf: Kubernetes reads the user from CN and the groups from O."""
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, user))
        return self._leaf(user, x509.Name(attributes), ExtendedKeyUsageOID.CLIENT_AUTH, now)

    def _leaf(
        self,
        name: str,
        subject: x509.Name,
        purpose: x509.ObjectIdentifier,
        now: dt.datetime,
        alternatives: x509.SubjectAlternativeName | None = None,
    ) -> Pair:
        pair = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        key = write_key(pair.key)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _builder(
                subject=subject, issuer=self._certificate.subject, key=key.public_key(), now=now
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(issuer, critical=False)
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return pair


def _builder(
    *,
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)

"""Self-signed serving certificates, good for an hour."""

import base64
import datetime as dt
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def self_signed() -> tuple[bytes, bytes]:
    """Make a certificate for 127.0.0.1, which is its own authority, and its key; both PEM."""
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return _pair(ec.generate_private_key(ec.SECP256R1()), address)


def self_signed_rsa(host: str) -> tuple[bytes, bytes]:
    """Make such a certificate with an RSA key for a DNS name."""
    return _pair(rsa.generate_private_key(65537, 2048), x509.DNSName(host))


def base64_of(data: bytes) -> str:
    """Encode as the API does."""
    return base64.b64encode(data).decode()


def _pair(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, host: x509.GeneralName
) -> tuple[bytes, bytes]:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "webhook")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )

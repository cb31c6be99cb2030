"""The two TLS contexts between a webhook pod and the record intake.

Both ends are ours, so nothing older than TLS 1.3 is spoken, and each end shows a certificate.
"""

import asyncio
import ssl
import tempfile
from pathlib import Path
from typing import Final

from guard.audit import errors

_FOLDER_PREFIX: Final = "holdfast-"


class Renewable:
    """One end's certificate, which may be replaced at any time; whoever reads it calls ``load``.

    ``client`` is what ``shipping.Shipper`` wants, ``listening`` what ``storing.RecordIntake`` does.
    """

    def __init__(self) -> None:
        self._loaded = asyncio.Event()
        self._material: tuple[bytes, bytes, bytes] | None = None
        self._client: ssl.SSLContext | None = None
        self._server: ssl.SSLContext | None = None

    def load(self, *, ca_pem: bytes, cert_pem: bytes, key_pem: bytes) -> bool:
        """Use this from the next connection on; tell whether it was another than before.

        Raises UnusableCertificate, and then the one before stays.
        """
        material = (ca_pem, cert_pem, key_pem)
        if material == self._material:
            return False
        client = client_context(ca_pem=ca_pem, cert_pem=cert_pem, key_pem=key_pem)
        server = server_context(ca_pem=ca_pem, cert_pem=cert_pem, key_pem=key_pem)
        self._client, self._server, self._material = client, server, material
        self._loaded.set()
        return True

    def client(self) -> ssl.SSLContext:
        """Give the context of the moment for a sender. Raises UnusableCertificate before a load."""
        if self._client is None:
            raise errors.UnusableCertificate
        return self._client

    async def listening(self) -> ssl.SSLContext:
        """Give a context to listen with for good, once there is a certificate.

        Each handshake takes the certificate, and whom to trust, of the moment: OpenSSL asks for it
        when it has read the client's first message, with a server name in it or without.
        """
        while self._material is None:
            await self._loaded.wait()
        ca_pem, cert_pem, key_pem = self._material
        context = server_context(ca_pem=ca_pem, cert_pem=cert_pem, key_pem=key_pem)

        def choose(handshake: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
            if self._server is not None:
                handshake.context = self._server

        context.sni_callback = choose
        return context


def client_context(*, ca_pem: bytes, cert_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    """Make the context of a sender: trusts ``ca_pem`` alone. Raises UnusableCertificate."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, ca_pem, cert_pem, key_pem=key_pem)


def server_context(*, ca_pem: bytes, cert_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    """Make the context of the intake: whoever shows no certificate of ``ca_pem`` is hung up on.

    OpenSSL itself sees to it that the certificate is one for clients. Raises UnusableCertificate.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, ca_pem, cert_pem, key_pem=key_pem)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _context(kind: int, ca_pem: bytes, cert_pem: bytes, *, key_pem: bytes) -> ssl.SSLContext:
    """Make a context. OpenSSL reads keys from files: it lies in a private folder meanwhile."""
    context = ssl.SSLContext(kind)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX) as folder:  # mode 0700
        cert, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        cert.write_bytes(cert_pem)
        key.touch(mode=0o600)
        key.write_bytes(key_pem)
        try:
            # Without a password OpenSSL would ask the terminal for that of an encrypted key.
            context.load_cert_chain(cert, key, password=bytes)
            context.load_verify_locations(cadata=ca_pem.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise errors.UnusableCertificate from error
    return context

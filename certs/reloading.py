"""The certificate that a server serves, replaced while it serves.

Each handshake takes the context that is current then, by OpenSSL's server name callback (which is
called without a server name too). So a certificate that cannot be loaded never touches what is
served, and none of it stays behind: loading into the context that serves would break it when the
load fails, and leave an RSA certificate beside the EC one that follows.
"""

import datetime as dt
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import prometheus_client as prometheus
import structlog

from certs import authority, bundle, errors, rotation, secret
from guard import errors as root_errors
from guard.api import objects
from guard.cluster import timing as timings

_logger = structlog.get_logger(__name__)

ABSENT: Final = "certificate"
OVER: Final = "certificate that is valid now"
UNTRUSTED: Final = "certificate signed by a CA of the webhook configuration"

_FIRST_LOOK_SECONDS: Final = 1.0


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Leaf:
    """The certificate of one server. ``now`` is the wall clock, in UTC."""

    def __init__(self, *, now: Callable[[], dt.datetime] = _utc_now) -> None:
        self._now = now
        self._listening: ssl.SSLContext | None = None
        self._current: ssl.SSLContext | None = None
        self._material: secret.Material | None = None
        self._bundles: tuple[bytes, ...] | None = None
        self._trouble = ""
        self.failures = 0
        """How often a certificate could not be read or loaded since the start."""

    @property
    def context(self) -> ssl.SSLContext:
        """The context to listen with, the same for good. Raises BadCertificate before a load."""
        if self._listening is None:
            message = "There is no certificate to serve yet."
            raise errors.BadCertificate(message)
        return self._listening

    @property
    def interval_seconds(self) -> float:
        """How often to look for a newer one."""
        if self._material is None:
            return _FIRST_LOOK_SECONDS
        return rotation.reload_seconds(authority.lifetime(self._material.cert_pem))

    def trust(self, configuration: objects.RawObject | None) -> None:
        """Learn from the webhook configuration whom the API servers trust; None: it is gone."""
        self._bundles = None if configuration is None else bundle.bundles(configuration)

    def load(self, material: secret.Material) -> bool:
        """Serve a certificate from the next handshake on; tell whether it was another one.

        One that the API servers do not trust (yet) waits while that which is served is good: what
        waits is to be offered again. Raises BadCertificate for what cannot be served; that which is
        served stays.
        """
        if self._material is not None and material[1:] == self._material[1:]:
            self._material = material  # the CA beside it may be another
            return False
        fresh = make_context(material.cert_pem, material.key_pem)
        if self._material is not None and not self.faults() and self._is_distrusted(material):
            self._complain("a new certificate waits until the API servers are told its CA")
            return False
        if self._listening is None:
            self._listening = make_context(material.cert_pem, material.key_pem)
            self._listening.sni_callback = self._choose
        self._current, self._material, self._trouble = fresh, material, ""
        _logger.info(
            "serving a new certificate", until=authority.expiry(material.cert_pem).isoformat()
        )
        return True

    def faults(self) -> tuple[str, ...]:
        """Give what is wrong with what is served; nothing if the API servers take it."""
        if self._material is None:
            return (ABSENT,)
        if authority.is_over(self._material.cert_pem, now=self._now()):
            return (OVER,)
        return (UNTRUSTED,) if self._is_distrusted(self._material) else ()

    def expiries(self) -> dict[str, float]:
        """Give when leaf and authority expire, as Unix times; NaN for what is not known.

        Of the authorities that verify the leaf the last one counts: it is the one that stays.
        """
        if self._material is None:
            return {"leaf": float("nan"), "ca": float("nan")}
        ends = [
            authority.expiry(one).timestamp()
            for pem in self._trusted_by(self._material)
            for one in _split(pem)
            if authority.is_trusted(self._material.cert_pem, ca_pem=one, now=self._now())
        ]
        leaf = authority.expiry(self._material.cert_pem).timestamp()
        return {"leaf": leaf, "ca": max(ends, default=float("nan"))}

    async def follow(
        self,
        read: Callable[[], Awaitable[secret.Material | None]],
        *,
        timing: timings.Timing = timings.REAL,
    ) -> None:
        """Look for a newer certificate for ever. Whatever fails, what is served stays.

        The wait is short, so that a machine that was paused sees a renewal soon after.
        """
        while True:
            await timing.sleep(self.interval_seconds)
            try:
                material = await read()
                if material is not None:
                    self.load(material)
            except root_errors.HoldfastError as error:
                self.failures += 1
                self._complain("the certificate cannot be renewed", error=str(error))

    def _choose(self, handshake: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        if self._current is not None:
            handshake.context = self._current

    def _trusted_by(self, material: secret.Material) -> tuple[bytes, ...]:
        """Give the bundles that are to verify a leaf: that of each entry, else the Secret's.

        Nothing at all where there is no private authority, but one that every machine trusts.
        """
        bundles = self._bundles if self._bundles is not None else (material.ca_pem,)
        return bundles if any(bundles) or material.ca_pem else ()

    def _is_distrusted(self, material: secret.Material) -> bool:
        now = self._now()
        return not all(
            any(authority.is_trusted(material.cert_pem, ca_pem=one, now=now) for one in _split(pem))
            for pem in self._trusted_by(material)
        )

    def _complain(self, event: str, *, error: str = "") -> None:
        """Log what is wrong, once until it is something else."""
        trouble = event + error
        if trouble != self._trouble:
            self._trouble = trouble
            _logger.warning(event, **({"error": error} if error else {}))


def make_context(cert_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    """Make the serving side's TLS context, 1.2 or newer. Raises BadCertificate.

    OpenSSL reads files only: the key lies in a private folder for as long as that takes.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:  # mode 0700
        cert, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        cert.write_bytes(cert_pem)
        key.touch(mode=0o600)
        key.write_bytes(key_pem)
        try:
            context.load_cert_chain(cert, key)
        except (ssl.SSLError, ValueError) as error:
            message = "The serving certificate and its key cannot be used together."
            raise errors.BadCertificate(message) from error
    return context


def watch_expiry(leaf: Leaf, registry: prometheus.CollectorRegistry) -> None:
    """Show when a leaf and its authority expire, and how many renewals failed, as metrics."""
    expiry = prometheus.Gauge(
        "holdfast_certificate_expiry_timestamp_seconds",
        "When the certificate that is served, and the CA that it needs, expire.",
        ("kind",),
        registry=registry,
    )
    expiry.labels("leaf").set_function(lambda: leaf.expiries()["leaf"])
    expiry.labels("ca").set_function(lambda: leaf.expiries()["ca"])
    failures = prometheus.Gauge(
        "holdfast_certificate_reload_failures",
        "How often a newer certificate could not be read or loaded since the start.",
        registry=registry,
    )
    failures.set_function(lambda: leaf.failures)


def _split(pem: bytes) -> tuple[bytes, ...]:
    try:
        return authority.split(pem)
    except errors.BadCertificate:  # an empty bundle, or one that somebody broke: nobody is trusted
        return ()

"""The record intake: takes the records of webhook pods over mutual TLS, into the store.

The answer is the promise: 200 only after the commit. Who may send is decided twice: the TLS context
lets in certificates of our CA alone, and of those only the webhook's is listened to. A record that
cannot be read is refused by its index, and the others are stored: one record must not hold up all
that come behind it, and the sender keeps what was refused.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Final

import structlog
from aiohttp import hdrs, web

from guard.audit import errors, serving, store, wire

RETRY_AFTER_SECONDS: Final = 5

_BODY_WITHIN_SECONDS: Final = 20.0
_MAX_BODIES: Final = 2
"""In memory at once: the store takes one batch at a time, and one may arrive meanwhile."""

_FORBIDDEN: Final = 403
_TIMEOUT: Final = 408
_TOO_LARGE: Final = 413
_WRONG_TYPE: Final = 415
_BAD_REQUEST: Final = 400
_AWAY: Final = 503

_log = structlog.get_logger(__name__)


def webhook_identity(release: str, namespace: str) -> str:
    """Give the name that a webhook pod's certificate must hold for: that of the webhook's Service.

    It is the serving certificate's name, so one certificate, good for clients too, is enough.
    """
    return f"{release}-webhook.{namespace}.svc"


def is_welcome(peer: Mapping[str, Any] | None, identity: str) -> bool:
    """Tell whether a verified certificate names ``identity`` as a DNS name.

    ``peer`` is what ``SSLSocket.getpeercert`` gives; nothing for no certificate. A common name does
    not count, nor does a wildcard: an identity is one name.
    """
    names = (peer or {}).get("subjectAltName", ())
    return any(kind == "DNS" and name.lower() == identity.lower() for kind, name in names)


class Receiver:
    """Answers ``POST /v1/records`` of whoever proves to be ``identity``."""

    def __init__(self, target: store.Store, *, identity: str) -> None:
        self.received = 0
        """How many records arrived; one that is sent again counts again."""
        self.stored = 0
        """How many of them were new to the store."""
        self.refused = 0
        """How many of them could not be read."""
        self._store = target
        self._identity = identity
        self._slots = asyncio.Semaphore(_MAX_BODIES)

    def app(self) -> web.Application:
        """Make the application; to be served over TLS that asks for a client certificate."""
        app = web.Application(client_max_size=wire.MAX_BODY_BYTES)
        app.router.add_post(wire.RECORDS_PATH, self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        refusal = self._refusal_by_head(request)
        if refusal is not None:
            return _refused(request, *refusal)
        async with self._slots:
            try:
                receipt = await self._take(await _body(request))
            except web.HTTPRequestEntityTooLarge:
                return _refused(request, _TOO_LARGE, "the body is too large")
            except TimeoutError:
                return _refused(request, _TIMEOUT, "the body did not arrive in time")
            except errors.BadParcel as error:
                return _refused(request, _BAD_REQUEST, str(error))
            except errors.StoreUnavailable as error:
                _log.warning("the record intake cannot store", error=str(error))
                response = web.Response(status=_AWAY, text="the audit store is away\n")
                response.headers[hdrs.RETRY_AFTER] = str(RETRY_AFTER_SECONDS)
                return response
        return web.Response(body=wire.write_receipt(receipt), content_type="application/json")

    async def _take(self, body: bytes) -> wire.Receipt:
        """Store what a body holds. Raises BadParcel, StoreUnavailable; then nothing is stored."""
        parcel = await asyncio.to_thread(wire.unpack, body)
        self.stored += await self._store.insert_lines(parcel.lines)
        self.received += parcel.receipt.received
        self.refused += len(parcel.receipt.refused)
        for refusal in parcel.receipt.refused:
            _log.error("an audit record is refused", index=refusal.index, why=refusal.why)
        return parcel.receipt

    def _refusal_by_head(self, request: web.Request) -> tuple[int, str] | None:
        """Refuse what connection and headers already show, before the body is read."""
        transport = request.transport
        peer = None if transport is None else transport.get_extra_info("peercert")
        if not is_welcome(peer, self._identity):
            return _FORBIDDEN, f"the client certificate is not that of {self._identity}"
        if request.content_type != wire.CONTENT_TYPE:
            return _WRONG_TYPE, f"the content type is not {wire.CONTENT_TYPE}"
        if (request.content_length or 0) > wire.MAX_BODY_BYTES:
            return _TOO_LARGE, "the body is too large"
        return None


async def serve(
    target: store.Store,
    *,
    identity: str,
    tls: ssl.SSLContext,
    host: str | None = None,
    port: int = wire.INTAKE_PORT,
) -> None:
    """Serve the intake until cancelled. Raises OSError if the port is taken.

    ``tls`` asks for client certificates (``tls.server_context``); whoever renews certificates loads
    them into it.
    """
    receiver = Receiver(target, identity=identity)
    async with serving.serving(receiver.app(), host=host, port=port, tls=tls):
        await asyncio.get_running_loop().create_future()  # until cancelled


async def _body(request: web.Request) -> bytes:
    async with asyncio.timeout(_BODY_WITHIN_SECONDS):
        return await request.read()


def _refused(request: web.Request, status: int, sentence: str) -> web.Response:
    _log.warning("a request brought no records", status=status, error=sentence, peer=request.remote)
    return web.Response(status=status, text=f"{sentence}\n")

"""From the spool of a webhook pod to the record intake of the guard process, at least once.

What ``intake.Intake`` does on one machine, over the network: read a batch, hand it over, and forget
it only once the other side says that it is stored. Whatever fails, the spool holds on. Sent twice
does no harm, since ids are stored once.
"""

import asyncio
import io
import ssl
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import aiohttp
import structlog
from aiohttp import hdrs

from guard import errors as root_errors
from guard.audit import errors, reader, record, wire
from guard.cluster import timing as timings

POLL_SECONDS: Final = 0.2
"""Records wait at most this long to be sent, and share a commit with all that came meanwhile."""

_REQUEST_TIMEOUT_SECONDS: Final = 30.0
_CONNECT_TIMEOUT_SECONDS: Final = 5.0
_KEEPALIVE_SECONDS: Final = 15.0  # far less than the intake's: it never hangs up on a batch
_MAX_RETRY_AFTER_SECONDS: Final = timings.MAX_BACKOFF_SECONDS
_MAX_ANSWER_BYTES: Final = 1 << 20
_MAX_SENTENCE_CHARACTERS: Final = 200

_OK: Final = 200

TlsSource = Callable[[], ssl.SSLContext]
"""Gives the context for a new connection; another object once the certificate is renewed, and then
no connection of the one before is used again. May raise a HoldfastError: it is asked again."""

_log = structlog.get_logger(__name__)


class _Read(NamedTuple):
    batch: reader.Batch
    pending_bytes: int


class Shipper:
    """Sends what every writer below ``spool_root`` records to ``url`` (``https://host:port``).

    ``server_name`` is whom the intake's certificate must name, where ``url`` may hold an address.
    One for each spool, used as an async context manager. Holds one batch in memory, of 8 MiB and
    one record at most, however long the intake is away.
    """

    def __init__(
        self,
        spool_root: Path,
        *,
        url: str,
        tls: TlsSource,
        server_name: str | None = None,
        timing: timings.Timing = timings.REAL,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.shipped = 0
        """How many records the intake has confirmed; one that is sent again counts again."""
        self.pending_bytes = 0
        """The size of what waits in the spool, as of the last look at it."""
        self._reader = reader.Reader(spool_root)
        self._url = url.rstrip("/")
        self._tls = tls
        self._server_name = server_name
        self._timing = timing
        self._poll_seconds = poll_seconds
        self._one_at_a_time = asyncio.Lock()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, keepalive_timeout=_KEEPALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=_REQUEST_TIMEOUT_SECONDS, sock_connect=_CONNECT_TIMEOUT_SECONDS
            ),
        )

    @property
    def rejected(self) -> int:
        """How many stretches of the spool were no record, or refused, since this process began."""
        return self._reader.rejected

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def run(self) -> None:
        """Ship until cancelled. An intake that is away is tried again, after 30 s at most."""
        failures = 0
        while True:
            try:
                batch = await self._step()
            except errors.IntakeUnavailable as error:
                failures += 1
                if failures == 1:
                    _log.warning("audit records wait in the spool", error=str(error))
                await self._wait(error, failures)
                continue
            if failures:
                _log.info("the record intake takes records again", attempts=failures)
                failures = 0
            if not batch.more:
                await self._timing.sleep(self._poll_seconds)

    async def flush(self, *, within_seconds: float) -> bool:
        """Ship all that is in the spool now; for the end, once its writer is closed.

        Gives whether all of it went. What did not stays in the spool, for whoever comes next.
        """
        failures = 0
        try:
            async with asyncio.timeout(within_seconds):
                while True:
                    try:
                        batch = await self._step()
                    except errors.IntakeUnavailable as error:
                        failures += 1
                        await self._wait(error, failures)
                        continue
                    if not batch.more:
                        await asyncio.to_thread(self._reader.tidy)
                        return True
        except TimeoutError:
            _log.warning(
                "audit records stay in the spool",
                pending_bytes=self.pending_bytes,
                waited_seconds=within_seconds,
            )
            return False

    async def pending(self) -> int:
        """Count the records that wait in the spool. Reads them all: not for every scrape."""
        return await asyncio.to_thread(self._reader.pending)

    async def _wait(self, error: errors.IntakeUnavailable, failures: int) -> None:
        asked_seconds = min(error.retry_after_seconds or 0.0, _MAX_RETRY_AFTER_SECONDS)
        await self._timing.sleep(max(self._timing.wait_seconds(failures), asked_seconds))

    async def _step(self) -> reader.Batch:
        """Move one batch: read, hand over, and only then forget. Raises IntakeUnavailable."""
        async with self._one_at_a_time:
            batch, self.pending_bytes = await asyncio.to_thread(self._read)
            if batch:
                lines = batch.lines
                refused = await self._hand_over(lines) if lines else {}
                self.shipped += len(lines) - len(refused)
                self.pending_bytes = await asyncio.to_thread(self._forget, batch, refused)
            return batch

    def _read(self) -> _Read:
        pending_bytes = self._reader.pending_bytes()
        return _Read(self._reader.read(), pending_bytes)

    def _forget(self, batch: reader.Batch, refused: dict[int, str]) -> int:
        lines = batch.lines
        for index, why in refused.items():
            self._reader.refuse(lines[index], why)
        self._reader.acknowledge(batch)
        return self._reader.pending_bytes()

    async def _hand_over(self, lines: list[record.Line]) -> dict[int, str]:
        """Send records; give those that will never be taken, by index, each with the reason.

        They are named by the intake in a receipt, and nothing else makes us give up on a record:
        whatever other answer comes may be a fault of the way there.
        """
        too_large = {
            index: f"it is larger than {wire.MAX_RECORD_BYTES} bytes"
            for index, line in enumerate(lines)
            if len(line.data) > wire.MAX_RECORD_BYTES
        }
        sent = [index for index in range(len(lines)) if index not in too_large]
        if not sent:
            return too_large
        answer = await self._post(wire.pack([lines[index] for index in sent]))
        try:
            receipt = wire.read_receipt(answer, sent=len(sent))
        except errors.BadParcel as error:
            raise errors.IntakeUnavailable(self._url, str(error)) from error
        return too_large | {sent[one.index]: one.why for one in receipt.refused}

    async def _post(self, body: bytes) -> bytes:
        """Send a body and give the answer to it. Raises IntakeUnavailable."""
        try:
            async with self._session.post(
                f"{self._url}{wire.RECORDS_PATH}",
                data=io.BytesIO(body),  # aiohttp hands this out in pieces
                headers={hdrs.CONTENT_TYPE: wire.CONTENT_TYPE},
                ssl=self._tls(),
                server_hostname=self._server_name,
                allow_redirects=False,
            ) as response:
                answer = await response.content.read(_MAX_ANSWER_BYTES)
                while not response.content.at_eof() and len(answer) < _MAX_ANSWER_BYTES:
                    answer += await response.content.read(_MAX_ANSWER_BYTES)
                if response.status != _OK:
                    raise self._refusal(response, answer)
                return answer
        except (aiohttp.ClientError, OSError, root_errors.HoldfastError) as error:
            if isinstance(error, errors.IntakeUnavailable):
                raise
            raise errors.IntakeUnavailable(self._url, _describe(error)) from error

    def _refusal(self, response: aiohttp.ClientResponse, answer: bytes) -> errors.IntakeUnavailable:
        told = answer.decode(errors="replace").strip()[:_MAX_SENTENCE_CHARACTERS]
        asked = response.headers.get(hdrs.RETRY_AFTER, "")
        return errors.IntakeUnavailable(
            self._url,
            f"{response.status} {told}".strip(),
            retry_after_seconds=float(asked) if asked.isdecimal() else None,
        )


def _describe(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it is silent"
    if isinstance(error, root_errors.HoldfastError):
        return str(error)
    return str(error) or type(error).__name__

"""Asking the guard process for its records: the other end of ``reading``.

The session leads there, whichever way; this module knows only what is asked and answered. It does
not import the store, which costs 0.2 s.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final

import aiohttp
import msgspec
import structlog

from guard.audit import errors, record, wire

_MAX_SENTENCE_CHARACTERS: Final = 200
_OK: Final = 200

_COUNTS: Final = msgspec.json.Decoder(dict[str, dict[str, int]])

_log = structlog.get_logger(__name__)


async def records(
    session: aiohttp.ClientSession, parameters: Sequence[tuple[str, str]]
) -> list[record.Record]:
    """Give the records for a query of ``questions``, newest first. Raises ReadingFailed.

    One that this version cannot read is logged and left out. Raises what the session raises.
    """
    body = await _get(session, wire.RECORDS_PATH, parameters)
    found: list[record.Record] = []
    for line in body.split(b"\n")[:-1]:
        try:
            found.append(record.decode(line))
        except errors.UnreadableRecord:
            _log.warning("a record of the guard process cannot be read by this version")
    return found


async def counts_since(
    session: aiohttp.ClientSession, since: dt.datetime
) -> dict[str, dict[str, int]]:
    """Count records by Guard and verdict, as ``Store.counts_since``. Raises ReadingFailed."""
    body = await _get(session, wire.COUNTS_PATH, [("since", since.isoformat())])
    try:
        return _COUNTS.decode(body)
    except msgspec.DecodeError as error:
        message = "the guard process answered with something else than counts"
        raise errors.ReadingFailed(message) from error


async def _get(
    session: aiohttp.ClientSession, path: str, parameters: Sequence[tuple[str, str]]
) -> bytes:
    async with session.get(path, params=parameters, allow_redirects=False) as response:
        body = await response.read()
        if response.status != _OK:
            told = body.decode(errors="replace").strip()[:_MAX_SENTENCE_CHARACTERS]
            message = f"the guard process gives no records: {response.status} {told}".strip()
            raise errors.ReadingFailed(message)
        return body

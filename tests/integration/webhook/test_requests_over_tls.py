"""What the running webhook answers over its TLS port, to whatever a client may send."""

import asyncio
import json
from typing import Any

import pytest
import structlog
from support import rawreviews, reviews

from webhook import server

pytestmark = pytest.mark.integration

House = Any
"""The House of this folder's conftest, which tests cannot import."""

LIMIT = server.MAX_BODY_BYTES


def port_of(house: House) -> int:
    """Give the TLS port."""
    return int(house.url.rpartition(":")[2])


async def ask(house: House, body: bytes) -> tuple[int, str]:
    """Send one body over a connection of its own."""
    return await asyncio.to_thread(rawreviews.ask, port_of(house), body)


async def still_answers(house: House) -> bool:
    """Tell whether an ordinary review gets its answer, over a new connection."""
    status, text = await ask(house, reviews.body("edit"))
    return status == 200 and "response" in json.loads(text)


async def test_the_limit_is_exact(house: House) -> None:
    """A review of exactly 7 MiB is answered, a byte more is refused; both cleanly."""
    body = reviews.body("edit")

    full, _ = await ask(house, body + b" " * (LIMIT - len(body)))
    above, sentence = await ask(house, body + b" " * (LIMIT + 1 - len(body)))

    assert full == 200
    assert (above, sentence) == (413, "the body is larger than 7 MiB\n")
    assert await still_answers(house)


async def test_a_body_without_length_has_the_same_limit(house: House) -> None:
    """In chunks, as a client may send it: what is too large is cut off."""

    def send(size: int) -> tuple[int, str]:
        client = rawreviews.RawClient(port_of(house))
        body = reviews.body("edit")
        try:
            client.head("Transfer-Encoding: chunked")
            for part in (body, b" " * (size - len(body))):
                client.send(b"%x\r\n%b\r\n" % (len(part), part))
            client.send(b"0\r\n\r\n")
            return client.answer()
        finally:
            client.close()

    full, _ = await asyncio.to_thread(send, LIMIT)
    above, sentence = await asyncio.to_thread(send, LIMIT + 1)

    assert full == 200
    assert (above, sentence) == (413, "the body is larger than 7 MiB\n")
    assert await still_answers(house)


@pytest.mark.parametrize("body", [b"", b"garbage", b"{}", b"[" * 100_000, b"\xff\xfe\x00"])
async def test_garbage_is_one_line_in_the_log(house: House, body: bytes) -> None:
    """The client gets a 400 and a sentence, the log one line, the next review its answer."""
    with structlog.testing.capture_logs() as logs:
        status, sentence = await ask(house, body)

    assert status == 400
    assert sentence.count("\n") == 1
    (line,) = [one for one in logs if one["log_level"] != "debug"]
    assert line["event"] == "a request was no review"
    assert line["status"] == 400
    assert await still_answers(house)


async def test_no_http_at_all_harms_nobody(house: House) -> None:
    """Neither bytes that are no HTTP nor a client that says nothing more."""

    def half() -> rawreviews.RawClient:
        client = rawreviews.RawClient(port_of(house))
        client.head("Content-Length: 1000")
        client.send(b"{")
        return client

    def nonsense() -> int:
        client = rawreviews.RawClient(port_of(house))
        client.send(b"\x16\x03nonsense\r\n\r\n")
        try:
            return client.answer()[0]
        finally:
            client.close()

    waiting = await asyncio.to_thread(half)
    try:
        assert await asyncio.to_thread(nonsense) == 400
        assert await still_answers(house)
    finally:
        waiting.close()
    assert await still_answers(house)

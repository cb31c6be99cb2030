"""A request has a timeout, bounded retries, and errors without credentials."""

import asyncio
import contextlib
import traceback
from pathlib import Path

import pytest
from support import clocks, fakeapi

from guard.cluster import client as clients
from guard.cluster import configuration, errors

Behaviour = fakeapi.Behaviour


async def test_the_body_goes_as_json_and_the_answer_comes_parsed(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """The content type is the caller's, the token the configuration's."""
    answer = await client.request(
        "PATCH",
        "/x",
        query={"a": "1 2"},
        body={"k": "v"},
        content_type="application/merge-patch+json",
    )

    assert answer == {"size": len(b'{"k":"v"}'), "authorization": "Bearer t0ken"}
    request = api.requests[0]
    assert request.headers["Content-Type"] == "application/merge-patch+json"
    assert request.query["a"] == "1 2"
    assert request.headers["User-Agent"] == "holdfast"


async def test_bytes_go_as_they_are(client: clients.Client) -> None:
    """A caller that has its JSON already pays for no second encoding."""
    assert (await client.request("POST", "/x", body=b"12345"))["size"] == 5


async def test_a_silent_server_is_left_after_the_timeout(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """No call waits for ever; the error names what was asked."""
    api.others.append(Behaviour.HANGS)

    with pytest.raises(errors.Silent, match=r"silent for 0\.1 s on GET /x"):
        await client.request("GET", "/x", timeout_seconds=0.1)


async def test_a_refused_connection_is_unreachable(tmp_path: Path) -> None:
    """A server that is not there is told by its address and the system's reason."""
    async with fakeapi.FakeApi() as api:
        connection = await configuration.load(api.kubeconfig(tmp_path), None)
    async with clients.Client(connection) as client:
        with pytest.raises(errors.Unreachable, match=r"127\.0\.0\.1:\d+ cannot be reached"):
            await client.request("GET", "/x")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_a_busy_server_is_asked_again_when_it_says(
    api: fakeapi.FakeApi, client: clients.Client, clock: clocks.Clock, method: str
) -> None:
    """429 with Retry-After is waited for, twice at most."""
    api.others.extend([Behaviour.BUSY] * 2)
    await client.request(method, "/x")

    assert clock.sleeps == [1.0, 1.0]


async def test_a_server_that_stays_busy_is_given_up(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """The third 429 is the caller's, with the wait that the server asks for."""
    api.others.extend([Behaviour.BUSY] * 3)

    with pytest.raises(errors.TooManyRequests) as caught:
        await client.request("GET", "/x")
    assert caught.value.retry_after_seconds == 1.0


@pytest.mark.parametrize(
    ("method", "timeout_seconds"), [("POST", 10.0), ("GET", 0.5)], ids=["post", "too long"]
)
async def test_no_retry_that_could_act_twice_or_outlast_the_timeout(
    api: fakeapi.FakeApi,
    client: clients.Client,
    clock: clocks.Clock,
    method: str,
    timeout_seconds: float,
) -> None:
    """A POST is never repeated, and no wait is longer than the caller's patience."""
    api.others.append(Behaviour.BUSY)

    with pytest.raises(errors.TooManyRequests):
        await client.request(method, "/x", timeout_seconds=timeout_seconds)
    assert clock.sleeps == []


async def test_a_patch_on_a_broken_connection_is_sent_again(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """A kept connection that a load balancer has cut costs no backoff."""
    api.others.append(Behaviour.RESETS)

    assert (await client.request("PATCH", "/x", body={}))["size"] == 2


async def test_a_post_on_a_broken_connection_is_not(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """It may have been carried out."""
    api.others.append(Behaviour.RESETS)

    with pytest.raises(errors.Unreachable):
        await client.request("POST", "/x", body={})


async def test_an_answer_that_is_no_json_is_unintelligible_and_not_quoted(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """A captive portal's page is no API server, and its text may be anything."""
    api.others.append(Behaviour.GARBAGE)

    with pytest.raises(errors.Unintelligible) as caught:
        await client.request("GET", "/x")
    assert "Bad gateway" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "behaviour", [Behaviour.RESETS, Behaviour.HANGS, Behaviour.UNAUTHORIZED, Behaviour.TEXT_503]
)
async def test_no_error_shows_the_token(
    api: fakeapi.FakeApi, client: clients.Client, behaviour: Behaviour
) -> None:
    """Not the text, and not the traceback with all its causes."""
    api.others.extend([behaviour] * 2)

    with pytest.raises(errors.ClusterError) as caught:
        await client.request("GET", "/x", timeout_seconds=0.1)
    assert "t0ken" not in "".join(traceback.format_exception(caught.value))


async def test_watches_do_not_take_the_places_of_requests(client: clients.Client) -> None:
    """A hundred open watches leave room for a request."""

    async def watch() -> None:
        query = {"watch": "1", "resourceVersion": "100"}
        stream = client.stream(fakeapi.COLLECTION, query=query, idle_timeout_seconds=30.0)
        async with contextlib.aclosing(stream) as lines:
            async for _ in lines:
                pass

    tasks = [asyncio.create_task(watch()) for _ in range(100)]
    try:
        await client.request("GET", "/x", timeout_seconds=5.0)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_unread_error_body_of_a_watch_is_an_error_by_its_status(
    api: fakeapi.FakeApi, client: clients.Client
) -> None:
    """A 503 with a text body is never taken for an event."""
    api.watches.append(Behaviour.TEXT_503)
    stream = client.stream(fakeapi.COLLECTION, query={"watch": "1"}, idle_timeout_seconds=1.0)

    with pytest.raises(errors.ServerFault):
        await anext(stream)


async def test_a_redirect_is_not_followed(api: fakeapi.FakeApi, client: clients.Client) -> None:
    """It would carry the token to whoever the answer names."""
    api.others.append(Behaviour.REDIRECT)

    with pytest.raises(errors.ApiStatusError) as caught:
        await client.request("GET", "/x")
    assert caught.value.status == 302

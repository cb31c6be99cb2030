"""Reading the store over HTTP."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from guard.audit import asking, errors, questions, reading, record, serving, store

MakeRecord = Callable[..., record.Record]


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[store.Store]:
    """Give a store."""
    async with await store.Store.open(tmp_path / "audit.db") as opened:
        yield opened


@pytest.fixture
async def session(target: store.Store) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session that leads to its reading door."""
    async with (
        serving.serving(reading.make_app(target), host="127.0.0.1", port=0) as port,
        aiohttp.ClientSession(f"http://localhost:{port}") as opened,
    ):
        yield opened


@pytest.mark.parametrize(
    "wanted",
    [
        store.Filter(),
        store.Filter(limit=None),
        store.Filter(limit=700),
        store.Filter(limit=500),
        store.Filter(user="bob"),
        store.Filter(object="deployment/web", verdicts=("Denied", "Flagged"), limit=3),
        store.Filter(user="nobody"),
    ],
)
async def test_the_answer_is_that_of_the_store(
    target: store.Store,
    session: aiohttp.ClientSession,
    make_record: MakeRecord,
    wanted: store.Filter,
) -> None:
    """Whatever is asked for, however many pages it takes, also where times are equal."""
    moment = record.timestamp(1_789_000_000_000_000_000)
    made = [make_record(time=moment, user="bob" if n % 400 else "eve") for n in range(1_200)]
    await target.insert([*made, make_record(verdict="Flagged"), make_record()])

    assert await asking.records(session, questions.write(wanted)) == await target.query(wanted)


async def test_records_come_as_they_are_stored(
    target: store.Store, session: aiohttp.ClientSession, make_record: MakeRecord
) -> None:
    """One a line, with the fields that this version does not know."""
    entry = make_record()
    data = record.encode(entry)[:-1] + b',"weather":"fine"}'
    await target.insert_lines([record.Line(entry, data)])

    async with session.get("/v1/records") as response:
        assert await response.read() == data + b"\n"


async def test_counts_are_those_of_the_store(
    target: store.Store, session: aiohttp.ClientSession, make_record: MakeRecord
) -> None:
    """By Guard and verdict, since a moment."""
    made = [make_record(), make_record(verdict="Restored"), make_record(guard="a/b")]
    await target.insert(made)
    since = dt.datetime.fromisoformat(made[1].time)

    expected = {"shop/shop-prod": {"Restored": 1}, "a/b": {"Denied": 1}}
    assert await asking.counts_since(session, since) == expected


@pytest.mark.parametrize(
    "path", ["/v1/records?colour=red", "/v1/records?limit=-1", "/v1/counts", "/v1/counts?since=x"]
)
async def test_a_question_that_cannot_be_read_is_400_with_a_sentence(
    session: aiohttp.ClientSession, path: str
) -> None:
    """The sentence names what is wrong."""
    async with session.get(path) as response:
        assert response.status == 400
        assert await response.text()


async def test_a_browser_that_was_led_here_gets_nothing(session: aiohttp.ClientSession) -> None:
    """A page whose name is made to point at this address asks under that name."""
    async with session.get("/v1/records", headers={"Host": "evil.example"}) as response:
        assert response.status == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_written(session: aiohttp.ClientSession, method: str) -> None:
    """It only reads."""
    async with session.request(method, "/v1/records") as response:
        assert response.status == 405


async def test_a_store_that_is_away_is_told(
    target: store.Store, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """It is an error, and no empty list."""
    await target.close()
    (tmp_path / "audit.db").write_bytes(b"no database" * 1_000)

    with pytest.raises(errors.ReadingFailed, match="503"):
        await asking.records(session, [])


async def test_an_answer_that_breaks_off_is_an_error(
    target: store.Store,
    session: aiohttp.ClientSession,
    make_record: MakeRecord,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of the log must not pass for all of it."""
    await target.insert([make_record() for _ in range(1_200)])
    whole = target.pages

    async def broken(wanted: store.Filter) -> AsyncIterator[list[str]]:
        async for page in whole(wanted):
            yield page
            raise errors.StoreUnavailable(Path("audit.db"), "disk I/O error")

    monkeypatch.setattr(target, "pages", broken)

    with pytest.raises(aiohttp.ClientError):
        await asking.records(session, [("limit", "0")])


async def test_the_answer_of_something_else_is_no_count() -> None:
    """Another program that listens there is not taken for the guard process."""

    async def strange(_: web.Request) -> web.Response:
        return web.json_response(["hello"])

    app = web.Application()
    app.router.add_get("/v1/counts", strange)
    async with (
        serving.serving(app, host="127.0.0.1", port=0) as port,
        aiohttp.ClientSession(f"http://localhost:{port}") as session,
    ):
        with pytest.raises(errors.ReadingFailed, match="something else"):
            await asking.counts_since(session, dt.datetime.now(dt.UTC))

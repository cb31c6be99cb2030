"""From the spool of a webhook pod to an intake that misbehaves."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support import clocks, polling

from guard.audit import errors, record, shipping, spool, wire
from guard.cluster import timing

MakeRecord = Callable[..., record.Record]
TLS = ssl.create_default_context()


class Intake:
    """Takes records by plain HTTP; ``answers`` holds the behaviour of the next requests."""

    def __init__(self) -> None:
        self.answers: list[Callable[[wire.Parcel], web.Response]] = []
        self.always: Callable[[wire.Parcel], web.Response] | None = None
        self.taken: list[str] = []
        self.attempts = 0
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as told, else with a good receipt."""
        assert request.content_type == wire.CONTENT_TYPE
        parcel = wire.unpack(await request.read())
        self.attempts += 1
        if self.answers:
            return self.answers.pop(0)(parcel)
        if self.always is not None:
            return self.always(parcel)
        self.taken += [line.record.id for line in parcel.lines]
        return web.Response(body=wire.write_receipt(parcel.receipt))


@pytest.fixture
async def intake() -> AsyncIterator[Intake]:
    """Give an intake."""
    made = Intake()
    app = web.Application(client_max_size=wire.MAX_BODY_BYTES)
    app.router.add_post("/v1/records", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
def clock() -> clocks.Clock:
    """Give a clock that only sleeping moves."""
    return clocks.Clock()


@pytest.fixture
async def shipper(
    root: Path, intake: Intake, clock: clocks.Clock
) -> AsyncIterator[shipping.Shipper]:
    """Give a shipper that waits in no time."""
    async with _shipper(root, intake.url, clock) as made:
        yield made


def _shipper(root: Path, url: str, clock: clocks.Clock, **given: Any) -> shipping.Shipper:
    times = timing.Timing(clock=clock, sleep=clock.sleep, chance=lambda: 1.0)
    return shipping.Shipper(root, url=url, **{"tls": lambda: TLS, "timing": times, **given})


def _write(root: Path, make_record: MakeRecord, number: int) -> list[str]:
    with spool.Spool(root, writer="webhook-1") as opened:
        made = [make_record() for _ in range(number)]
        for each in made:
            opened.append(each)
    return [each.id for each in made]


async def _left(root: Path) -> list[Path]:
    return await asyncio.to_thread(lambda: sorted(root.rglob("*")))


async def test_all_goes_in_order_and_the_spool_is_empty(
    root: Path, intake: Intake, shipper: shipping.Shipper, make_record: MakeRecord
) -> None:
    """A backlog of several batches goes in one go."""
    ids = _write(root, make_record, 1_234)

    assert await shipper.pending() == 1_234
    assert await shipper.flush(within_seconds=10)
    assert intake.taken == ids
    assert (intake.attempts, shipper.shipped, shipper.rejected) == (3, 1_234, 0)
    assert (await shipper.pending(), shipper.pending_bytes) == (0, 0)
    assert await _left(root) == []


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(status=503, headers={"Retry-After": "5"}),
        lambda _: web.Response(status=500),
        lambda _: web.Response(status=400, text="bad"),
        lambda _: web.Response(status=403),
        lambda _: web.Response(status=404),
        lambda _: web.Response(status=413),
        lambda _: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        lambda _: web.Response(text="ok"),
        lambda _: web.Response(status=204),
        lambda parcel: web.Response(
            body=wire.write_receipt(wire.Receipt(received=len(parcel.lines) - 1))
        ),
    ],
    ids=["away", "fault", "bad", "forbidden", "missing", "large", "moved", "text", "empty", "less"],
)
async def test_any_other_answer_forgets_nothing(
    root: Path,
    intake: Intake,
    shipper: shipping.Shipper,
    make_record: MakeRecord,
    answer: Callable[[wire.Parcel], web.Response],
) -> None:
    """It may be a fault of the way there, so the records are sent again until a receipt comes."""
    ids = _write(root, make_record, 3)
    intake.answers += [answer, answer]

    assert await shipper.flush(within_seconds=10)
    assert intake.taken == ids
    assert intake.attempts == 3
    assert shipper.rejected == 0


async def test_an_intake_that_stays_away_is_asked_ever_less_often(
    root: Path, intake: Intake, make_record: MakeRecord
) -> None:
    """Waits double up to 30 s; hours later nothing is lost, and one warning was enough."""
    clock = clocks.Clock(until_seconds=4 * 3600)
    ids = _write(root, make_record, 3)
    intake.always = lambda _: web.Response(status=500)
    async with _shipper(root, intake.url, clock) as shipper:
        running = asyncio.create_task(shipper.run())
        await clock.reached.wait()
        running.cancel()
        assert clock.sleeps[:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]
        assert shipper.pending_bytes > 0
        intake.always = None
        assert await shipper.flush(within_seconds=10)
    assert intake.taken == ids


async def test_a_wait_that_the_intake_asks_for_is_kept(
    root: Path,
    intake: Intake,
    clock: clocks.Clock,
    shipper: shipping.Shipper,
    make_record: MakeRecord,
) -> None:
    """Retry-After is heeded up to half a minute, and one that is no number is passed over."""
    _write(root, make_record, 1)
    for asked in ("5", "86400", "tomorrow"):
        intake.answers.append(
            lambda _, asked=asked: web.Response(status=503, headers={"Retry-After": asked})
        )

    assert await shipper.flush(within_seconds=10)
    assert clock.sleeps == [5, 30, 2]


async def test_it_warns_once_and_says_when_it_is_over(
    root: Path,
    intake: Intake,
    shipper: shipping.Shipper,
    make_record: MakeRecord,
    logged: list[Any],
) -> None:
    """A night without the intake fills no log."""
    _write(root, make_record, 1)
    intake.answers += [lambda _: web.Response(status=503, text="the audit store is away\n")] * 5
    running = asyncio.create_task(shipper.run())
    await polling.eventually(lambda: intake.taken)
    await polling.eventually(lambda: len(logged) == 2)
    running.cancel()

    assert [entry["event"] for entry in logged] == [
        "audit records wait in the spool",
        "the record intake takes records again",
    ]
    assert "503 the audit store is away" in logged[0]["error"]


async def test_a_refused_record_is_kept_aside_and_holds_up_nothing(
    root: Path,
    intake: Intake,
    shipper: shipping.Shipper,
    make_record: MakeRecord,
    logged: list[Any],
) -> None:
    """The intake's own word is the one thing that makes us give up; the bytes stay here."""
    ids = _write(root, make_record, 3)
    receipt = wire.Receipt(received=3, refused=(wire.Refusal(1, "no audit record"),))
    intake.answers.append(lambda _: web.Response(body=wire.write_receipt(receipt)))

    assert await shipper.flush(within_seconds=10)
    assert (shipper.shipped, shipper.rejected, await shipper.pending()) == (2, 1, 0)
    assert [path.name for path in await _left(root)] == [".rejected", f"refused-{ids[1]}"]
    (told,) = [entry for entry in logged if entry["log_level"] == "error"]
    assert (told["id"], told["why"]) == (ids[1], "no audit record")


async def test_an_id_that_leads_elsewhere_stays_in_its_folder(
    root: Path, intake: Intake, shipper: shipping.Shipper, make_record: MakeRecord
) -> None:
    """A refused record's id names a file, whatever the writer put into it."""
    with spool.Spool(root, writer="webhook-1") as opened:
        opened.append(make_record(id="../../../evil"))
    receipt = wire.Receipt(received=1, refused=(wire.Refusal(0, "x"),))
    intake.answers.append(lambda _: web.Response(body=wire.write_receipt(receipt)))

    assert await shipper.flush(within_seconds=10)
    assert [path.name for path in await _left(root)] == [".rejected", "refused-..%2F..%2F..%2Fevil"]


async def test_a_record_that_no_intake_takes_is_not_even_sent(
    root: Path, intake: Intake, shipper: shipping.Shipper, make_record: MakeRecord
) -> None:
    """One that is too large would stop all that follow it, for ever."""
    with spool.Spool(root, writer="webhook-1") as opened:
        large, small = make_record(message="x" * wire.MAX_RECORD_BYTES), make_record()
        opened.append(large)
        opened.append(small)

    assert await shipper.flush(within_seconds=10)
    assert intake.taken == [small.id]
    assert (shipper.shipped, shipper.rejected) == (1, 1)
    assert (root / ".rejected" / f"refused-{large.id}").stat().st_size > wire.MAX_RECORD_BYTES


async def test_the_end_does_not_wait_longer_than_it_may(
    root: Path, intake: Intake, make_record: MakeRecord
) -> None:
    """What did not go in time stays in the spool, and the next process ships it."""
    ids = _write(root, make_record, 2)
    intake.always = lambda _: web.Response(status=500)
    async with shipping.Shipper(root, url=intake.url, tls=lambda: TLS) as shipper:
        assert not await shipper.flush(within_seconds=0.05)
        assert await shipper.pending() == 2
    intake.always = None
    async with shipping.Shipper(root, url=intake.url, tls=lambda: TLS) as shipper:
        assert await shipper.flush(within_seconds=10)
    assert intake.taken == ids


async def test_each_request_asks_for_the_certificate_of_the_moment(
    root: Path, intake: Intake, clock: clocks.Clock, make_record: MakeRecord
) -> None:
    """One that is not there yet, or broken, is asked for again."""
    _write(root, make_record, 1)
    failures = [errors.UnusableCertificate(), ssl.SSLError("x"), FileNotFoundError("tls.crt")]

    def give() -> ssl.SSLContext:
        if failures:
            raise failures.pop()
        return TLS

    async with _shipper(root, intake.url, clock, tls=give) as shipper:
        assert await shipper.flush(within_seconds=10)
    assert len(intake.taken) == 1
    assert len(clock.sleeps) == 3


async def test_one_that_is_cancelled_in_mid_batch_sends_it_again(
    root: Path, intake: Intake, clock: clocks.Clock, make_record: MakeRecord
) -> None:
    """What was not confirmed is not forgotten, so it may arrive twice, never not at all."""
    ids = _write(root, make_record, 5)
    arrived, gate = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        arrived.set()
        await gate.wait()
        return await intake.answer(request)

    app = web.Application()
    app.router.add_post("/v1/records", slow)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with _shipper(root, url, clock) as shipper:
            running = asyncio.create_task(shipper.run())
            await arrived.wait()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            gate.set()
            assert await shipper.pending() == 5
            assert await shipper.flush(within_seconds=10)
    finally:
        await runner.cleanup()
    assert set(intake.taken) == set(ids)

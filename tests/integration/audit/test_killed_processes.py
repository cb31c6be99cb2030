"""Real processes, really killed: what was answered for is in the store, once."""

import asyncio
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from guard.audit import intake, store

HERE = Path(__file__).parent
TIMEOUT_SECONDS = 60.0


async def _start(script: str, *arguments: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / script),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
    )


async def _kill_after(process: asyncio.subprocess.Process, lines: int) -> list[str]:
    """Kill -9 once so many lines are out; gives all whole lines that it had printed by then."""
    assert process.stdout is not None
    async with asyncio.timeout(TIMEOUT_SECONDS):
        seen = [await process.stdout.readline() for _ in range(lines)]
        process.kill()
        seen += (await process.stdout.read()).splitlines(keepends=True)
        assert await process.wait() == -signal.SIGKILL
    return [line.decode().strip() for line in seen if line.endswith(b"\n")]


async def _stored(target: store.Store) -> Counter[str]:
    return Counter(each.id for each in await target.query(store.Filter(limit=None)))


@pytest.mark.parametrize("seed", range(4))
async def test_kill_nine_of_writers_loses_nothing_that_was_answered(
    tmp_path: Path, seed: int
) -> None:
    """Two writers die at random moments while the intake runs.

    Each may have written one more record than it could print, and nothing else differs.
    """
    chance = random.Random(seed)
    root = tmp_path / "spool"
    async with await store.Store.open(tmp_path / "audit.db") as target:
        drain = intake.Intake(root, target, poll_seconds=0.001)
        running = asyncio.create_task(drain.run())
        writers = [await _start("writer.py", root, f"webhook-{number}") for number in range(2)]
        printed = await asyncio.gather(
            *(_kill_after(writer, chance.randrange(1, 1_500)) for writer in writers)
        )
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await drain.drain_once()
        stored = await _stored(target)

    answered = {identity for lines in printed for identity in lines}
    assert answered <= stored.keys()
    assert len(stored) <= len(answered) + len(writers)
    assert set(stored.values()) == {1}
    assert drain.rejected == 0
    assert list(root.iterdir()) == []


async def test_kill_nine_of_the_guard_process_loses_nothing_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    """It dies again and again in the middle of its batches; a writer goes on meanwhile."""
    chance = random.Random(7)
    root, database = tmp_path / "spool", tmp_path / "audit.db"
    writer = await _start("writer.py", root, "webhook-1")
    for _ in range(4):
        guard = await _start("drainer.py", root, database)
        assert guard.stdout is not None
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await guard.stdout.readline()
        await asyncio.sleep(chance.uniform(0, 0.15))
        await _kill_after(guard, 0)
    printed = await _kill_after(writer, 1)
    async with await store.Store.open(database) as target:
        drain = intake.Intake(root, target)
        await drain.drain_once()
        stored = await _stored(target)

    assert set(printed) <= stored.keys()
    assert len(stored) <= len(printed) + 1
    assert set(stored.values()) == {1}
    assert drain.rejected == 0


async def test_a_writer_that_runs_out_of_room_goes_on_once_there_is_some(tmp_path: Path) -> None:
    """The kernel itself cuts a write short, and refuses the next."""
    root = tmp_path / "spool"
    writer = await _start("writer.py", root, "webhook-1", 10_000)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        output, _ = await writer.communicate()
    lines = output.decode().split()
    assert writer.returncode == 0
    assert lines.count("full") == 1
    assert lines.index("full") > 1

    async with await store.Store.open(tmp_path / "audit.db") as target:
        drain = intake.Intake(root, target)
        await drain.drain_once()
        stored = await _stored(target)

    assert stored.keys() == set(lines) - {"full"}
    assert drain.rejected == 0

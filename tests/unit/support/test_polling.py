"""The one way in which tests wait."""

import pytest
from support import polling


async def test_it_gives_the_first_truthy_answer() -> None:
    """Falsy answers mean not yet."""
    answers = iter([None, 0, [], "here", "later"])

    assert await polling.eventually(lambda: next(answers), every_seconds=0) == "here"


async def test_a_probe_may_be_async_and_may_assert() -> None:
    """A failed assertion means not yet."""
    calls = 0

    async def probe() -> int:
        nonlocal calls
        calls += 1
        assert calls >= 3
        return calls

    assert await polling.eventually(probe, every_seconds=0) == 3


async def test_the_last_failure_is_told_when_the_time_is_over() -> None:
    """The reader sees what was wrong, not only that it took too long."""

    def probe() -> bool:
        message = "two objects are left"
        raise AssertionError(message)

    with pytest.raises(AssertionError, match=r"not so within 0\.05 s: two objects are left"):
        await polling.eventually(probe, within_seconds=0.05)


async def test_the_last_answer_is_told_when_nothing_was_asserted() -> None:
    """An empty list and None are different stories."""
    with pytest.raises(AssertionError, match=r"the last answer was \[\]"):
        await polling.eventually(list, within_seconds=0.05)


async def test_other_errors_end_the_waiting_at_once() -> None:
    """A mistake in the probe must not look like slowness."""
    with pytest.raises(ZeroDivisionError):
        await polling.eventually(lambda: 1 / 0, within_seconds=60)

"""Records to write, and lines of a spool to spoil."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from guard.audit import record

START_NS = 1_789_000_000_123_456_789


@pytest.fixture
def make_record() -> Callable[..., record.Record]:
    """Give a factory of records: each a second after the one before, with an id of its own."""
    numbers = itertools.count()

    def make(**fields: Any) -> record.Record:
        number = next(numbers)
        now_ns = START_NS + number * 1_000_000_000
        given: dict[str, Any] = {
            "id": record.new_id(now_ns, number.to_bytes(8, "big")),
            "time": record.timestamp(now_ns),
            "guard": "shop/shop-prod",
            "object": record.ObjectRef(
                group="apps", version="v1", kind="Deployment", namespace="shop", name="web"
            ),
            "verdict": "Denied",
            "user": "alice",
        }
        return record.Record(**(given | fields))

    return make


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give the root of a spool that does not exist yet."""
    return tmp_path / "state" / "spool"


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """Collect what is logged, as dictionaries."""
    with structlog.testing.capture_logs() as entries:
        yield entries

"""How quick it is, printed for a person (pytest -s). Nothing is asserted about time."""

import time
from pathlib import Path

import pytest

from guard.audit import intake, record, spool, store

RECORDS = 5_000


async def test_throughput_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An append costs an admission answer some microseconds; the store takes batches."""
    entries = [
        record.Record(
            id=record.new_id(time.time_ns(), number.to_bytes(8, "big")),
            time=record.timestamp(time.time_ns()),
            guard="shop/shop-prod",
            revision="main@3f2c1d9",
            object=record.ObjectRef(
                group="apps", version="v1", kind="Deployment", namespace="shop", name="web"
            ),
            verdict="Denied",
            operation="UPDATE",
            user="alice",
            groups=("dev", "system:authenticated"),
            changes=(
                record.FieldChange(path="spec.replicas", kind="changed", old=3, new=5, source=3),
            ),
        )
        for number in range(RECORDS)
    ]
    with spool.Spool(tmp_path / "spool", writer="webhook-1") as opened:
        started = time.perf_counter()
        for entry in entries:
            opened.append(entry)
        append_seconds = time.perf_counter() - started
    async with await store.Store.open(tmp_path / "audit.db") as target:
        started = time.perf_counter()
        assert await intake.Intake(tmp_path / "spool", target).drain_once() == RECORDS
        drain_seconds = time.perf_counter() - started

    with capsys.disabled():
        print(  # noqa: T201 -- the figures are what this test is for
            f"\n  append {append_seconds / RECORDS * 1e6:.1f} µs each,"
            f" drain {RECORDS / drain_seconds:,.0f} records/s"
        )

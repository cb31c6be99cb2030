"""`holdfast audit` against a real store, read while a writer has it open."""

import datetime as dt
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from guard.api.verdicts import Outcome, Verdict
from guard.audit import record, store

pytestmark = pytest.mark.integration

NOW = dt.datetime.now(dt.UTC)


def written(number: int, ago: dt.timedelta, **content: Any) -> record.Record:
    """Give a record of so long ago; ``number`` makes its id."""
    at_ns = int((NOW - ago).timestamp() * 1e9)
    return record.Record(
        id=record.new_id(at_ns, bytes([number] * 10)), time=record.timestamp(at_ns), **content
    )


DEPLOYMENT = record.ObjectRef(group="apps", kind="Deployment", namespace="shop", name="web")
CONFIG_MAP = record.ObjectRef(kind="ConfigMap", namespace="shop", name="conf")

RECORDS = [
    written(
        1,
        dt.timedelta(days=3),
        guard="shop/shop-prod",
        object=DEPLOYMENT,
        verdict=Verdict.DENIED,
        operation="UPDATE",
        user="bob",
        changes=(record.FieldChange(path="spec.replicas", kind="changed", old=3, new=1, source=3),),
    ),
    written(
        2,
        dt.timedelta(minutes=2),
        guard="shop/shop-prod",
        object=DEPLOYMENT,
        verdict=Verdict.FLAGGED,
        operation="DELETE",
        user="alice",
        dry_run=True,
    ),
    written(
        3,
        dt.timedelta(minutes=1),
        guard="bank/bank-prod",
        object=CONFIG_MAP,
        verdict=Verdict.RESTORED,
        outcome=Outcome.COMMITTED,
        field_manager="kubectl-edit",
        changes=(
            record.FieldChange(
                path="data.level", kind="changed", old="info", new="debug", source="info"
            ),
        ),
        duration_ms=3.0,
    ),
]


@pytest.fixture
async def _store(tmp_path: Path) -> AsyncIterator[None]:
    """Keep the store open for writing, as the guard process does."""
    async with await store.Store.open(tmp_path / "state" / "audit.db") as opened:
        await opened.insert(RECORDS)
        yield


pytest_store = pytest.mark.usefixtures("_store")


@pytest_store
async def test_the_log_is_listed_oldest_first(holdfast: Any) -> None:
    """All records are listed, oldest first, with dates since one is of another day."""
    result = holdfast("audit", env={"TZ": "UTC"})

    header, *lines = [re.sub(r" {2,}", "  ", line) for line in result.stdout.splitlines()]
    assert header == "TIME  VERDICT  USER  OBJECT  WHAT"
    assert [line.partition("  ")[2] for line in lines] == [
        "Denied  bob  Deployment shop/web  spec.replicas 3 -> 1",
        "Flagged  alice  Deployment shop/web  deleted (dry run)",
        (
            "Restored  -  ConfigMap shop/conf  data.level info -> debug, back to info in 3 ms"
            " (manager kubectl-edit)"
        ),
    ]
    assert [dt.datetime.fromisoformat(f"{line.partition('  ')[0]}Z") for line in lines] == [
        dt.datetime.fromisoformat(one.time).replace(microsecond=0) for one in RECORDS
    ]
    assert (result.returncode, result.stderr) == (0, "")


@pytest_store
@pytest.mark.parametrize(
    ("args", "numbers"),
    [
        (["--since", "1h", "--limit", "0"], [2, 3]),
        (["--until", "1h", "--object", "deploy/web"], [1]),
        (["--user", "alice", "--guard", "shop/shop-prod"], [2]),
        (["--verdict", "denied", "--verdict", "RESTORED"], [1, 3]),
        (["-n", "shop", "--limit", "2"], [2, 3]),
    ],
)
async def test_filters_choose_records(holdfast: Any, args: list[str], numbers: list[int]) -> None:
    """Every filter chooses what it says, and JSON is one list of whole records."""
    result = holdfast("audit", *args, "-o", "json")

    assert json.loads(result.stdout) == [
        json.loads(record.encode(RECORDS[number - 1])) for number in numbers
    ]
    assert result.returncode == 0


@pytest_store
async def test_nothing_found_is_said_and_no_error(holdfast: Any) -> None:
    """No record is a remark on standard error and exit status 0."""
    result = holdfast("audit", "--user", "nobody")

    assert (result.stdout, result.stderr) == ("", "No record matches.\n")
    assert result.returncode == 0


def test_a_store_that_is_not_there_is_an_error(holdfast: Any, tmp_path: Path) -> None:
    """Without a store the command says where it looked, and makes none."""
    result = holdfast("audit")

    assert result.returncode == 2
    assert f"there is no audit store at {tmp_path / 'state' / 'audit.db'}" in result.stderr
    assert not (tmp_path / "state").exists()

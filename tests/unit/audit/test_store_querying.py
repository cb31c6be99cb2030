"""Asking the store."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guard.audit import record, store

MakeRecord = Callable[..., record.Record]


def _of(kind: str, namespace: str, name: str) -> record.ObjectRef:
    return record.ObjectRef(kind=kind, namespace=namespace, name=name)


def _moment(seconds: int) -> dt.datetime:
    """Give the time of the record with this number (tests/unit/audit/conftest.py)."""
    start = dt.datetime.fromtimestamp(1_789_000_000, tz=dt.UTC)
    return start + dt.timedelta(seconds=seconds, microseconds=123_456)


CASES = [
    ("nothing", {}, [5, 4, 3, 2, 1, 0]),
    ("a name", {"object": "web"}, [5, 2, 1, 0]),
    ("kind and name", {"object": "Deployment/web"}, [5, 1, 0]),
    ("a kind in lower case", {"object": "deployment/web"}, [5, 1, 0]),
    ("a namespace", {"namespace": "shop"}, [5, 3, 2, 0]),
    ("name and namespace", {"object": "web", "namespace": "pay"}, [1]),
    ("a user", {"user": "bob"}, [3, 1]),
    ("a verdict", {"verdicts": ("Restored",)}, [4]),
    ("verdicts", {"verdicts": ("Restored", "Flagged")}, [4, 3]),
    ("a Guard", {"guard": "pay/pay-prod"}, [1]),
    ("since, included", {"since": _moment(4)}, [5, 4]),
    ("until, not included", {"until": _moment(1)}, [0]),
    ("a span", {"since": _moment(1), "until": _moment(3)}, [2, 1]),
    ("a limit takes the newest", {"limit": 2}, [5, 4]),
    ("no limit", {"limit": None}, [5, 4, 3, 2, 1, 0]),
    ("no match", {"object": "nobody"}, []),
]


@pytest.mark.parametrize(("criteria", "expected"), [case[1:] for case in CASES], ids=lambda _: "")
async def test_criteria_are_joined_and_the_newest_comes_first(
    tmp_path: Path, make_record: MakeRecord, criteria: dict[str, Any], expected: list[int]
) -> None:
    """A record has to match every criterion that is given."""
    records = [
        make_record(object=_of("Deployment", "shop", "web")),
        make_record(object=_of("Deployment", "pay", "web"), user="bob", guard="pay/pay-prod"),
        make_record(object=_of("Service", "shop", "web")),
        make_record(object=_of("ConfigMap", "shop", "conf"), user="bob", verdict="Flagged"),
        make_record(object=_of("Namespace", "", "shop"), user="", verdict="Restored"),
        make_record(object=_of("Deployment", "shop", "web")),
    ]
    async with await store.Store.open(tmp_path / "audit.db") as opened:
        await opened.insert(records)
        found = await opened.query(store.Filter(**criteria))

    assert [records.index(each) for each in found] == expected


async def test_a_moment_in_another_zone_means_the_same_moment(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    """``--since`` may be typed in local time."""
    records = [make_record(), make_record()]
    there = dt.timezone(dt.timedelta(hours=5, minutes=30))
    async with await store.Store.open(tmp_path / "audit.db") as opened:
        await opened.insert(records)
        found = await opened.query(store.Filter(since=_moment(1).astimezone(there)))

    assert found == [records[1]]


async def test_counts_are_by_guard_and_verdict_without_dry_runs(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    """The figures of ``holdfast status`` count what happened, not what was tried out."""
    async with await store.Store.open(tmp_path / "audit.db") as opened:
        await opened.insert(
            [
                make_record(),  # Too old.
                make_record(verdict="Restored"),
                make_record(),
                make_record(),
                make_record(dry_run=True),
                make_record(guard="pay/pay-prod", verdict="Flagged"),
            ]
        )
        counts = await opened.counts_since(_moment(1))

    assert counts == {
        "shop/shop-prod": {"Restored": 1, "Denied": 2},
        "pay/pay-prod": {"Flagged": 1},
    }


async def test_a_damaged_row_does_not_hide_the_others(
    tmp_path: Path, make_record: MakeRecord, logged: list[Any]
) -> None:
    """It is logged by its id, and the rest is shown."""
    good, damaged = make_record(), make_record()
    async with await store.Store.open(tmp_path / "audit.db") as opened:
        await opened.insert([good])
        await opened.insert_lines([record.Line(damaged, b"{")])
        assert await opened.query(store.Filter()) == [good]

    assert [entry["id"] for entry in logged] == [damaged.id]

"""The JSON of a record: an upgrade contract."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.api import verdicts
from guard.audit import errors, record

MakeRecord = Callable[..., record.Record]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)  # fmt: skip
changes = st.builds(
    record.FieldChange,
    path=texts,
    kind=st.sampled_from(verdicts.ChangeKind),
    old=values | st.just(record.ABSENT),
    new=values | st.just(record.ABSENT),
    source=values | st.just(record.ABSENT),
)
records = st.builds(
    record.Record,
    id=texts,
    time=texts,
    object=st.builds(record.ObjectRef, kind=texts, namespace=texts, name=texts, uid=texts),
    verdict=st.sampled_from(verdicts.Verdict),
    user=texts,
    groups=st.lists(texts, max_size=3).map(tuple),
    extra=st.dictionaries(texts, st.lists(texts, max_size=2).map(tuple), max_size=2),
    dry_run=st.booleans(),
    changes=st.lists(changes, max_size=3).map(tuple),
    message=texts,
    duration_ms=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


@given(records)
def test_a_record_is_read_as_it_was_written(written: record.Record) -> None:
    """Whatever a name or a value holds, it comes back, and it stays on one line."""
    data = record.encode(written)

    assert record.decode(data) == written
    assert b"\n" not in data


def test_fields_are_named_as_kubernetes_names_them(make_record: MakeRecord) -> None:
    """People read records beside API objects, with the same tools."""
    fields = json.loads(record.encode(make_record()))

    assert {"fieldManager", "requestUid", "dryRun", "durationMs"} <= fields.keys()
    assert "resourceVersion" in fields["object"]


def test_an_absent_value_is_left_out_and_null_is_not(make_record: MakeRecord) -> None:
    """Null can be a value; absence is not one."""
    change = record.FieldChange(path="data.level", kind="removed", old=None)
    fields = json.loads(record.encode(make_record(changes=(change,))))

    assert fields["changes"] == [{"path": "data.level", "kind": "removed", "old": None}]


def test_a_record_of_a_newer_writer_is_read(make_record: MakeRecord) -> None:
    """A webhook that is upgraded first may use fields and words that the guard does not know."""
    newer = json.loads(record.encode(make_record()))
    newer |= {"schema": 2, "verdict": "Postponed", "outcome": "superseded", "previous": "00ff"}

    read = record.decode(json.dumps(newer).encode())

    assert (read.schema, read.verdict, read.outcome) == (2, "Postponed", "superseded")


def test_a_record_of_an_older_writer_is_read() -> None:
    """What the first version must give is enough for every later one."""
    oldest = {
        "schema": 1,
        "id": "01",
        "time": "2026-11-25T09:12:04.000000Z",
        "object": {"kind": "Namespace", "name": "shop"},
        "verdict": "Denied",
    }
    read = record.decode(json.dumps(oldest).encode())

    assert read.object.title == "Namespace shop"
    assert read.verdict == verdicts.Verdict.DENIED
    assert read.outcome == verdicts.Outcome.ATTEMPTED


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b"\xff", b'{"id": 3}', b"[" * 100_000, b'"\\ud800"']
)
def test_what_is_no_record_is_refused(data: bytes) -> None:
    """One kind of error for every way of being wrong."""
    with pytest.raises(errors.UnreadableRecord):
        record.decode(data)


@pytest.mark.parametrize("value", [object(), "\ud800", {("a",): 1}])
def test_a_value_that_is_no_json_is_refused_and_not_quoted(
    make_record: MakeRecord, value: Any
) -> None:
    """The error names the object; encoders' own errors would quote the value."""
    written = make_record(changes=(record.FieldChange(path="data.a", kind="changed", new=value),))
    with pytest.raises(errors.UnwritableRecord, match="Deployment shop/web") as caught:
        record.encode(written)

    assert caught.value.__cause__ is None


def test_records_cannot_be_changed(make_record: MakeRecord) -> None:
    """A record is evidence."""
    with pytest.raises(AttributeError):
        make_record().user = "bob"


def test_structs_ignore_no_type_on_reading() -> None:
    """A number where a name belongs is damage, not a name."""
    with pytest.raises(errors.UnreadableRecord) as caught:
        record.decode(b'{"id":"1","time":"","object":{"kind":1,"name":""},"verdict":""}')

    assert isinstance(caught.value.__cause__, msgspec.ValidationError)


@pytest.mark.parametrize(
    ("now_ns", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_700_000_000_000_000_999, "2023-11-14T22:13:20.000000Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456Z"),
        (1_700_000_000_999_999_999, "2023-11-14T22:13:20.999999Z"),
    ],
)
def test_times_are_rfc_3339_in_utc_with_microseconds(now_ns: int, expected: str) -> None:
    """Always as long, so that they sort as text."""
    assert record.timestamp(now_ns) == expected


def test_a_datetime_is_written_like_a_timestamp() -> None:
    """Filters compare with what records hold, so the form must be the very same."""
    there = dt.timezone(dt.timedelta(hours=-8))
    moment = dt.datetime(2023, 11, 14, 14, 13, 20, tzinfo=there)

    assert record.format_time(moment) == "2023-11-14T22:13:20.000000Z"

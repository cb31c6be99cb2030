"""A filter as the query of a URL, and back."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as some

from guard.audit import errors, questions, store

TEXTS = some.text(max_size=20)
MOMENTS = some.none() | some.datetimes(
    timezones=some.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=30))]),
    min_value=dt.datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis takes a naive bound
)


@given(
    some.builds(
        store.Filter,
        object=TEXTS,
        namespace=TEXTS,
        user=TEXTS,
        guard=TEXTS,
        verdicts=some.lists(TEXTS, max_size=3).map(tuple),
        since=MOMENTS,
        until=MOMENTS,
        limit=some.none() | some.integers(min_value=1),
    )
)
def test_a_filter_comes_back_as_it_was(wanted: store.Filter) -> None:
    """Nothing is lost or widened on the way; moments are the same in any zone."""
    assert questions.read(questions.write(wanted)) == wanted


def test_an_empty_query_is_the_default_filter() -> None:
    """What is left out means any, and the newest hundred."""
    assert questions.read([]) == store.Filter()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("colour", "red"),
        ("since", "yesterday"),
        ("since", "2026-01-31T08:00:00"),
        ("until", ""),
        ("limit", "-1"),
        ("limit", "ten"),
        ("limit", ""),
        ("limit", "\u0661"),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, value: str) -> None:
    """An unknown parameter would widen the answer in silence, so it is an error that names it."""
    with pytest.raises(errors.BadQuery, match=name):
        questions.read([(name, value)])

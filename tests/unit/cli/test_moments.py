"""``--since`` and ``--until``: how long ago, or when."""

import datetime as dt

import pytest

from guard.cli import options

NOW = dt.datetime(2026, 1, 31, 12, 0, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1h", "2026-01-31T11:00:00+00:00"),
        ("1h30m", "2026-01-31T10:30:00+00:00"),
        ("2d", "2026-01-29T12:00:00+00:00"),
        ("1w", "2026-01-24T12:00:00+00:00"),
        ("90s", "2026-01-31T11:58:30+00:00"),
        ("2026-01-30T08:00:00Z", "2026-01-30T08:00:00+00:00"),
        ("2026-01-30T08:00:00+02:00", "2026-01-30T06:00:00+00:00"),
        ("2026-01-30", "2026-01-30T00:00:00+00:00"),
    ],
)
def test_moments_are_read(text: str, expected: str) -> None:
    """Durations count back from now; times are RFC 3339, or in the zone of now."""
    found = options.moment(text, now=NOW)

    assert dt.datetime.fromisoformat(expected) == found
    assert found.tzinfo is not None


@pytest.mark.parametrize("text", ["", "h", "1", "-1h", "1y", "yesterday", "99999999w", "1h 30m"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    """Everything else is an error, a duration beyond all time included."""
    with pytest.raises(ValueError, match=r"."):
        options.moment(text, now=NOW)

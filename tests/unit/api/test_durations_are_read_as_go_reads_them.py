"""Durations: what people write, and what is refused."""

import re

import hypothesis
import pytest
from hypothesis import strategies

from guard.api import durations, errors


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1m30s", 90.0),
        ("2h", 7200.0),
        ("1h30m", 5400.0),
        ("1h5s", 3605.0),
        ("1h1m1s", 3661.0),
        ("90m", 5400.0),
        ("0s", 0.0),
        ("007s", 7.0),
        ("99999h", 359_996_400.0),
    ],
)
def test_a_duration_becomes_seconds(text: str, seconds: float) -> None:
    """Hours, minutes and seconds add up, each of them optional and of any size."""
    assert durations.parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "s",
        "-1s",
        "+1s",
        "1.5h",
        "100ms",
        "1d",
        "30 s",
        " 30s",
        "30s ",
        "30s\n",
        "30S",
        "1s1m",
        "1m1h",
        "1m1m",
        "100000s",
        "\u0663s",
        "PT30S",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    """Units out of order, fractions, other alphabets, spaces: nothing is guessed."""
    with pytest.raises(errors.InvalidDuration, match="30s, 5m or 1h30m"):
        durations.parse_seconds(text)


@hypothesis.given(
    strategies.one_of(
        strategies.text(max_size=12),
        strategies.from_regex(durations.PATTERN, fullmatch=True),
        strategies.text("0123456789hms", max_size=12),
    )
)
def test_the_pattern_of_the_crd_and_the_parser_agree(text: str) -> None:
    """Whatever the API server lets through can be read, and nothing else can."""
    matches = re.fullmatch(durations.PATTERN, text) is not None

    if matches:
        assert durations.parse_seconds(text) >= 0
    else:
        with pytest.raises(errors.InvalidDuration):
            durations.parse_seconds(text)

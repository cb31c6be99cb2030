"""The YAML that we write: no reader takes a string for anything else."""

import hypothesis
import pytest
import yaml
from hypothesis import strategies

from guard.api import yamltext

JSON = strategies.recursive(
    strategies.one_of(
        strategies.none(),
        strategies.booleans(),
        strategies.integers(),
        strategies.text(),
        strategies.sampled_from(["y", "0o777", "1e3", "08", "a: b", "a #b", "x\ny\n", " x "]),
    ),
    lambda inner: strategies.one_of(
        strategies.lists(inner), strategies.dictionaries(strategies.text(), inner)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text",
    [
        "y",
        "Y",
        "n",
        "N",
        "yes",
        "no",
        "on",
        "Off",
        "true",
        "False",
        "null",
        "~",
        "",
        "inf",
        ".inf",
        "nan",
        "0o777",
        "0777",
        "0x1f",
        "1e3",
        "08",
        "1_000",
        "12:30:45",
        "22:22",
        "2026-01-02",
        "=",
        "<<",
        "1.0",
        "+1",
        "-1",
        ".5",
        "- a",
        "a: b",
        "a #b",
        "@a",
        "`a`",
        "{a}",
        "[a]",
        "*a",
    ],
)
def test_what_some_reader_takes_for_something_else_is_quoted(text: str) -> None:
    """Go's YAML 1.1 rules, PyYAML's and YAML 1.2's differ in exactly these."""
    assert yamltext.dump({"key": text}) == f"key: '{text}'\n"


@pytest.mark.parametrize("text", ["Guard", "holdfast.dev", "apps/v1", "in two words", "a-b_c"])
def test_plain_words_stay_plain(text: str) -> None:
    """People read these files."""
    assert yamltext.dump({"key": text}) == f"key: {text}\n"


@hypothesis.given(JSON)
def test_what_is_written_is_read_back(value: object) -> None:
    """Also control characters, line breaks, any key."""
    assert yaml.safe_load(yamltext.dump(value)) == value


def test_keys_are_sorted_and_nothing_is_an_alias() -> None:
    """The same content is the same text, whatever the order it was made in."""
    shared = ["x"]

    assert yamltext.dump({"b": shared, "a": shared}) == "a:\n- x\nb:\n- x\n"

"""Files named .json, and JSON in YAML files."""

import pytest

from guard.render import yaml


def test_values_in_a_row_are_documents_with_their_lines() -> None:
    """Go's decoder reads a stream of values; so do we."""
    stream = yaml.parse(b'\n{"a": 1}\n\n{"b": [2]} {"c": null}\n', file="a.json")

    assert [(one.value, one.line) for one in stream.documents] == [
        ({"a": 1}, 2),
        ({"b": [2]}, 4),
        ({"c": None}, 4),
    ]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("1.0", 1),
        ("1e3", 1000),
        ("9223372036854775807", 9223372036854775807),
        ("9223372036854775808", 9.223372036854775808e18),
        ("1.5", 1.5),
        ("-0.0", 0),
        ("1" + "0" * 300, 1e300),
    ],
)
def test_numbers_are_those_of_go(number: str, expected: float) -> None:
    """int64 where it fits, float64 where not."""
    stream = yaml.parse(f'{{"v": {number}}}'.encode(), file="a.json")

    assert expected == stream.documents[0].value["v"]
    assert type(expected) is type(stream.documents[0].value["v"])


def test_what_yaml_cannot_say_is_read_as_json() -> None:
    """Surrogate pairs are an error in YAML; kubectl tries JSON first, in any file."""
    stream = yaml.parse(rb'{"v": "\ud83d\ude00\/"}', file="a.yaml")

    assert stream.documents[0].value == {"v": "\N{GRINNING FACE}/"}


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ('{"a": 1, "a": 2}', "a.json:1", "twice"),
        ('\n{"a": {"b": 1, "b": 2}}', "a.json:2", "twice"),
        ('{"a": NaN}', "a.json:1", "infinite"),
        ('{"a": 1e400}', "a.json:1", "too large"),
        ('{"a": ' + "9" * 5000 + "}", "a.json:1", "too large"),
        (r'{"a": "\ud800"}', "a.json:1", "surrogate"),
        ('{"a": 1}\n{"b": hunter2}\n', "a.json:2", "no JSON"),
        ("a: 1\n", "a.json:1", "no JSON"),
        ('{"a":' * 300 + "1" + "}" * 300, "a.json:1", "nested"),
        ('{"a":' * 100_000, "a.json:1", "nested"),
    ],
)
def test_bad_json_is_a_fault_with_its_line_and_no_content(text: str, place: str, word: str) -> None:
    """Stricter than Go where Go takes one of two readings."""
    stream = yaml.parse(text.encode(), file="a.json")

    assert [place] == [one.place for one in stream.faults]
    assert word in str(stream.faults[0])
    assert "hunter2" not in str(stream.faults[0])

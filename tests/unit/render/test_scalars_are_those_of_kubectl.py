"""Plain scalars and keys against what kubectl answered; a test with the real one keeps the table.

Commit ids that read as floats, octal file modes, sexagesimal times and y/n as booleans are the
usual traps (kubernetes-sigs/kustomize#2863, helm/helm#13254, kcl-lang/kcl#2013).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from guard.render import scalars, yaml

TABLE = json.loads(
    Path(__file__).parents[2].joinpath("data", "yaml", "scalars.json").read_text("utf-8")
)


@pytest.mark.parametrize(("text", "expected"), TABLE["values"])
def test_a_plain_scalar_is_what_kubectl_makes_of_it(text: str, expected: Any) -> None:
    """Value and type are kubectl's, an integer beyond 64 bits being the float that it writes."""
    stream = yaml.parse(f"v: {text}\n".encode(), file="a.yaml")

    expected = scalars.normal(expected)
    assert not stream.faults
    assert expected == stream.documents[0].value["v"]
    assert type(expected) is type(stream.documents[0].value["v"])


@pytest.mark.parametrize(("text", "expected"), TABLE["keys"])
def test_a_plain_key_is_the_string_that_kubectl_makes_of_it(text: str, expected: str) -> None:
    """Numbers and booleans as keys become strings by the rules of sigs.k8s.io/yaml."""
    stream = yaml.parse(f"? {text}\n: v\n".encode(), file="a.yaml")

    assert {expected: "v"} == stream.documents[0].value


@pytest.mark.parametrize("text", [one for one, _ in TABLE["values"] if one])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quoted_scalar_is_always_text(text: str, quote: str) -> None:
    """Quotes end all guessing."""
    stream = yaml.parse(f"v: {quote}{text}{quote}\n".encode(), file="a.yaml")

    assert text == stream.documents[0].value["v"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('!!int "5"', 5),
        ("!!float 1", 1),
        ("!!str 5", "5"),
        ("!!str yes", "yes"),
        ('!!bool "yes"', True),
        ('!!null ""', None),
        ('!!float "1.5"', 1.5),
        ("! 12", "12"),
    ],
)
def test_the_tags_of_json_types_are_obeyed(text: str, expected: Any) -> None:
    """The few tags that mean something in JSON do what kubectl does with them."""
    stream = yaml.parse(f"v: {text}\n".encode(), file="a.yaml")

    assert expected == stream.documents[0].value["v"]
    assert type(expected) is type(stream.documents[0].value["v"])


def test_numbers_of_any_length_are_read_in_no_time() -> None:
    """Python refuses to convert over 4,300 digits with an error; a manifest must not cause it."""
    digits = "9" * 100_000

    stream = yaml.parse(f"a: {digits}\nb: 0x{digits}\nc: 0b{'1' * 100_000}".encode(), file="a.yaml")

    # Out of range for a float as well: Go leaves each of them as text.
    assert digits == stream.documents[0].value["a"]
    assert f"0x{digits}" == stream.documents[0].value["b"]

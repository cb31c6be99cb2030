"""Property: what is written as JSON is read back the same, as JSON and as YAML."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from guard.render import scalars, yaml

# libyaml takes no control characters but these, and JSON no half surrogate pairs.
TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t", max_codepoint=0xFFFD)
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_json_is_read_back_from_a_json_file(value: Any) -> None:
    """No value changes on the way."""
    stream = yaml.parse(json.dumps([value]).encode(), file="a.json")

    assert [[value]] == [one.value for one in stream.documents]


@given(VALUES)
def test_json_is_read_back_from_a_yaml_file(value: Any) -> None:
    """JSON is YAML in its flow form, with every string in quotes."""
    text = json.dumps({"v": value}, ensure_ascii=False)

    stream = yaml.parse(f"---\n{text}\n".encode(), file="a.yaml")

    assert [{"v": value}] == [one.value for one in stream.documents]


@given(st.text("0123456789+-._eExXoObBaA:", min_size=1, max_size=12))
def test_any_scalar_is_text_or_a_json_value(text: str) -> None:
    """Whatever looks like a number is one of the types of JSON, and within int64 if an int."""
    value = scalars.plain(text)

    assert isinstance(value, str | int | float | bool | None)
    if isinstance(value, str):
        assert text == value
    if isinstance(value, int):
        assert -(2**63) <= value < 2**63

"""The file in which the chart hands over the Guards of its values."""

import json
from typing import Any

import pytest

from guard.cli import apply

GUARD = {
    "apiVersion": "holdfast.dev/v1alpha1",
    "kind": "Guard",
    "metadata": {"name": "shop", "namespace": "shop"},
    "spec": {"source": {"git": {"url": "https://git.example/shop.git"}}},
}


def listed(*items: Any) -> bytes:
    """Write a List as the chart does."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)}).encode()


def test_guards_are_read_as_they_stand() -> None:
    """Nothing is added to them and nothing taken away."""
    assert apply.parsed(listed(GUARD, GUARD)) == [GUARD, GUARD]
    assert apply.parsed(listed()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "unexpected end of data"),
        (b"[]", "no List of Guards"),
        (b'{"kind": "Guard"}', "no List of Guards"),
        (listed("guard"), "item 1 is no Guard"),
        (listed(GUARD, {**GUARD, "kind": "ConfigMap"}), "item 2 is no Guard"),
        (listed({**GUARD, "apiVersion": "holdfast.dev/v9"}), "item 1 is no Guard"),
        (listed({**GUARD, "metadata": {"name": "shop"}}), "with name and namespace"),
        (listed({**GUARD, "metadata": None}), "with name and namespace"),
    ],
)
def test_what_is_no_list_of_guards_is_refused(content: bytes, words: str) -> None:
    """With the item that is wrong."""
    with pytest.raises(ValueError, match=words):
        apply.parsed(content)

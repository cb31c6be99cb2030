"""Two spellings of one value are the same; two values are not."""

import decimal
from typing import Any

import pytest

from guard.fields import normal


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (False, 0, False),
        (True, True, True),
        ("1", 1, False),
        (None, None, True),
        (None, {}, False),
        ({}, [], False),
        ({"a": [1, {"b": 2.0}]}, {"a": [1.0, {"b": 2}]}, True),
        ({"a": [1, {"b": True}]}, {"a": [1, {"b": 1}]}, False),
        ([1, 2], [2, 1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": None}, {}, False),
    ],
)
def test_json_equality(one: Any, other: Any, equal: bool) -> None:  # noqa: FBT001  # a table
    """Numbers by value, booleans apart from them, lists in order."""
    assert normal.equal(one, other) is equal
    assert normal.equal(other, one) is equal
    assert (normal.canonical(one) == normal.canonical(other)) is equal


def test_what_is_too_deep_to_compare_is_not_called_equal() -> None:
    """It is reported rather than waved through."""
    one: list[Any] = []
    other: list[Any] = []
    for _ in range(5_000):
        one, other = [one], [other]

    assert not normal.equal(one, other)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("1000m", "1"),
        ("1", "1"),
        ("0.5", "0.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("500m", "0.5"),
        ("1024Mi", "1073741824"),
        ("1Gi", "1073741824"),
        ("1000M", "1000000000"),
        ("0.5e1", "5"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1E-3", "0.001"),
        ("2E", "2000000000000000000"),
        ("1Ei", "1152921504606846976"),
        ("-1k", "-1000"),
        ("+3", "3"),
        ("100n", "0.0000001"),
        ("0.1n", "0.000000001"),  # rounded up, away from zero
        ("7u", "0.000007"),
        (2, "2"),
        (0.1, "0.1"),
    ],
)
def test_quantities_are_read(text: str | float, value: str) -> None:
    """Grammar of k8s.io/apimachinery/pkg/api/resource."""
    assert normal.quantity(text) == decimal.Decimal(value)


@pytest.mark.parametrize(
    "text", ["", "m", "1mm", "1 m", "1ki", "1Km", "NaN", "inf", "1e", "1e99999999", "0x1", "1" * 65]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    """And nothing makes it compute for long."""
    with pytest.raises(ValueError, match="no quantity"):
        normal.quantity(text)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("0.5e1", "5"),
        (1, "1"),
        (0.5, "500m"),
        ("3072Mi", "3Gi"),
        ("1000M", "1G"),
        ("aGVs\nbG8=\n", "aGVsbG8="),
        ("aGVs\r\nbG8=", "aGVsbG8="),
        (2.0, 2),
        ({"kind": "User"}, {"kind": "User", "apiGroup": "rbac.authorization.k8s.io"}),
        ([{"port": 53}], [{"port": 53, "protocol": "TCP"}]),
        ({"matchLabels": {}}, {}),
        ({"a": {"cpu": "1000m"}, "no": False, "zero": 0}, {"a": {"cpu": "1", "b": 2}}),
        (None, "anything"),
    ],
)
def test_what_the_server_makes_of_a_value_is_the_same(sent: Any, stored: Any) -> None:
    """argo-cd#21135, argo-cd#897: spellings are no drift."""
    assert normal.same_value(sent, stored)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("500m", "600m"),
        (3, 9),
        ("image:1", "image:2"),
        ("hello\nworld", "helloworld!"),
        ("two words\n", "two words"),
        ([1], [1, 2]),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ({"a": 1}, [1]),
        ([1], {"a": 1}),
        (True, "true"),
        (True, 1),
        (1, True),
        ("80", 80),
    ],
)
def test_another_value_is_not_the_same(sent: Any, stored: Any) -> None:
    """Another webhook has rewritten it, and that is said."""
    assert not normal.same_value(sent, stored)


def test_numbers_beyond_64_bits_and_lone_surrogates_have_a_canonical_text() -> None:
    """The quick JSON writer refuses them."""
    assert normal.canonical({"b": 2**80, "a": 1.0}) == '{"a":1,"b":1208925819614629174706176}'
    assert normal.canonical("\ud800") == r'"\ud800"'

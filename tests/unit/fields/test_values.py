"""Values are found by path, and objects are cut down to what is declared of them."""

from typing import Any

import pytest

from guard.fields import paths, values
from guard.fields.fieldset import FieldSet, Leaf
from guard.fields.paths import Field, Index, Key, Value
from guard.fields.values import MISSING

OBJ: dict[str, Any] = {
    "metadata": {"labels": {"app": "web", "team": "shop"}, "finalizers": ["b", "a"]},
    "spec": {
        "nothing": None,
        "strategy": {"type": "RollingUpdate"},
        "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "name": "tcp"}],
        "env": [
            {"name": "B", "value": "2"},
            {"name": "A", "value": "1"},
            {"name": "A", "value": "3"},
        ],
        "list": [10, 20, 30],
    },
}
SPEC = Field("spec")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((), OBJ),
        ((SPEC, Field("nothing")), None),
        ((SPEC, Field("gone")), MISSING),
        ((SPEC, Field("gone"), Field("too")), MISSING),
        ((SPEC, Field("env"), Key((("name", "B"),)), Field("value")), "2"),
        ((SPEC, Field("env"), Key((("name", "A"),)), Field("value")), "1"),
        ((SPEC, Field("env"), Field("name")), MISSING),
        (
            (SPEC, Field("ports"), Key((("port", 53), ("protocol", "TCP"))), Field("name")),
            "tcp",
        ),
        (
            (SPEC, Field("ports"), Key((("port", 53), ("protocol", None))), Field("name")),
            "tcp",
        ),
        ((Field("metadata"), Field("finalizers"), Value("a")), "a"),
        ((Field("metadata"), Field("finalizers"), Value("c")), MISSING),
        ((SPEC, Field("list"), Index(1)), 20),
        ((SPEC, Field("list"), Index(3)), MISSING),
        ((SPEC, Field("strategy"), Index(0)), MISSING),
    ],
)
def test_a_value_is_found_by_its_path(path: paths.Path, value: Any) -> None:
    """Items by key, with known defaults of key fields; of two with one key, the first."""
    assert values.get(OBJ, path) is value or values.get(OBJ, path) == value


def test_missing_is_false_and_says_its_name() -> None:
    """So that a log shows it for what it is."""
    assert not MISSING
    assert repr(MISSING) == "MISSING"


def test_a_projection_holds_the_declared_and_the_keys_of_items() -> None:
    """In the object's own order, all items of one key included."""
    declared = FieldSet.from_v1(
        {
            "f:metadata": {
                "f:labels": {"f:app": {}, "f:gone": {}},
                "f:finalizers": {'v:"a"': {}, 'v:"c"': {}},
            },
            "f:spec": {
                "f:nothing": {},
                "f:strategy": {"p:": {}},
                "f:ports": {'k:{"port":53,"protocol":"TCP"}': {".": {}, "f:name": {}}},
                "f:env": {
                    'k:{"name":"A"}': {".": {}, "f:value": {}},
                    'k:{"name":"B"}': {".": {}, "f:gone": {}},
                },
                "f:list": {"i:1": {}},
            },
        }
    )

    projected = values.project(OBJ, declared)

    assert projected == {
        "metadata": {"labels": {"app": "web"}, "finalizers": ["a"]},
        "spec": {
            "nothing": None,
            "strategy": {},
            "ports": [{"port": 53, "name": "tcp"}],
            "env": [{"name": "B"}, {"name": "A", "value": "1"}, {"name": "A", "value": "3"}],
            "list": [None, 20],
        },
    }
    assert values.project(projected, declared) == projected


def test_nothing_is_left_where_nothing_is_declared() -> None:
    """An object that has lost everything projects to an empty one."""
    assert values.project(OBJ, FieldSet.from_v1({"f:data": {"f:a": {}}})) == {}
    assert values.project({}, FieldSet.from_v1({"f:data": {"f:a": {}}})) == {}


def test_a_shape_that_is_not_the_declared_one_is_as_if_it_were_not_there() -> None:
    """A text where a struct was, a number where a list was."""
    declared = FieldSet.from_v1(
        {"f:a": {"f:b": {}}, "f:c": {'k:{"name":"x"}': {".": {}, "f:v": {}}}}
    )

    assert values.project({"a": "text", "c": 5}, declared) == {}
    assert values.project({"a": [1], "c": {"name": "x"}}, declared) == {}
    assert values.project({"a": None, "c": ["x", None, {"name": {}}]}, declared) == {}


def test_content_of_an_empty_struct_is_left_out_only_where_it_has_an_owner() -> None:
    """The managed fields tell a struct from a map that is one value."""
    declared = FieldSet.of([((Field("a"),), Leaf.EMPTY), ((Field("b"),), Leaf.EMPTY)])
    obj = {
        "metadata": {
            "managedFields": [{"manager": "x", "fieldsV1": {"f:a": {"f:x": {}}, "f:b": {}}}]
        },
        "a": {"x": 1},
        "b": {"x": 1},
    }

    assert values.project(obj, declared) == {"a": {}, "b": {"x": 1}}

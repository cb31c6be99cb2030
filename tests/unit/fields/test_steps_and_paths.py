"""Steps of fieldsV1 are read, written, shown to people and turned into JSON pointers."""

from typing import Any

import pytest

from guard.fields import errors, paths
from guard.fields.paths import Field, Index, Key, Value

APP = Key((("name", "app"),))
HTTP = Key((("containerPort", 8080), ("protocol", "TCP")))


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("f:replicas", Field("replicas")),
        ("f:app.kubernetes.io/name", Field("app.kubernetes.io/name")),
        ("f:", Field("")),
        ("f:a:b", Field("a:b")),
        ('k:{"name":"app"}', APP),
        ('k:{"containerPort":8080,"protocol":"TCP"}', HTTP),
        ('v:"example.org/x"', Value("example.org/x")),
        ("v:5", Value(5)),
        ("i:3", Index(3)),
    ],
)
def test_a_step_is_read_and_written_back(text: str, step: paths.Step) -> None:
    """Reading and writing are each other's inverse."""
    assert paths.parse_step(text) == step
    assert paths.format_step(step) == text


def test_equal_steps_are_one_object() -> None:
    """Ten thousand objects name the same fields: each step is kept once."""
    assert paths.parse_step('k:{"name":"x"}') is paths.parse_step('k:{"name":"x"}')


def test_a_key_is_the_same_in_any_order_of_its_fields() -> None:
    """The server sorts them, other writers may not."""
    assert paths.parse_step('k:{"protocol":"TCP","containerPort":8080}') == HTTP


def test_true_and_one_are_different_steps() -> None:
    """Python says True == 1; JSON does not."""
    assert Value(value=True) != Value(1)
    assert Key((("on", True),)) != Key((("on", 1),))
    assert Value(1.0) == Value(1)


@pytest.mark.parametrize(
    "text", ["", "x:a", "replicas", "k:[]", "k:{}", "k:5", 'k:{"a":{}}', "v:{", "i:first", "."]
)
def test_what_is_no_step_is_refused_with_a_sentence(text: str) -> None:
    """Managed fields may be forged by anyone who may patch."""
    with pytest.raises(errors.UnreadableFields, match=r"^The managed fields hold a step"):
        paths.parse_step(text)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ((), ""),
        ((Field("spec"), Field("replicas")), "spec.replicas"),
        (
            (Field("spec"), Field("containers"), APP, Field("image")),
            "spec.containers[name=app].image",
        ),
        ((Field("ports"), HTTP), "ports[containerPort=8080,protocol=TCP]"),
        (
            (Field("metadata"), Field("labels"), Field("app.kubernetes.io/name")),
            'metadata.labels["app.kubernetes.io/name"]',
        ),
        ((Field("finalizers"), Value("example.org/x")), 'finalizers[="example.org/x"]'),
        ((Field("list"), Index(2)), "list[2]"),
        ((Field("data"), Field("a b")), 'data["a b"]'),
        ((Field("env"), Key((("name", "8080"),))), 'env[name="8080"]'),
        ((Field("env"), Key((("name", "true"),))), 'env[name="true"]'),
        ((Field("data"), Field("\x1b[31mred")), r'data["\u001b[31mred"]'),
        ((Field("data"), Field("\u202eevil")), r'data["\u202eevil"]'),
        ((Field("data"), Field("größe")), 'data["größe"]'),
    ],
)
def test_a_path_is_shown_as_a_person_would_write_it(path: paths.Path, shown: str) -> None:
    """Plain words stay plain, all else is quoted, and no control character is ever shown."""
    assert paths.readable(path) == shown


DEPLOYMENT: dict[str, Any] = {
    "metadata": {"labels": {"a/b~c": "1"}},
    "spec": {
        "containers": [
            {"name": "side"},
            {"name": "app", "ports": [{"containerPort": 8080}], "image": "x"},
        ],
        "finalizers": ["one", "two"],
    },
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), ""),
        ((Field("metadata"), Field("labels"), Field("a/b~c")), "/metadata/labels/a~1b~0c"),
        (
            (Field("spec"), Field("containers"), APP, Field("image")),
            "/spec/containers/1/image",
        ),
        (
            (Field("spec"), Field("containers"), APP, Field("ports"), HTTP),
            "/spec/containers/1/ports/0",
        ),
        ((Field("spec"), Field("finalizers"), Value("two")), "/spec/finalizers/1"),
        ((Field("spec"), Field("replicas")), "/spec/replicas"),
    ],
)
def test_a_pointer_has_the_positions_of_this_very_object(path: paths.Path, expected: str) -> None:
    """Lists are named by key but patched by position; an omitted protocol is TCP."""
    assert paths.pointer(path, DEPLOYMENT) == expected


@pytest.mark.parametrize(
    "path",
    [
        (Field("spec"), Field("containers"), Key((("name", "gone"),)), Field("image")),
        (Field("spec"), Field("template"), Field("spec")),
        (Field("spec"), Field("finalizers"), Value("three")),
        (Field("spec"), Field("finalizers"), Field("x")),
        (Field("spec"), Field("finalizers"), Index(2)),
    ],
)
def test_a_pointer_to_what_is_not_there_is_refused(path: paths.Path) -> None:
    """A patch with a wrong position would change another item."""
    with pytest.raises(errors.NoSuchPath, match="The object has no spec"):
        paths.pointer(path, DEPLOYMENT)

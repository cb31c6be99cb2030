"""What an apply declared is read from the server's answer, and checked against what was sent."""

from typing import Any

import pytest

from guard.fields import declaration, errors, paths
from guard.fields.values import MISSING

MANAGER = "holdfast-1"


def declare(
    sent: dict[str, Any], stored: dict[str, Any], booked: dict[str, Any]
) -> declaration.Declaration:
    """Declare, with identity and managed fields added."""
    identity = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "web"}}
    entry = {"manager": MANAGER, "operation": "Apply", "fieldsV1": booked}
    metadata = {"name": "web", "uid": "1", "managedFields": [entry]}
    response = {**identity, **stored, "metadata": metadata}
    return declaration.declare(sent={**identity, **sent}, response=response, manager=MANAGER)


def test_values_in_the_servers_normal_form_are_expected_and_not_mutated() -> None:
    """argo-cd#21135: 1000m is 1."""
    declared = declare(
        {"spec": {"cpu": "1000m"}}, {"spec": {"cpu": "1"}}, {"f:spec": {"f:cpu": {}}}
    )

    assert declared.expected == {"spec": {"cpu": "1"}}
    assert declared.mutated == ()


def test_what_another_webhook_made_of_it_is_mutated_with_both_values() -> None:
    """The stored value is expected, or we would write for ever, but it is never silently right."""
    declared = declare(
        {"spec": {"replicas": 3, "image": "a"}},
        {"spec": {"replicas": 9}},
        {"f:spec": {"f:replicas": {}, "f:image": {}}},
    )

    assert declared.expected == {"spec": {"replicas": 9}}
    assert [
        (paths.readable(change.path), change.kind.value, change.old, change.new)
        for change in declared.mutated
    ] == [("spec.image", "mutated", "a", MISSING), ("spec.replicas", "mutated", 3, 9)]


@pytest.mark.parametrize(
    ("sent", "stored", "mark", "expected"),
    [
        ({}, {"type": "x"}, {"p:": {}}, {"f": {}}),
        ({}, {}, {"e:": {}}, {"f": {}}),
        ({}, MISSING, {"a:": {}}, {}),
        ([], MISSING, {"a:": {}}, {}),
        ("", MISSING, {"a:": {}}, {}),
        (0, MISSING, {"a:": {}}, {}),
        (False, MISSING, {"a:": {}}, {}),
        ([], [], {}, {"f": []}),
        ("", "", {}, {"f": ""}),
        ("", "10.96.0.7", {}, {"f": "10.96.0.7"}),
    ],
)
def test_an_empty_means_what_the_server_makes_of_it(
    sent: Any, stored: Any, mark: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Filled, shown, or left out: each is declared in its own way, and none is mutated."""
    holder = {} if stored is MISSING else {"f": stored}

    declared = declare({"spec": {"f": sent}}, {"spec": holder}, {"f:spec": {"f:f": {}}})

    assert declared.declared.to_v1() == {"f:spec": {"f:f": mark}}
    assert declared.expected == ({"spec": expected} if expected else {})
    assert declared.mutated == ()


@pytest.mark.parametrize("name", ["data", "labels"])
def test_an_empty_text_in_a_free_map_has_no_default(name: str) -> None:
    """There, only a webhook fills it."""
    declared = declare({name: {"a": ""}}, {name: {"a": "x"}}, {f"f:{name}": {"f:a": {}}})

    assert [change.new for change in declared.mutated] == ["x"]


def test_list_items_are_found_by_key_with_defaults_that_only_the_schema_knows() -> None:
    """The manifest may leave out a key field, and sort as it likes."""
    declared = declare(
        {"l": [{"door": "b", "floor": 2, "x": 1}, {"door": "a", "x": 2}], "s": ["y", "x"]},
        {"l": [{"door": "a", "floor": 1, "x": 2}, {"door": "b", "floor": 2, "x": 9}], "s": ["y"]},
        {
            "f:l": {
                'k:{"door":"a","floor":1}': {".": {}, "f:door": {}, "f:x": {}},
                'k:{"door":"b","floor":2}': {".": {}, "f:door": {}, "f:floor": {}, "f:x": {}},
            },
            "f:s": {'v:"x"': {}, 'v:"y"': {}},
        },
    )

    assert [(paths.readable(c.path), c.old, c.new) for c in declared.mutated] == [
        ("l[door=b,floor=2].x", 1, 9),
        ('s[="x"]', "x", MISSING),
    ]


def test_key_fields_need_no_place_of_their_own() -> None:
    """The step to the item names them already."""
    declared = declare(
        {"l": [{"name": "a", "x": 1}]},
        {"l": [{"name": "a", "x": 1}]},
        {"f:l": {'k:{"name":"a"}': {".": {}, "f:x": {}}}},
    )

    assert declared.expected == {"l": [{"name": "a", "x": 1}]}


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({"spec": {"a": 1, "b": 2}}, "spec.b"),
        ({"other": {"x": 1}}, "other"),
        ({"spec": {"a": 1, "c": {}}}, "spec.c"),
        ({"l": [{"name": "a"}, {"name": "b"}]}, r"l\[1\]"),
        ({"s": ["x", "y"]}, r"s\[1\]"),
    ],
)
def test_a_sent_path_that_is_not_booked_is_an_error_that_names_it(
    sent: dict[str, Any], path: str
) -> None:
    """It could not be guarded, and nobody would notice."""
    booked = {
        "f:spec": {"f:a": {}},
        "f:l": {'k:{"name":"a"}': {".": {}, "f:name": {}}},
        "f:s": {'v:"x"': {}},
    }
    with pytest.raises(errors.NotBooked, match=rf"^Thing web: .* has not booked {path},"):
        declare(sent, sent, booked)


def test_the_short_list_of_what_needs_no_place() -> None:
    """Identity, locks, read-only metadata, empty keyed lists, and null, which says nothing."""
    declared = declare(
        {
            "metadata": {
                "name": "web",
                "namespace": "shop",
                "uid": "1",
                "resourceVersion": "5",
                "creationTimestamp": None,
                "labels": {"a": "b"},
            },
            "status": {"x": 1},
            "spec": {"env": [], "nothing": None, "a": 1},
        },
        {"spec": {"a": 1}},
        {"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:a": {}}},
    )

    assert declared.expected == {"spec": {"a": 1}}


def test_an_answer_without_our_entry_is_an_error() -> None:
    """A server or a webhook that strips managed fields leaves nothing to guard by."""
    obj = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "web"}}

    with pytest.raises(errors.NotBooked, match=r"Thing web: .* booked nothing for holdfast-1"):
        declaration.declare(sent=obj, response=obj, manager=MANAGER)

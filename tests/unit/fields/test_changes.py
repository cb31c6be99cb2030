"""What changed of what is declared is found, as exactly the paths that a person would name."""

import copy
from typing import Any

import pytest

from guard.api.verdicts import ChangeKind
from guard.fields import changes, digests, fieldset, paths
from guard.fields.fieldset import FieldSet, Leaf
from guard.fields.paths import Field
from guard.fields.values import MISSING

OLD: dict[str, Any] = {
    "metadata": {"labels": {"app": "web", "empty": ""}, "finalizers": ["x", "y"]},
    "spec": {
        "replicas": 3,
        "paused": True,
        "args": ["a", "b"],
        "selector": {"matchLabels": {"app": "web"}},
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2", "extra": 1}],
        "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "name": "tcp"}],
        "note": None,
    },
}
DECLARED = FieldSet.from_v1(
    {
        "f:metadata": {
            "f:labels": {"f:app": {}, "f:empty": {}},
            "f:finalizers": {'v:"x"': {}, 'v:"y"': {}},
        },
        "f:spec": {
            "f:replicas": {},
            "f:paused": {},
            "f:args": {},
            "f:selector": {},
            "f:note": {},
            "f:env": {
                'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
                'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}},
            },
            "f:ports": {'k:{"port":53,"protocol":"TCP"}': {".": {}, "f:name": {}}},
        },
    }
)


def shown(old: Any, new: Any, declared: FieldSet = DECLARED) -> list[tuple[str, str, Any, Any]]:
    """Give the changes in a form that reads well in a table."""
    found = changes.changes(old=old, new=new, declared=declared)
    differs = digests.digest(old, declared) != digests.digest(new, declared)
    assert bool(found) is differs, "digests and changes disagree"
    return [(paths.readable(c.path), c.kind.value, c.old, c.new) for c in found]


def edited(edit: Any) -> dict[str, Any]:
    """Give a copy of the old object after an edit in place."""
    new = copy.deepcopy(OLD)
    edit(new)
    return new


def test_nothing_has_changed_in_a_copy_or_in_the_object_itself() -> None:
    """Equality is by content."""
    assert shown(OLD, copy.deepcopy(OLD)) == []
    assert shown(OLD, OLD) == []
    assert shown(OLD, edited(lambda o: o["spec"].update(replicas=3.0))) == []


EDITS = [
    (lambda o: o["spec"].update(replicas=5), [("spec.replicas", "changed", 3, 5)]),
    (lambda o: o["spec"].pop("replicas"), [("spec.replicas", "removed", 3, MISSING)]),
    (lambda o: o["spec"].update(paused=1), [("spec.paused", "changed", True, 1)]),
    (lambda o: o["spec"]["args"].reverse(), [("spec.args", "changed", ["a", "b"], ["b", "a"])]),
    (
        lambda o: o["spec"]["selector"]["matchLabels"].update(x="y"),
        [
            (
                "spec.selector",
                "changed",
                {"matchLabels": {"app": "web"}},
                {"matchLabels": {"app": "web", "x": "y"}},
            )
        ],
    ),
    (
        lambda o: o["spec"]["env"][1].update(value="3"),
        [("spec.env[name=B].value", "changed", "2", "3")],
    ),
    (
        lambda o: o["spec"]["env"][1].pop("value"),
        [("spec.env[name=B].value", "removed", "2", MISSING)],
    ),
    (
        lambda o: o["spec"]["env"].pop(1),
        [("spec.env[name=B]", "removed", {"name": "B", "value": "2"}, MISSING)],
    ),
    (
        lambda o: o["spec"]["env"][1].update(name="C"),
        [("spec.env[name=B]", "removed", {"name": "B", "value": "2"}, MISSING)],
    ),
    (
        lambda o: o["spec"].pop("env"),
        [
            ("spec.env[name=A]", "removed", {"name": "A", "value": "1"}, MISSING),
            ("spec.env[name=B]", "removed", {"name": "B", "value": "2"}, MISSING),
        ],
    ),
    (
        lambda o: o["spec"]["ports"][1].update(name="dns"),
        [("spec.ports[port=53,protocol=TCP].name", "changed", "tcp", "dns")],
    ),
    (
        lambda o: o["metadata"]["finalizers"].remove("x"),
        [('metadata.finalizers[="x"]', "removed", "x", MISSING)],
    ),
    (
        lambda o: o["metadata"]["labels"].pop("empty"),
        [("metadata.labels.empty", "removed", "", MISSING)],
    ),
    (lambda o: o["spec"].pop("note"), [("spec.note", "removed", None, MISSING)]),
    (
        lambda o: o.pop("metadata"),
        [
            ('metadata.finalizers[="x"]', "removed", "x", MISSING),
            ('metadata.finalizers[="y"]', "removed", "y", MISSING),
            ("metadata.labels.app", "removed", "web", MISSING),
            ("metadata.labels.empty", "removed", "", MISSING),
        ],
    ),
    (
        lambda o: o["metadata"].update(labels="text"),
        [
            ("metadata.labels.app", "removed", "web", MISSING),
            ("metadata.labels.empty", "removed", "", MISSING),
        ],
    ),
]


@pytest.mark.parametrize(("edit", "expected"), EDITS)
def test_an_edit_is_found_as_exactly_its_path(edit: Any, expected: Any) -> None:
    """A whole list item that is gone is one change, a struct that is gone one for each leaf."""
    assert shown(OLD, edited(edit)) == expected


@pytest.mark.parametrize(("edit", "expected"), EDITS)
def test_the_way_back_is_found_at_the_same_paths(edit: Any, expected: Any) -> None:
    """A value that comes where none was is a change from MISSING."""
    back = shown(edited(edit), OLD)

    assert [one[0] for one in back] == [one[0] for one in expected]
    assert {one[1] for one in back} == {"changed"}


@pytest.mark.parametrize(
    "edit",
    [
        lambda o: o["spec"]["env"].reverse(),
        lambda o: o["metadata"]["finalizers"].reverse(),
        lambda o: o["spec"]["env"].insert(0, {"name": "C", "value": "9"}),
        lambda o: o["spec"]["env"][1].update(extra=2),
        lambda o: o["spec"].update(other=1),
        lambda o: o["spec"]["ports"].pop(0),
        lambda o: o["spec"]["ports"][1].update(protocol="TCP"),
        lambda o: o.update(status={"replicas": 1}),
    ],
)
def test_order_of_keyed_lists_and_what_is_not_declared_do_not_matter(edit: Any) -> None:
    """Additions are another question: they are extra, not changed."""
    assert shown(OLD, edited(edit)) == []


def test_a_second_item_of_a_declared_key_is_a_change_of_that_item() -> None:
    """Of two env entries with one name the last counts (kubernetes#58477): none is overlooked."""
    new = edited(lambda o: o["spec"]["env"].append({"name": "A", "value": "evil"}))
    both = [{"name": "A", "value": "1"}, {"name": "A", "value": "evil"}]

    assert shown(OLD, new) == [("spec.env[name=A]", "changed", both[0], both)]
    assert shown(new, OLD) == [("spec.env[name=A]", "changed", both, both[0])]
    assert shown(new, copy.deepcopy(new)) == []


@pytest.mark.parametrize("items", [None, "text", 5, {}, [None], ["A"], [{"name": {}}], [[]]])
def test_a_list_of_any_other_shape_is_a_list_without_its_items(items: Any) -> None:
    """A custom resource may hold anything."""
    found = shown(OLD, edited(lambda o: o["spec"].update(env=items)))

    assert [one[:2] for one in found] == [
        ("spec.env[name=A]", "removed"),
        ("spec.env[name=B]", "removed"),
    ]


A = Field("a")


@pytest.mark.parametrize(
    ("leaf", "old", "new", "kind"),
    [
        (Leaf.VALUE, "", MISSING, "removed"),
        (Leaf.VALUE, {}, {"x": 1}, "changed"),
        (Leaf.VALUE, MISSING, MISSING, None),
        (Leaf.PRESENCE, {"x": 1}, {"x": 2}, None),
        (Leaf.PRESENCE, {}, {"x": 2}, None),
        (Leaf.PRESENCE, {"x": 1}, MISSING, "removed"),
        (Leaf.EMPTY, {}, {}, None),
        (Leaf.EMPTY, {}, MISSING, "removed"),
        (Leaf.EMPTY, {}, {"x": 1}, "changed"),
        (Leaf.EMPTY, {}, "text", "changed"),
        (Leaf.ABSENT, MISSING, MISSING, None),
        (Leaf.ABSENT, MISSING, {}, None),
        (Leaf.ABSENT, MISSING, [], None),
        (Leaf.ABSENT, MISSING, "", None),
        (Leaf.ABSENT, MISSING, None, None),
        (Leaf.ABSENT, MISSING, 0, None),
        (Leaf.ABSENT, False, MISSING, None),
        (Leaf.ABSENT, MISSING, [{}], "changed"),
        (Leaf.ABSENT, MISSING, True, "changed"),
        (Leaf.ABSENT, [{}], [], "removed"),
    ],
)
def test_declared_empties(leaf: Leaf, old: Any, new: Any, kind: str | None) -> None:
    """What an empty in the source means depends on what the server made of it."""
    before = {} if old is MISSING else {"a": old}
    after = {} if new is MISSING else {"a": new}

    found = shown(before, after, FieldSet.of([((A,), leaf)]))

    assert [one[1] for one in found] == ([] if kind is None else [kind])


@pytest.mark.parametrize("leaf", [Leaf.EMPTY, Leaf.ABSENT])
@pytest.mark.parametrize(
    ("booked", "is_drift"),
    [
        ({"f:a": {}}, True),
        ({"f:a": {".": {}}}, True),
        ({}, True),
        ({"f:a": {"f:x": {}}}, False),
        ({"f:a": {".": {}, "f:x": {}}}, False),
    ],
)
def test_content_of_a_declared_empty_is_drift_unless_it_has_owners_of_its_own(
    leaf: Leaf,
    booked: Any,
    is_drift: bool,  # noqa: FBT001  # a table
) -> None:
    """A podSelector is one value: nobody can own a part of it. A volume's emptyDir is a struct."""
    old: dict[str, Any] = {} if leaf is Leaf.ABSENT else {"a": {}}
    new = {
        "metadata": {"managedFields": [{"manager": "kubectl-edit", "fieldsV1": booked}]},
        "a": {"x": 1},
    }

    assert bool(shown(old, new, FieldSet.of([((A,), leaf)]))) is is_drift


def test_nothing_is_drift_where_nothing_is_declared() -> None:
    """An empty set finds nothing between any two objects."""
    assert shown(OLD, {}, fieldset.EMPTY) == []


def test_changes_are_sorted_by_path() -> None:
    """So that messages and records are the same for the same edit."""
    found = changes.changes(old=OLD, new={}, declared=DECLARED)

    assert [paths.order(one.path) for one in found] == sorted(
        paths.order(one.path) for one in found
    )
    assert {one.kind for one in found} == {ChangeKind.REMOVED}

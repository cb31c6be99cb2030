"""Managed fields tell who owns what."""

from typing import Any

import pytest

from guard.fields import errors, managed
from guard.fields.fieldset import FieldSet
from guard.fields.paths import Field, Key

OBJ: dict[str, Any] = {
    "metadata": {
        "managedFields": [
            {
                "manager": "holdfast-1",
                "operation": "Apply",
                "time": "2026-01-01T00:00:00Z",
                "fieldsV1": {
                    "f:spec": {"f:image": {}, "f:env": {'k:{"name":"A"}': {".": {}, "f:value": {}}}}
                },
            },
            {"manager": "holdfast-1", "operation": "Update", "fieldsV1": {"f:spec": {"f:x": {}}}},
            {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:env": {}}}},
            {
                "manager": "kubectl",
                "operation": "Update",
                "apiVersion": "v2",
                "fieldsV1": {"f:spec": {"f:y": {}}},
            },
            {
                "manager": "kubectl",
                "operation": "Update",
                "subresource": "status",
                "fieldsV1": {"f:status": {"f:phase": {}}},
            },
        ]
    }
}


def test_an_entry_is_found_by_manager_and_operation() -> None:
    """Of the main resource only."""
    assert managed.entry(OBJ, "holdfast-1") == FieldSet.from_v1(
        OBJ["metadata"]["managedFields"][0]["fieldsV1"]
    )
    assert managed.entry(OBJ, "holdfast-1", operation="Update") == FieldSet.from_v1(
        {"f:spec": {"f:x": {}}}
    )
    assert managed.entry(OBJ, "kubectl") is None
    assert managed.entry({}, "kubectl") is None


def test_update_entries_of_several_api_versions_are_united() -> None:
    """A manager has one for each version that it has used."""
    assert managed.entry(OBJ, "kubectl", operation="Update") == FieldSet.from_v1(
        {"f:spec": {"f:env": {}, "f:y": {}}}
    )


def test_all_owners_are_given() -> None:
    """In the server's order, with what each has booked."""
    owners = managed.owners(OBJ)

    assert [owner.manager for owner in owners] == ["holdfast-1", "holdfast-1"] + ["kubectl"] * 3
    assert owners[0].time == "2026-01-01T00:00:00Z"
    assert owners[4].subresource == "status"
    assert managed.owners({"metadata": {"managedFields": None}}) == ()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((Field("spec"), Field("image")), ["Apply"]),
        ((Field("spec"), Field("env"), Key((("name", "A"),)), Field("value")), ["Apply", "Update"]),
        ((Field("spec"), Field("env")), ["Apply", "Update"]),
        ((Field("spec"), Field("other")), []),
    ],
)
def test_owners_of_a_path_book_it_or_what_is_above_or_beneath_it(
    path: Any, expected: list[str]
) -> None:
    """A whole list that is booked is booked with all its items."""
    assert [owner.operation for owner in managed.owners_of(OBJ, path)] == expected


def test_only_what_lies_beneath_a_path_makes_it_a_struct() -> None:
    """A dot and a leaf say nothing about what is inside."""
    key = Key((("containerPort", 1), ("protocol", "TCP")))
    fields = {"f:a": {".": {}}, "f:b": {'k:{"protocol":"TCP","containerPort":1}': {"f:c": {}}}}
    obj = {"metadata": {"managedFields": [{"fieldsV1": fields}, {}]}}

    assert not managed.is_booked_beneath(obj, (Field("a"),))
    assert managed.is_booked_beneath(obj, (Field("b"),))
    assert managed.is_booked_beneath(obj, (Field("b"), key))
    assert not managed.is_booked_beneath(obj, (Field("b"), key, Field("c")))
    assert not managed.is_booked_beneath(obj, (Field("x"), Field("y")))
    assert not managed.is_booked_beneath({}, (Field("b"),))


def test_a_forged_entry_that_cannot_be_read_is_an_error_of_ours() -> None:
    """The server checks what it stores; a review may still hold anything."""
    obj = {"metadata": {"managedFields": [{"manager": "x", "fieldsV1": {"nonsense": {}}}]}}

    with pytest.raises(errors.UnreadableFields):
        managed.owners(obj)

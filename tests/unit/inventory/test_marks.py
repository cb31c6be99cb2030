"""The mark is put on a copy, read back, and means something only on the object that it names."""

import copy
from typing import Any

import pytest

from guard.api import keys, names
from guard.inventory import mark

KEY = keys.ObjectKey("", "ConfigMap", "shop", "conf")
ORIGIN = mark.Origin("holdfast-system/holdfast", "shop/prod", KEY, "apps/ü.yaml")
OBJ: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "conf", "namespace": "shop", "labels": {"a": "b"}},
    "data": {"x": "y"},
}


def test_a_stamped_copy_carries_label_and_annotation() -> None:
    """The annotation's text is an upgrade contract."""
    before = copy.deepcopy(OBJ)

    stamped = mark.stamp(OBJ, guard_hash="0123", origin=ORIGIN)

    assert before == OBJ
    assert stamped["metadata"]["labels"] == {"a": "b", names.LABEL_GUARD: "0123"}
    assert stamped["metadata"]["annotations"] == {
        names.ANNOTATION_ORIGIN: (
            '{"file":"apps/ü.yaml","guard":"shop/prod",'
            '"installation":"holdfast-system/holdfast","object":"/ConfigMap/shop/conf"}'
        )
    }
    assert stamped["data"] is OBJ["data"]


def test_what_was_stamped_is_read_back() -> None:
    """And names the object itself."""
    stamped = mark.stamp(OBJ, guard_hash="0123", origin=ORIGIN)
    found = mark.read(stamped)

    assert found == mark.Mark("0123", ORIGIN)
    assert found is not None
    assert mark.is_own(stamped, found)


def test_a_mark_that_a_controller_copied_to_a_child_means_nothing() -> None:
    """Services hand their labels and annotations to EndpointSlices."""
    stamped = mark.stamp(OBJ, guard_hash="0123", origin=ORIGIN)
    child = {**stamped, "kind": "EndpointSlice"}
    found = mark.read(child)

    assert found is not None
    assert not mark.is_own(child, found)


def test_another_version_of_the_kind_is_the_same_object() -> None:
    """Versions are only ways of reading what is stored."""
    stamped = mark.stamp(OBJ, guard_hash="0123", origin=ORIGIN) | {"apiVersion": "v2"}
    found = mark.read(stamped)

    assert found is not None
    assert mark.is_own(stamped, found)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"installation":"a","guard":"b","object":"c"}']
)
def test_an_unreadable_annotation_names_no_object(text: str) -> None:
    """Anyone may write anything there."""
    stamped = mark.stamp(OBJ, guard_hash="0123", origin=ORIGIN)
    stamped["metadata"]["annotations"][names.ANNOTATION_ORIGIN] = text
    found = mark.read(stamped)

    assert found == mark.Mark("0123", None)
    assert found is not None
    assert not mark.is_own(stamped, found)


def test_fields_of_a_later_version_are_ignored() -> None:
    """An older webhook reads what a newer guard process wrote."""
    stamped = mark.stamp(OBJ, guard_hash="0123", origin=ORIGIN)
    annotations = stamped["metadata"]["annotations"]
    text = annotations[names.ANNOTATION_ORIGIN]
    annotations[names.ANNOTATION_ORIGIN] = text.replace("{", '{"later":{"a":1},', 1)

    assert mark.read(stamped) == mark.Mark("0123", ORIGIN)


@pytest.mark.parametrize(
    "metadata", [None, {}, {"labels": None}, {"labels": {}}, {"labels": {names.LABEL_GUARD: ""}}]
)
def test_an_object_without_the_label_has_no_mark(metadata: Any) -> None:
    """Whatever its annotations say."""
    assert mark.read({"metadata": metadata}) is None


def test_null_labels_of_a_manifest_are_as_none() -> None:
    """A manifest may say `labels:` and nothing more."""
    obj = {**OBJ, "metadata": {"name": "conf", "labels": None, "annotations": None}}

    assert mark.read(mark.stamp(obj, guard_hash="0123", origin=ORIGIN)) == mark.Mark("0123", ORIGIN)

"""What `holdfast release` takes off an object."""

from typing import Any

from guard.api import keys, names
from guard.cli import unmarking
from guard.inventory import mark

HASH = names.guard_hash(names.DEFAULT_INSTALLATION, "shop", "shop-prod")
OURS = {"manager": names.field_manager(HASH), "operation": "Apply"}
THEIRS = {"manager": "kubectl-edit", "operation": "Update"}
LOCK = {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
UNLABEL = {"op": "remove", "path": "/metadata/labels/holdfast.dev~1guard"}
UNANNOTATE = {"op": "remove", "path": "/metadata/annotations/holdfast.dev~1origin"}


def marked(guard: str = "shop-prod", *, managed: tuple[dict[str, str], ...] = ()) -> dict[str, Any]:
    """Make an object with the mark of a Guard in the namespace ``shop``."""
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "conf",
            "namespace": "shop",
            "resourceVersion": "7",
            "managedFields": list(managed),
        },
    }
    origin = mark.Origin(
        names.DEFAULT_INSTALLATION, f"shop/{guard}", keys.ObjectKey.of(obj), "conf.yaml"
    )
    guard_hash = names.guard_hash(names.DEFAULT_INSTALLATION, "shop", guard)
    return mark.stamp(obj, guard_hash=guard_hash, origin=origin)


def test_label_annotation_and_own_entries_go_under_the_lock_of_what_was_read() -> None:
    """Entries are removed from the end, so that each number still fits; others' stay."""
    patch = unmarking.patch_of(marked(managed=(OURS, THEIRS, OURS)), guard_hash=HASH)

    assert patch == [
        LOCK,
        UNLABEL,
        UNANNOTATE,
        {"op": "remove", "path": "/metadata/managedFields/2"},
        {"op": "remove", "path": "/metadata/managedFields/0"},
    ]


def test_entries_that_are_all_ours_are_cleared_by_one_empty_entry() -> None:
    """An empty list would leave them as they are."""
    patch = unmarking.patch_of(marked(managed=(OURS,)), guard_hash=HASH)

    assert patch[-1] == {"op": "replace", "path": "/metadata/managedFields", "value": [{}]}


def test_the_mark_of_another_guard_stays_and_our_entries_go() -> None:
    """Another Guard has taken the object over."""
    patch = unmarking.patch_of(marked("other", managed=(THEIRS, OURS)), guard_hash=HASH)

    assert patch == [LOCK, {"op": "remove", "path": "/metadata/managedFields/1"}]


def test_an_object_without_anything_of_ours_is_not_patched() -> None:
    """A second run changes nothing."""
    obj = {"metadata": {"name": "a", "resourceVersion": "7", "managedFields": [THEIRS]}}

    assert unmarking.patch_of(obj, guard_hash=HASH) == []


def test_a_broken_annotation_goes_with_our_label_only() -> None:
    """The label tells whose a text was that nobody can read."""
    broken = marked()
    broken["metadata"]["annotations"][names.ANNOTATION_ORIGIN] = "{}"

    assert unmarking.patch_of(broken, guard_hash=HASH) == [LOCK, UNLABEL, UNANNOTATE]
    del broken["metadata"]["labels"]
    assert unmarking.patch_of(broken, guard_hash=HASH) == []

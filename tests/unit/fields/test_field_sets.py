"""Field sets read and write fieldsV1, answer what they hold, and share what is equal."""

import copy
import gc
import pickle
import tracemalloc
import weakref
from typing import Any

import pytest

from guard.fields import errors, fieldset, paths
from guard.fields.fieldset import FieldSet, Leaf
from guard.fields.paths import Field, Key

V1: dict[str, Any] = {
    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
    "f:spec": {
        "f:containers": {'k:{"name":"app"}': {".": {}, "f:image": {}, "f:name": {}}},
        "f:replicas": {},
        "f:strategy": {},
    },
}
REPLICAS = (Field("spec"), Field("replicas"))
STRATEGY = (Field("spec"), Field("strategy"))
LABELS = (Field("metadata"), Field("labels"))


def test_what_is_read_is_written_back() -> None:
    """Including the dot that says that a struct itself is booked."""
    assert FieldSet.from_v1(V1).to_v1() == V1


def test_leaves_are_given_in_order_and_a_node_with_children_is_none() -> None:
    """A struct or list item that is booked together with its fields is judged by these."""
    shown = [paths.readable(path) for path, _ in FieldSet.from_v1(V1).leaves()]

    assert shown == [
        "metadata.labels.app",
        "spec.containers[name=app].image",
        "spec.containers[name=app].name",
        "spec.replicas",
        "spec.strategy",
    ]


@pytest.mark.parametrize(
    ("mark", "leaf"), [("p:", Leaf.PRESENCE), ("e:", Leaf.EMPTY), ("a:", Leaf.ABSENT)]
)
def test_leaves_that_say_empty_keep_saying_so_in_an_inventory(mark: str, leaf: Leaf) -> None:
    """These marks are our own addition to fieldsV1."""
    declared = FieldSet.of([(STRATEGY, leaf)])

    assert declared.to_v1() == {"f:spec": {"f:strategy": {mark: {}}}}
    assert FieldSet.from_v1(declared.to_v1()) is declared
    assert list(declared.leaves()) == [(STRATEGY, leaf)]


def test_membership_and_cover() -> None:
    """A leaf covers all that lies beneath it; a booked struct covers nothing by itself."""
    declared = FieldSet.from_v1(V1)

    assert REPLICAS in declared
    assert LABELS in declared
    assert (Field("spec"),) not in declared
    assert (*REPLICAS, Field("x")) not in declared
    assert declared.covers(REPLICAS)
    assert declared.covers((*STRATEGY, Field("type")))
    assert not declared.covers(LABELS)
    assert not declared.covers((*LABELS, Field("other")))
    assert not declared.covers(())
    assert not fieldset.EMPTY.covers(REPLICAS)


def test_a_union_has_the_paths_of_both() -> None:
    """Recorded paths and those of the entry on the old object are united by the webhook."""
    one = FieldSet.from_v1({"f:spec": {"f:replicas": {}}})
    other = FieldSet.from_v1({"f:spec": {"f:paused": {}}, "f:data": {"f:a": {}}})

    assert one.union(other).to_v1() == {
        "f:data": {"f:a": {}},
        "f:spec": {"f:paused": {}, "f:replicas": {}},
    }
    assert one.union(other) is other.union(one)
    assert one.union(fieldset.EMPTY) is one
    assert fieldset.EMPTY.union(one) is one


@pytest.mark.parametrize("leaf", [Leaf.PRESENCE, Leaf.EMPTY, Leaf.ABSENT])
def test_a_union_keeps_what_is_known_of_an_empty_leaf(leaf: Leaf) -> None:
    """Managed fields cannot tell it; the inventory can."""
    known = FieldSet.of([(STRATEGY, leaf)])
    booked = FieldSet.of([(STRATEGY, Leaf.VALUE)])

    assert known.union(booked) is known
    assert booked.union(known) is known


def test_a_leaf_with_something_beneath_it_is_a_leaf_no_more() -> None:
    """The source first said an empty struct, then something in it."""
    empty = FieldSet.of([(STRATEGY, Leaf.EMPTY)])
    filled = FieldSet.of([((*STRATEGY, Field("type")), Leaf.VALUE)])

    assert empty.union(filled).to_v1() == {"f:spec": {"f:strategy": {".": {}, "f:type": {}}}}


def test_equal_sets_are_one_object_whatever_they_were_made_from() -> None:
    """Also after copying and pickling."""
    one, other = FieldSet.from_v1(V1), FieldSet.from_v1(copy.deepcopy(V1))

    assert one is other
    assert copy.deepcopy(one) is one
    assert pickle.loads(pickle.dumps(one)) is one  # noqa: S301  # our own bytes
    assert len({one, other, fieldset.EMPTY}) == 2
    assert one != V1


def test_thousands_of_objects_of_one_shape_take_the_memory_of_their_differences() -> None:
    """Only the node with the one odd key is new in each."""
    shape = {"f:metadata": {"f:labels": {f"f:l{n}": {} for n in range(20)}}}
    sets = [FieldSet.from_v1(shape)]
    tracemalloc.start()
    sets += [FieldSet.from_v1({**shape, "f:data": {f"f:{n % 100}": {}}}) for n in range(2_000)]
    gc.collect()
    size_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len({id(one) for one in sets}) == 101
    assert size_bytes < 400_000


def test_a_set_that_nobody_uses_is_forgotten() -> None:
    """The table of known sets holds none of them itself."""
    made = FieldSet.from_v1({"f:nobody": {"f:else": {}}})
    seen = weakref.ref(made)

    del made

    assert seen() is None


@pytest.mark.parametrize("fields", [None, [], "f:a", {"f:a": None}, {"f:a": []}, {"a": {}}])
def test_what_is_no_field_set_is_refused(fields: Any) -> None:
    """With an error of ours, never a crash."""
    with pytest.raises(errors.UnreadableFields):
        FieldSet.from_v1(fields)


def test_fields_nested_without_end_are_refused() -> None:
    """A forger may nest deeper than Python recurses."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"f:a": deep}

    with pytest.raises(errors.UnreadableFields, match="too deeply"):
        FieldSet.from_v1(deep)
    while deep:  # taken apart by hand: freeing it in one go recurses too
        deep = deep["f:a"]


def test_a_repr_names_the_paths() -> None:
    """For a failing test's sake."""
    declared = FieldSet.of([((Field("env"), Key((("name", "A"),))), Leaf.VALUE)])

    assert repr(declared) == "FieldSet(env[name=A])"

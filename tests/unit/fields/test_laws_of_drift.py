"""Laws that hold for any object and any declared set, tried with many."""

import copy
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from guard.fields import changes, digests, fieldset, paths, values
from guard.fields.fieldset import FieldSet, Leaf

NAMES = st.sampled_from(["a", "b", "c", "name"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, 1.0, 1.5])
    | st.sampled_from(["", "x", "y"])
)
ANY_JSON = st.recursive(
    SCALARS | st.text(max_size=3),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(NAMES, inside, max_size=3),
    max_leaves=10,
)
ITEMS = st.fixed_dictionaries(
    {"name": st.sampled_from(["x", "y", "z"])}, optional={"a": SCALARS, "b": ANY_JSON}
)
OBJECTS = st.dictionaries(
    NAMES,
    ANY_JSON | st.lists(ITEMS, max_size=4) | st.lists(st.sampled_from(["x", "y", 1]), max_size=3),
    max_size=4,
)

STEPS = (
    st.builds(paths.Field, NAMES)
    | st.builds(paths.Key, st.sampled_from([(("name", n),) for n in "xyz"]))
    | st.builds(paths.Value, st.sampled_from(["x", "y", 1]))
    | st.builds(paths.Index, st.integers(0, 2))
)
PATHS = st.lists(STEPS, min_size=1, max_size=4).map(tuple)
SETS = st.lists(st.tuples(PATHS, st.sampled_from(Leaf)), max_size=6).map(FieldSet.of)

ANY_STEPS = (
    st.builds(paths.Field, st.text(max_size=8))
    | st.builds(
        paths.Key,
        st.dictionaries(
            st.text(max_size=4), st.text() | st.integers() | st.booleans(), min_size=1
        ).map(lambda items: tuple(sorted(items.items()))),
    )
    | st.builds(paths.Value, ANY_JSON)
    | st.builds(paths.Index, st.integers(0, 1000))
)


@given(SETS)
def test_field_sets_survive_being_written(declared: FieldSet) -> None:
    """FieldsV1 and back is the very same set."""
    assert FieldSet.from_v1(declared.to_v1()) is declared
    assert FieldSet.of(declared.leaves()).to_v1().keys() == declared.to_v1().keys()


@given(st.lists(ANY_STEPS))
def test_any_path_can_be_shown_and_written(steps: list[paths.Step]) -> None:
    """No path crashes a message, and none brings a control character into it."""
    text = paths.readable(tuple(steps))

    assert text.isprintable()
    assert [paths.parse_step(paths.format_step(step)) for step in steps] == steps


@given(SETS, SETS)
def test_a_union_covers_what_both_cover(one: FieldSet, other: FieldSet) -> None:
    """And it does not matter which comes first, as far as membership goes."""
    united, turned = one.union(other), other.union(one)

    assert all(path in united and path in turned for path, _ in one.leaves())
    assert united.union(one) is united


@given(OBJECTS, OBJECTS, SETS)
def test_digests_are_equal_if_and_only_if_nothing_changed(
    old: dict[str, Any], new: dict[str, Any], declared: FieldSet
) -> None:
    """The webhook's question and the loop's have one answer."""
    found = changes.changes(old=old, new=new, declared=declared)
    same = digests.digest(old, declared) == digests.digest(new, declared)

    assert same is not bool(found)


@given(OBJECTS, SETS)
def test_an_object_is_no_drift_of_its_own_projection(
    obj: dict[str, Any], declared: FieldSet
) -> None:
    """What is expected is a projection; cutting it down again changes nothing."""
    expected = values.project(obj, declared)

    assert values.project(expected, declared) == expected
    assert changes.changes(old=expected, new=obj, declared=declared) == ()
    assert digests.digest(expected, declared) == digests.digest(obj, declared)


@given(st.lists(ITEMS, max_size=5, unique_by=lambda item: item["name"]), st.randoms())
def test_the_order_of_a_keyed_list_never_matters(
    items: list[dict[str, Any]], shuffling: random.Random
) -> None:
    """Nor does that of the fields in an item."""
    leaves = [((paths.Field("l"), paths.Key((("name", n),))), Leaf.VALUE) for n in "xyz"]
    turned = copy.deepcopy(items)
    shuffling.shuffle(turned)
    turned = [dict(reversed(item.items())) for item in turned]

    assert changes.changes(old={"l": items}, new={"l": turned}, declared=FieldSet.of(leaves)) == ()


@given(ANY_JSON, ANY_JSON, SETS)
def test_nothing_at_all_crashes_a_comparison(old: Any, new: Any, declared: FieldSet) -> None:
    """Reviews and custom resources hold anything."""
    changes.changes(old={"a": old}, new={"a": new}, declared=declared)
    digests.digest({"a": new}, declared)
    assert fieldset.EMPTY.union(declared) is declared

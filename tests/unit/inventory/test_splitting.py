"""Entries are cut into a power of two of shards, each small enough to be written often."""

from collections.abc import Callable

import pytest

from guard.api import keys
from guard.inventory import errors, shards
from guard.inventory.entries import Entry


def test_what_fits_stays_in_one_shard(make_entry: Callable[..., Entry]) -> None:
    """Also nothing at all: a Guard without objects has one empty shard."""
    entries = [make_entry(name) for name in ("b", "a")]

    assert shards.split(entries) == ((make_entry("a"), make_entry("b")),)
    assert shards.split([]) == ((),)


def test_what_does_not_fit_is_cut_and_nothing_is_lost(make_entry: Callable[..., Entry]) -> None:
    """Each object is in the shard that its key says, whatever else there is."""
    entries = [make_entry(f"web-{n}") for n in range(200)]

    cut = shards.split(entries, max_bytes=600)

    assert len(cut) in {4, 8, 16, 32}
    assert all(len(shards.encode(shard)) <= 600 for shard in cut)
    assert sorted(entry.key for shard in cut for entry in shard) == sorted(e.key for e in entries)
    for number, shard in enumerate(cut):
        assert {shards.place(entry.key, len(cut)) for entry in shard} <= {number}


def test_the_number_of_shards_may_be_kept(make_entry: Callable[..., Entry]) -> None:
    """So that they do not come and go."""
    assert len(shards.split([make_entry()], at_least=4)) == 4


def test_the_place_of_a_key_is_what_it_always_was() -> None:
    """Another hash would move every object of every inventory in an upgrade."""
    places = [shards.place(keys.ObjectKey("", "ConfigMap", "shop", f"c{n}"), 8) for n in range(8)]

    assert places == [2, 5, 7, 3, 2, 3, 4, 0]


def test_what_can_never_fit_is_an_error_that_says_so(make_entry: Callable[..., Entry]) -> None:
    """Rather than an endless search."""
    with pytest.raises(errors.OversizedInventory, match="inventory of 1 objects does not fit"):
        shards.split([make_entry()], max_bytes=10)

"""The webhook finds the entry of any guarded object, while shards come, change and go."""

import tracemalloc
from collections.abc import Callable

from guard.api import keys
from guard.inventory import cache, shards
from guard.inventory.entries import Entry, State

WEB = keys.ObjectKey("apps", "Deployment", "shop", "web")


def test_an_entry_is_found_by_key_and_by_resource(make_entry: Callable[..., Entry]) -> None:
    """Reviews of scale name the plural, and no kind."""
    index = cache.InventoryIndex()
    index.put_shard("hash", "shop/prod-0", [make_entry(), make_entry("api")])

    assert index.get(WEB) == ("hash", make_entry())
    assert index.by_resource("apps", "deployments", "shop", "web") == ("hash", make_entry())
    assert len(index) == 2


def test_what_is_not_there_is_not_found(make_entry: Callable[..., Entry]) -> None:
    """Most objects of a cluster are not guarded."""
    index = cache.InventoryIndex()
    index.put_shard("hash", "shop/prod-0", [make_entry()])

    assert index.get(keys.ObjectKey("", "Deployment", "shop", "web")) is None
    assert index.by_resource("apps", "deployments", "shop", "other") is None
    assert index.by_resource("apps", "statefulsets", "shop", "web") is None


def test_a_shard_that_is_put_again_replaces_what_it_held(make_entry: Callable[..., Entry]) -> None:
    """What it no longer holds is found no more."""
    index = cache.InventoryIndex()
    index.put_shard("hash", "shop/prod-0", [make_entry(), make_entry("api")])
    index.put_shard("hash", "shop/prod-0", [make_entry(state=State.DRIFTED)])

    assert index.get(WEB) == ("hash", make_entry(state=State.DRIFTED))
    assert index.by_resource("apps", "deployments", "shop", "api") is None
    assert len(index) == 1


def test_a_dropped_shard_takes_its_entries_along(make_entry: Callable[..., Entry]) -> None:
    """And one that is not known does nothing."""
    index = cache.InventoryIndex()
    index.put_shard("hash", "shop/prod-0", [make_entry()])

    index.drop_shard("hash", "shop/prod-1")
    index.drop_shard("hash", "shop/prod-0")
    index.drop_shard("hash", "shop/prod-0")

    assert index.get(WEB) is None
    assert index.by_resource("apps", "deployments", "shop", "web") is None
    assert len(index) == 0


def test_an_object_is_found_all_the_while_it_moves_between_shards(
    make_entry: Callable[..., Entry],
) -> None:
    """In whichever order the two events come."""
    both, moved = [make_entry(), make_entry("api")], [make_entry("api")]
    for first_new in (True, False):
        index = cache.InventoryIndex()
        index.put_shard("hash", "shop/prod-1" if first_new else "shop/prod-0", moved)
        index.put_shard("hash", "shop/prod-0" if first_new else "shop/prod-1", both)
        index.put_shard("hash", "shop/prod-0" if first_new else "shop/prod-1", [make_entry()])

        assert index.get(WEB) == ("hash", make_entry())
        assert index.get(moved[0].key) == ("hash", moved[0])


def test_two_guards_are_kept_apart(make_entry: Callable[..., Entry]) -> None:
    """An object that both claim is found until both are gone."""
    index = cache.InventoryIndex()
    index.put_shard("one", "shop/one-0", [make_entry()])
    index.put_shard("two", "shop/two-0", [make_entry()])
    assert index.get(WEB) == ("two", make_entry())

    index.drop_shard("two", "shop/two-0")
    assert index.get(WEB) == ("one", make_entry())


def test_ten_thousand_objects_stay_below_sixty_megabytes(
    make_entry: Callable[..., Entry],
) -> None:
    """As they come out of blobs, each with strings of its own."""
    blobs = [shards.encode(make_entry(f"web-{n}-{m}") for m in range(500)) for n in range(20)]
    tracemalloc.start()
    index = cache.InventoryIndex()
    for number, blob in enumerate(blobs):
        index.put_shard("hash", f"shop/prod-{number}", shards.decode(blob))
    size_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(index) == 10_000
    assert size_bytes < 15_000_000

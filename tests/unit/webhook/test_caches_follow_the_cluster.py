"""The caches hold what the watches told, and survive what should not be there."""

from typing import Any

import pytest
from support import gates

from guard.api import keys, names
from guard.api.verdicts import Mode
from guard.fields import fieldset, values
from guard.inventory import entries
from webhook import caches as caches_

HASH = names.guard_hash(gates.INSTALLATION, "shop", "shop-prod")
KEY = keys.ObjectKey("", "ConfigMap", "shop", "conf")


def entry(name: str = "conf") -> entries.Entry:
    """Make an entry that declares nothing."""
    return entries.Entry(
        gvk=keys.GroupVersionKind("", "v1", "ConfigMap"),
        key=keys.ObjectKey("", "ConfigMap", "shop", name),
        resource="configmaps",
        uid="u",
        declared=fieldset.EMPTY,
        digest="",
        replicas=None,
        state=entries.State.SYNCED,
        file="a.yaml",
    )


def report(*fields: dict[str, str]) -> dict[str, Any]:
    """Make a DriftReport about one object."""
    drift = {
        "object": {"kind": "ConfigMap", "namespace": "shop", "name": "conf"},
        "fields": list(fields),
    }
    return {
        "metadata": {"namespace": "shop", "name": "shop-prod"},
        "spec": {"guard": "shop-prod", "drifts": [drift]},
    }


@pytest.fixture
def caches() -> caches_.Caches:
    """Give caches that nobody has filled."""
    return caches_.Caches(installation=gates.INSTALLATION)


def test_they_say_what_has_not_been_listed(caches: caches_.Caches) -> None:
    """An empty list is an answer too."""
    assert caches.missing == caches_.SOURCES
    caches.filled(caches_.GUARDS)
    assert caches.missing == caches_.SOURCES[1:]


def test_a_guard_is_found_by_its_hash(caches: caches_.Caches) -> None:
    """The hash is what marks carry; no password of the URL is kept."""
    caches.put_guard(gates.guard_object("shop", "shop-prod", mode="Flag"))

    policy = caches.policy(HASH)

    assert policy is not None
    assert policy.mode is Mode.FLAG
    assert policy.url == "https://git.example/shop.git"
    assert policy.short_revision == "3f2c1d9"
    caches.drop_guard({"metadata": {"namespace": "shop", "name": "shop-prod"}})
    assert caches.policy(HASH) is None


def test_an_invalid_guard_keeps_its_last_valid_rules(caches: caches_.Caches) -> None:
    """A typo must not open the gate."""
    caches.put_guard(gates.guard_object("shop", "shop-prod"))
    broken = gates.guard_object("shop", "shop-prod", mode="Of")
    broken["status"]["appliedRevision"] = "main@4444444"

    caches.put_guard(broken)

    policy = caches.policy(HASH)
    assert policy is not None
    assert (policy.mode, policy.revision) == (Mode.DENY, "main@4444444")


def test_a_guard_that_never_was_valid_is_unknown(caches: caches_.Caches) -> None:
    """There are no rules to keep."""
    caches.put_guard({"metadata": {"namespace": "shop", "name": "shop-prod"}, "spec": {}})

    assert caches.policy(HASH) is None


@pytest.mark.parametrize(
    ("revision", "short"),
    [
        ("main@3f2c1d9", "3f2c1d9"),
        ("a" * 40, "aaaaaaa"),
        ("refs/heads/x@" + "b" * 64, "bbbbbbb"),
        ("v1.2", "v1.2"),
        ("", ""),
    ],
)
def test_a_revision_is_shortened(revision: str, short: str) -> None:
    """As people write it."""
    policy = caches_.Policy("shop", "g", Mode.DENY, revision=revision)

    assert policy.short_revision == short


def test_a_shard_is_taken_over_and_forgotten(caches: caches_.Caches) -> None:
    """A deletion that a list has found tells only the name."""
    caches.put_inventory(gates.inventory_object("shop", "shop-prod", entry()))
    assert caches.inventory.get(KEY) == (HASH, entry())

    caches.drop_inventory({"metadata": {"namespace": "shop", "name": "shop-prod-0"}})

    assert caches.inventory.get(KEY) is None


@pytest.mark.parametrize("data", ["", "%%%", "AAAA", None])
def test_an_unreadable_shard_leaves_the_one_before(caches: caches_.Caches, data: object) -> None:
    """What was known stays known."""
    caches.put_inventory(gates.inventory_object("shop", "shop-prod", entry()))
    broken = gates.inventory_object("shop", "shop-prod", entry())
    broken["spec"]["data"] = data

    caches.put_inventory(broken)

    assert caches.inventory.get(KEY) == (HASH, entry())


def test_a_shard_speaks_for_guards_of_its_own_namespace_only(caches: caches_.Caches) -> None:
    """Whoever may write Inventories in one namespace cannot claim another's Guard."""
    caches.put_inventory(gates.inventory_object("elsewhere", "shop-prod", entry()))

    found = caches.inventory.get(KEY)

    assert found is not None
    assert found[0] != HASH


def test_open_drifts_are_taken_over_and_forgotten(caches: caches_.Caches) -> None:
    """By path; absent is not null, and a value that was cut short is shown and equals nothing."""
    caches.put_report(
        report(
            {"path": "data.a", "kind": "changed", "expected": "3"},
            {"path": "data.b", "kind": "changed"},
            {"path": "data.c", "kind": "changed", "expected": '"long…'},
            {"path": "data.d", "kind": "changed", "expected": "null"},
        )
    )

    assert caches.drifts(HASH, KEY) == {
        "data.a": 3,
        "data.b": values.MISSING,
        "data.c": '"long…',
        "data.d": None,
    }
    caches.drop_report({"metadata": {"namespace": "shop", "name": "shop-prod"}})
    assert caches.drifts(HASH, KEY) == {}


def test_a_newer_report_replaces_the_one_before(caches: caches_.Caches) -> None:
    """What is not in it is in order again."""
    caches.put_report(report({"path": "data.a", "kind": "changed", "expected": "3"}))
    caches.put_report({**report(), "spec": {"guard": "shop-prod", "drifts": []}})

    assert caches.drifts(HASH, KEY) == {}

"""`holdfast explain`: who guards an object, and each declared field."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from guard.api import keys, names
from guard.cli import diff, explain, locating
from guard.fields import digests, fieldset
from guard.inventory import entries

GOLDEN = Path(__file__).parents[2] / "data" / "cli"
NOW = dt.datetime(2026, 1, 31, 12, 0, 0, tzinfo=dt.UTC)
HASH = "0123456789abcdef"
KEY = keys.ObjectKey("apps", "Deployment", "shop", "web")

DECLARED = {
    "f:spec": {
        "f:replicas": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"app"}': {
                        ".": {},
                        "f:name": {},
                        "f:image": {},
                        "f:env": {
                            'k:{"name":"DB_PASSWORD"}': {".": {}, "f:name": {}, "f:value": {}},
                        },
                    }
                }
            }
        },
    }
}


def live(replicas: int = 3) -> dict[str, Any]:
    """Give the live object; whoever changed its replicas owns them."""
    container = {
        "name": "app",
        "image": "web:1.2\x1b[2J",
        "env": [{"name": "DB_PASSWORD", "value": "swordfish"}],
    }
    managed = [
        {
            "manager": names.field_manager(HASH),
            "operation": "Apply",
            "time": "2026-01-31T08:00:00Z",
            "fieldsV1": DECLARED,
        }
    ]
    if replicas != 3:
        managed.append(
            {
                "manager": "kubectl",
                "operation": "Update",
                "time": "2026-01-31T11:00:00Z",
                "subresource": "scale",
                "fieldsV1": {"f:spec": {"f:replicas": {}}},
            }
        )
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "managedFields": managed},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}},
    }


def guarded(obj: dict[str, Any] | None, *, known: bool = True) -> locating.Guarded:
    """Give an object as it was found; ``known`` says whether the inventory has it."""
    declared = fieldset.FieldSet.from_v1(DECLARED)
    entry = entries.Entry(
        gvk=keys.GroupVersionKind("apps", "v1", "Deployment"),
        key=KEY,
        resource="deployments",
        uid="u1",
        declared=declared,
        digest=digests.digest(live(), declared),
        replicas=3,
        state=entries.State.SYNCED,
        file="apps/web.yaml",
    )
    return locating.Guarded(
        key=KEY,
        version="v1",
        live=obj,
        namespace="shop",
        guard="shop-prod",
        guard_hash=HASH,
        entry=entry if known else None,
        file="apps/web.yaml",
    )


GUARD = {
    "metadata": {"namespace": "shop", "name": "shop-prod"},
    "spec": {"admission": {"mode": "Flag"}, "drift": {"restore": False}},
    "status": {"source": "https://git.example/shop.git#apps", "appliedRevision": "main@3f2c1d9"},
}


def report(*fields: dict[str, str], message: str = "") -> diff.Report:
    """Give a report of this object with these fields."""
    return diff.report(
        {
            "metadata": {"namespace": "shop"},
            "spec": {
                "guard": "shop-prod",
                "revision": "main@3f2c1d9",
                "drifts": [
                    {
                        "object": {
                            "group": "apps",
                            "kind": "Deployment",
                            "namespace": "shop",
                            "name": "web",
                        },
                        "state": "Drifted",
                        "since": "2026-01-31T11:30:00Z",
                        "message": message,
                        "fields": list(fields),
                    }
                ],
            },
        }
    )


REPLICAS = {"path": "spec.replicas", "kind": "changed", "expected": "3", "live": "5"}


def fits(told: explain.Explanation) -> dict[str, str]:
    """Give what each field has to do with the source."""
    return {field.path.rpartition(".")[2]: field.fits for field in told.fields}


@pytest.mark.parametrize("form", ["table", "wide"])
def test_an_explanation_reads_like_this(form: str) -> None:
    """The text is as the file shows it, without a secret and without a control character."""
    told = explain.explanation(
        guarded(live(5)), guard=GUARD, report=report(REPLICAS, message="restoring is off")
    )

    text = explain.rendered(told, now=NOW, wide=form == "wide", colour=False)

    assert (GOLDEN / f"explain-{form}.txt").read_text() == text
    assert "swordfish" not in text + str(explain.document(told))


def test_an_object_in_order_is_the_same_in_every_field() -> None:
    """Where the digest fits nothing differs, and that is in sync."""
    told = explain.explanation(guarded(live()), guard=GUARD, report=None)

    assert (told.state, told.in_sync) == ("Synced", True)
    assert set(fits(told).values()) == {explain.SAME}


def test_a_change_that_nobody_has_reported_is_not_guessed() -> None:
    """The digest tells that something differs, not what: that is unknown, and not in sync."""
    told = explain.explanation(guarded(live(5)), guard=GUARD, report=None)

    assert not told.in_sync
    assert set(fits(told).values()) == {explain.UNKNOWN}


def test_a_list_item_that_is_gone_differs_in_all_its_fields() -> None:
    """A report names a whole list item that is gone; each declared field below it differs."""
    obj = live()
    obj["spec"]["template"]["spec"]["containers"] = []
    item = {"path": "spec.template.spec.containers[name=app]", "kind": "removed", "expected": "{}"}

    told = explain.explanation(guarded(obj), guard=GUARD, report=report(item))

    assert fits(told) == {
        "replicas": explain.SAME,
        "image": explain.DIFFERS,
        "name": explain.DIFFERS,
        "value": explain.DIFFERS,
    }


def test_a_missing_object_says_so() -> None:
    """An object that is not there is drift, whether or not a report says so yet."""
    told = explain.explanation(guarded(None), guard=GUARD, report=None)

    assert (told.state, told.message) == ("Drifted", "the object is missing from the cluster")
    assert not told.in_sync


def test_only_a_mark_is_enough_to_say_who_guards() -> None:
    """Before the inventory has an object, the server's booking tells its fields; it is Pending."""
    told = explain.explanation(guarded(live(), known=False), guard=None, report=None)

    assert told.state == "Pending"
    assert not told.guard_exists
    assert len(told.fields) == 5
    assert "no such Guard" in explain.rendered(told, now=NOW, wide=False, colour=False)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("deploy/web",), locating.Reference("deploy", "web")),
        (("deploy", "web"), locating.Reference("deploy", "web")),
        (("deployments.apps/web",), locating.Reference("deployments.apps", "web")),
    ],
)
def test_objects_are_named_as_for_kubectl(
    words: tuple[str, ...], expected: locating.Reference
) -> None:
    """KIND/NAME and KIND NAME are the same."""
    assert expected == locating.reference(words)


@pytest.mark.parametrize("words", [("web",), ("/web",), ("deploy/",), ("a/b/c",), ("a", "b", "c")])
def test_what_names_no_object_is_refused(words: tuple[str, ...]) -> None:
    """A text that names no object is an error that says how to write one."""
    with pytest.raises(locating.errors.BadReference, match="KIND/NAME"):
        locating.reference(words)

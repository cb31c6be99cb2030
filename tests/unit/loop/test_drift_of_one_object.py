"""Whether a live object is what its source says, and who seems to have changed it."""

import copy

import pytest

from guard.api.verdicts import ChangeKind
from guard.fields import declaration, paths
from guard.inventory import entries
from guard.loop import drift, plan

MANAGER_FIELDS = {
    "f:metadata": {"f:labels": {"f:holdfast.dev/guard": {}}},
    "f:data": {"f:level": {}},
}


@pytest.fixture
def applied(manifest, config_maps, owner):
    """Give a guarded ConfigMap and the server's answer to its apply."""
    desired = plan.desire(
        manifest("conf", level="info"), config_maps, owner=owner, target_namespace=None
    )
    response = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "conf",
            "namespace": "shop",
            "uid": "u1",
            "resourceVersion": "10",
            "labels": {"holdfast.dev/guard": owner.hash},
            "managedFields": [
                {
                    "manager": owner.manager,
                    "operation": "Apply",
                    "apiVersion": "v1",
                    "time": "2026-11-25T09:00:00Z",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": MANAGER_FIELDS,
                }
            ],
        },
        "data": {"level": "info"},
    }
    sent = {key: response[key] for key in ("apiVersion", "kind", "metadata", "data")}
    sent = {**sent, "metadata": {"name": "conf", "labels": {"holdfast.dev/guard": owner.hash}}}
    guarded = drift.Guarded(desired)
    guarded.settle(
        desired,
        response,
        declaration.declare(sent=sent, response=response, manager=owner.manager),
    )
    guarded.calm()
    return guarded, response


def test_the_answer_of_the_server_is_in_order(applied, owner):
    guarded, response = applied

    assert drift.compare(guarded, response, manager=owner.manager) is None
    assert (guarded.uid, guarded.resource_version) == ("u1", "10")
    assert guarded.state is entries.State.SYNCED


def test_an_edit_is_found_with_the_manager_that_owns_it_now(applied, owner):
    guarded, response = applied
    live = copy.deepcopy(response)
    live["data"]["level"] = "debug"
    live["metadata"]["managedFields"].append(
        {
            "manager": "kubectl-edit",
            "operation": "Update",
            "apiVersion": "v1",
            "time": "2026-11-25T09:12:04Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:level": {}}},
        }
    )

    found = drift.compare(guarded, live, manager=owner.manager)

    assert found is not None
    assert (found.manager, found.time) == ("kubectl-edit", "2026-11-25T09:12:04Z")
    assert [(paths.readable(c.path), c.kind, c.old, c.new) for c in found.changes] == [
        ("data.level", ChangeKind.CHANGED, "info", "debug")
    ]


def test_a_removed_field_is_put_down_to_the_newest_other_writer(applied, owner):
    guarded, response = applied
    live = copy.deepcopy(response)
    del live["data"]["level"]
    live["metadata"]["managedFields"] += [
        {
            "manager": manager,
            "operation": "Update",
            "apiVersion": "v1",
            "time": time,
            "subresource": subresource,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:annotations": {"f:x": {}}}},
        }
        for manager, time, subresource in (
            ("kubectl-patch", "2026-11-25T09:12:04Z", ""),
            ("kube-controller-manager", "2026-11-25T09:13:00Z", "status"),
        )
    ]

    found = drift.compare(guarded, live, manager=owner.manager)

    assert found is not None
    assert found.changes[0].kind is ChangeKind.REMOVED
    assert found.manager == "kubectl-patch"


@pytest.mark.parametrize(
    ("seen", "newest", "stale"),
    [
        ("9", "10", True),
        ("10", "10", True),
        ("11", "10", False),
        ("10", "", False),
        ("x", "1", False),
    ],
)
def test_only_newer_versions_say_something_new(seen, newest, stale):
    assert drift.is_stale(seen, newest) is stale


@pytest.mark.parametrize(
    ("expected", "replicas"),
    [
        ({"spec": {"replicas": 3}}, 3),
        ({"spec": {}}, None),
        ({}, None),
        ({"spec": {"replicas": True}}, None),
    ],
)
def test_declared_replicas_are_what_the_source_says(expected, replicas):
    assert drift.replicas_of(expected) == replicas


def test_the_inventory_keeps_no_value(applied):
    guarded, _ = applied

    entry = guarded.entry()

    assert "info" not in repr(entry)
    assert (entry.resource, entry.uid, entry.file) == ("configmaps", "u1", "conf.yaml")
    assert entry.sent == guarded.desired.sent_digest


def test_a_rewritten_apply_is_never_called_right(applied, owner):
    guarded, response = applied
    rewritten = copy.deepcopy(response)
    rewritten["data"]["level"] = "warn"
    sent = {**response, "metadata": {"name": "conf", "labels": response["metadata"]["labels"]}}

    guarded.settle(
        guarded.desired,
        rewritten,
        declaration.declare(sent=sent, response=rewritten, manager=owner.manager),
    )
    guarded.calm()

    assert guarded.state is entries.State.DRIFTED
    assert guarded.message == "another webhook rewrites what is applied to ConfigMap shop/conf"
    assert [(c.kind, c.old, c.new) for c in guarded.mutated] == [
        (ChangeKind.MUTATED, "info", "warn")
    ]
    assert drift.compare(guarded, rewritten, manager=owner.manager) is None, "no endless restores"

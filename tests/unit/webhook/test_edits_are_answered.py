"""From a review to its answer and its record, through the caches, for one guarded ConfigMap."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import structlog
from support import gates

from guard.api import names, objects
from guard.api.verdicts import Verdict
from guard.audit import errors as audit_errors
from guard.audit import record as records
from guard.inventory import entries
from guard.policy import callers
from webhook import gate, judge

HASH = names.guard_hash(gates.INSTALLATION, "shop", "shop-prod")
MANAGER = names.field_manager(HASH)
BOOKED = {
    "manager": MANAGER,
    "operation": "Apply",
    "fieldsType": "FieldsV1",
    "fieldsV1": {
        "f:data": {"f:level": {}, "f:password": {}},
        "f:metadata": {
            "f:labels": {f"f:{names.LABEL_GUARD}": {}},
            "f:annotations": {f"f:{names.ANNOTATION_ORIGIN}": {}},
        },
    },
}
GUARD_TOKEN = {
    "username": gates.IDENTITY.username,
    "uid": gates.IDENTITY.uid,
    "groups": ["system:serviceaccounts"],
}
WORKLOAD = {
    "username": "system:serviceaccount:shop:operator",
    "uid": "1",
    "groups": ["system:serviceaccounts"],
}


def conf() -> objects.RawObject:
    """Make the guarded object as it is stored and as its source says."""
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "conf",
            "namespace": "shop",
            "uid": "u-1",
            "resourceVersion": "41",
            "managedFields": [BOOKED],
        },
        "data": {"level": "info", "password": "hunter2-old"},
    }
    return gates.marked(obj, namespace="shop", guard="shop-prod", file="apps/conf.yaml")


def edited(**data: Any) -> objects.RawObject:
    """Give the object after an edit of its data."""
    obj = copy.deepcopy(conf())
    obj["data"] |= data
    return obj


def desk(
    *,
    mode: str = "Deny",
    restore: bool = True,
    state: str = "Synced",
    missing: tuple[str, ...] = (),
) -> gates.Desk:
    """Make a gate that knows the Guard and the object."""
    caches = gates.filled(missing=missing)
    caches.put_guard(gates.guard_object("shop", "shop-prod", mode=mode, restore=restore))
    caches.put_inventory(
        gates.inventory_object(
            "shop",
            "shop-prod",
            gates.entry_of(
                conf(),
                MANAGER,
                resource="configmaps",
                file="apps/conf.yaml",
                state=entries.State(state),
            ),
        )
    )
    return gates.Desk(caches)


def edit(**given: Any) -> dict[str, Any]:
    """Make the review of alice's edit of the level."""
    new = given.pop("new", None) or edited(level="debug")
    return gates.review_of(conf(), new, resource="configmaps", **given)


def test_an_edit_is_refused_in_the_words_of_the_design() -> None:
    """Lines, table, source, and what to do."""
    response = desk().ask(edit())

    assert response["allowed"] is False
    assert response["status"] == {
        "status": "Failure",
        "code": 403,
        "reason": "Forbidden",
        "message": (
            "shop/conf is managed from Git\n"
            "\n"
            "  data.level   Git info   yours debug\n"
            "\n"
            "  Source      https://git.example/shop.git @ 3f2c1d9, apps/conf.yaml"
            " (Guard shop-prod)\n"
            "  To change   edit that file; it is applied within seconds of the push"
        ),
    }


def test_a_denial_is_recorded_before_the_answer_leaves() -> None:
    """The record says who, what, from which value to which, and what the source says."""
    at = desk()

    response = at.ask(edit())

    (record,) = at.records
    assert response["auditAnnotations"] == {"verdict": "Denied", "record": record.id}
    assert record == records.Record(
        id=record.id,
        time="2026-11-25T09:46:40.000000Z",
        installation=gates.INSTALLATION,
        guard="shop/shop-prod",
        revision="main@3f2c1d9",
        file="apps/conf.yaml",
        object=records.ObjectRef(
            version="v1",
            kind="ConfigMap",
            namespace="shop",
            name="conf",
            uid="u-1",
            resource_version="41",
        ),
        verdict=Verdict.DENIED,
        operation="UPDATE",
        user="alice",
        groups=("dev", "system:authenticated"),
        field_manager="kubectl-edit",
        request_uid="11111111-2222-3333-4444-555555555555",
        changes=(
            records.FieldChange(
                path="data.level", kind="changed", old="info", new="debug", source="info"
            ),
        ),
        reason="declared in the source",
        message="shop/conf is managed from Git",
    )


def test_a_dry_run_is_judged_the_same_and_recorded_as_dry() -> None:
    """`kubectl diff` and `--dry-run=server` tell the truth."""
    at = desk()

    assert at.ask(edit(dry_run=True))["allowed"] is False
    assert at.records[0].dry_run is True


def test_flag_mode_warns_and_records() -> None:
    """The edit passes; kubectl prints what will become of it."""
    at = desk(mode="Flag")

    response = at.ask(edit())

    assert response["allowed"] is True
    assert response["warnings"] == [
        (
            "shop/conf is managed from Git (apps/conf.yaml, Guard shop-prod):"
            " this change will be undone"
        ),
        "data.level: Git info, yours debug",
    ]
    assert at.records[0].verdict == Verdict.FLAGGED


def test_audit_mode_records_in_silence() -> None:
    """The verdict is Allowed, the reason says why it is on record, and the changes are there."""
    at = desk(mode="Audit")

    response = at.ask(edit())

    assert response["allowed"] is True
    assert "warnings" not in response
    assert (at.records[0].verdict, at.records[0].reason) == (Verdict.ALLOWED, "audit mode")
    assert at.records[0].changes[0].path == "data.level"


def test_an_edit_beside_the_declared_fields_passes_unrecorded() -> None:
    """Only what the source declares is guarded."""
    at = desk()

    assert at.ask(edit(new=edited(mine="x"))) == {
        "uid": "11111111-2222-3333-4444-555555555555",
        "allowed": True,
    }
    assert at.records == []


def test_removing_the_mark_does_not_help() -> None:
    """Neither at once with an edit nor before it."""
    naked = edited(level="debug")
    del naked["metadata"]["labels"], naked["metadata"]["annotations"]
    at = desk()

    assert at.ask(edit(new=naked))["allowed"] is False
    assert [change.path for change in at.records[0].changes] == [
        "data.level",
        'metadata.annotations["holdfast.dev/origin"]',
        'metadata.labels["holdfast.dev/guard"]',
    ]


def test_an_object_of_the_inventory_is_guarded_without_its_mark() -> None:
    """While the webhook was away somebody removed it."""
    old, new = conf(), edited(level="debug")
    for obj in (old, new):
        del obj["metadata"]["labels"], obj["metadata"]["annotations"]

    review = gates.review_of(old, new, resource="configmaps")

    assert desk().ask(review)["allowed"] is False


def test_a_copied_mark_means_nothing() -> None:
    """A controller copies labels and annotations to what it makes; that is its own (BR-43)."""
    copied = conf()
    copied["metadata"]["name"] = "copy"
    changed = copy.deepcopy(copied)
    changed["data"]["level"] = "debug"
    at = desk()

    assert at.ask(gates.review_of(copied, changed, resource="configmaps"))["allowed"] is True
    assert at.records == []


def test_a_mark_of_an_unknown_guard_is_allowed_and_recorded() -> None:
    """Its Guard was deleted, or never was."""
    at = gates.Desk(gates.filled())

    assert at.ask(edit())["allowed"] is True
    (record,) = at.records
    assert (record.verdict, record.reason) == (Verdict.ALLOWED, judge.REASON_UNKNOWN_GUARD)
    assert record.guard == "shop/shop-prod"


def test_the_mark_of_another_installation_is_not_ours() -> None:
    """Two Holdfasts in one cluster do not record each other's objects."""
    old, new = conf(), edited(level="debug")
    for obj in (old, new):
        origin = obj["metadata"]["annotations"][names.ANNOTATION_ORIGIN]
        obj["metadata"]["annotations"][names.ANNOTATION_ORIGIN] = origin.replace(
            gates.INSTALLATION, "other/holdfast"
        )
    at = gates.Desk(gates.filled())

    assert at.ask(gates.review_of(old, new, resource="configmaps"))["allowed"] is True
    assert at.records == []


def test_without_its_shard_an_object_is_judged_by_its_managed_fields() -> None:
    """Right after the first apply the cache may not have the shard yet."""
    caches = gates.filled()
    caches.put_guard(gates.guard_object("shop", "shop-prod"))
    at = gates.Desk(caches)

    response = at.ask(edit())

    assert response["allowed"] is False
    assert "data.level   live info   yours debug" in response["status"]["message"]
    assert at.records[0].changes[0].source is records.ABSENT


def test_an_older_shard_is_united_with_what_is_booked_on_the_object() -> None:
    """A field that the source has got since, and that the cache does not know yet."""
    older = copy.deepcopy(conf())
    (booked,) = older["metadata"]["managedFields"]
    booked["fieldsV1"] = {"f:data": {"f:level": {}}}
    caches = gates.filled()
    caches.put_guard(gates.guard_object("shop", "shop-prod"))
    entry = gates.entry_of(older, MANAGER, resource="configmaps")
    caches.put_inventory(gates.inventory_object("shop", "shop-prod", entry))
    at = gates.Desk(caches)

    assert at.ask(edit(new=edited(password="other")))["allowed"] is False  # noqa: S106 - made up
    assert at.ask(edit(new=edited(level="debug")))["allowed"] is False
    assert [change.path for record in at.records for change in record.changes] == [
        "data.password",
        "data.level",
    ]


def test_a_wiped_entry_in_managed_fields_does_not_help() -> None:
    """Anyone can wipe it; the recorded set rules."""
    old, new = conf(), edited(level="debug")
    old["metadata"]["managedFields"] = new["metadata"]["managedFields"] = [{}]

    assert desk().ask(gates.review_of(old, new, resource="configmaps"))["allowed"] is False


def test_a_garbled_entry_in_managed_fields_does_no_harm() -> None:
    """Anyone can write it."""
    old, new = conf(), edited(level="debug")
    garbled = {**BOOKED, "fieldsV1": {"nonsense": {}}}
    old["metadata"]["managedFields"] = new["metadata"]["managedFields"] = [garbled]

    assert desk().ask(gates.review_of(old, new, resource="configmaps"))["allowed"] is False


@pytest.mark.parametrize("depth", [300, 900])
def test_nesting_deeply_does_not_help(depth: int) -> None:
    """Neither in a managed-fields entry that anyone may write, nor in the value itself."""
    fields: Any = {}
    for _ in range(depth):
        fields = {"f:a": fields}
    old, new = conf(), edited(level="DEEP")
    old["metadata"]["managedFields"] = [{**BOOKED, "fieldsV1": fields}]
    body = json.dumps(gates.review_of(old, new, resource="configmaps"))
    at = desk()

    answer = at.gate.answer(body.replace('"DEEP"', "[" * depth + "]" * depth).encode())

    assert json.loads(answer.body)["response"]["allowed"] is False
    assert at.records[0].verdict == Verdict.DENIED


def test_a_delete_is_refused_by_the_old_object() -> None:
    """Also one of a collection, which has no name (BR-10)."""
    review = gates.review_of(conf(), None, resource="configmaps", operation="DELETE")
    del review["request"]["name"]
    at = desk()

    response = at.ask(review)

    assert "deleting it is refused" in response["status"]["message"]
    assert at.records[0].object.name == "conf"
    assert at.records[0].operation == "DELETE"


def test_a_delete_in_flag_mode_warns() -> None:
    """Flag never refuses."""
    review = gates.review_of(conf(), None, resource="configmaps", operation="DELETE")

    response = desk(mode="Flag", restore=False).ask(review)

    assert response["allowed"] is True
    assert response["warnings"][0].endswith("deleting it is only recorded")


def test_an_orphan_may_be_deleted() -> None:
    """The source does not name it any more: that is how a person gets rid of it."""
    review = gates.review_of(conf(), None, resource="configmaps", operation="DELETE")
    at = desk(state="Orphaned")

    assert at.ask(review)["allowed"] is True
    assert at.records[0].reason == "the source does not name this object any more"


def test_the_guard_process_passes_unrecorded() -> None:
    """It records its own acts."""
    at = desk()

    assert at.ask(edit(user=GUARD_TOKEN))["allowed"] is True
    assert at.records == []


def test_impersonating_the_guard_does_not_pass() -> None:
    """The name is there, the uid is not."""
    impersonated = {"username": gates.IDENTITY.username, "groups": ["system:authenticated"]}

    assert desk().ask(edit(user=impersonated))["allowed"] is False


def test_a_workload_is_judged_like_a_person() -> None:
    """An operator that writes a declared field is as wrong as alice."""
    assert desk().ask(edit(user=WORKLOAD))["allowed"] is False


def test_a_workload_passes_while_the_guard_process_is_unknown() -> None:
    """It may be that very process; a person surely is not."""
    at = desk()
    at.caches.identity = None

    assert at.ask(edit(user=WORKLOAD))["allowed"] is True
    assert at.records[0].reason == judge.REASON_IDENTITY
    assert at.ask(edit())["allowed"] is False


def test_before_the_caches_are_filled_nothing_is_judged() -> None:
    """Fail-open at start; what passed is on record."""
    at = desk(missing=("inventories",))

    assert at.ask(edit())["allowed"] is True
    assert at.records[0].reason == judge.REASON_CACHES
    assert b"holdfast_webhook_unjudged_total 1.0" in at.counters.exposition()


def test_a_drift_report_says_what_the_source_says() -> None:
    """The old object differs from the source; its report has the right value."""
    at = desk()
    at.caches.put_report(
        {
            "metadata": {"namespace": "shop", "name": "shop-prod"},
            "spec": {
                "guard": "shop-prod",
                "drifts": [
                    {
                        "object": {"kind": "ConfigMap", "namespace": "shop", "name": "conf"},
                        "fields": [{"path": "data.level", "kind": "changed", "expected": '"info"'}],
                    }
                ],
            },
        }
    )
    review = gates.review_of(edited(level="warn"), edited(level="debug"), resource="configmaps")

    assert "data.level   Git info   yours debug" in at.ask(review)["status"]["message"]
    change = at.records[0].changes[0]
    assert (change.old, change.new, change.source) == ("warn", "debug", "info")


def test_secret_values_are_nowhere() -> None:
    """Not in the message, the warnings, the record or the log (BR-13)."""
    secret = "hunter2-new-MARKER"  # noqa: S105 - that it is one is the point
    for mode in ("Deny", "Flag", "Audit"):
        at = desk(mode=mode)
        with structlog.testing.capture_logs() as logs:
            response = at.ask(edit(new=edited(password=secret)))
        told = json.dumps(response) + records.encode(at.records[0]).decode() + json.dumps(logs)

        assert "MARKER" not in told
        assert "hunter2" not in told
        assert "data.password" in told


def test_a_record_that_cannot_be_written_does_not_change_the_answer() -> None:
    """A full disk is counted and logged."""
    at = desk()

    def full(_: records.Record) -> None:
        raise audit_errors.SpoolFull(Path("spool"), "no space left")

    broken = gate.Gate(
        at.judge,
        installation=gates.INSTALLATION,
        write=full,
        metrics_=at.counters,
        now_ns=lambda: gates.NOW_NS,
        entropy=bytes,
        replica=gate.Replica("webhook-0", lambda: True),
    )

    answer = json.loads(broken.answer(json.dumps(edit()).encode()).body)

    assert answer["response"]["allowed"] is False
    assert b"holdfast_webhook_unrecorded_total 1.0" in at.counters.exposition()


def test_a_fault_of_our_own_allows_and_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler never raises, and its log quotes no value."""
    at = desk()

    value = "x" * 9

    def fail(_: object) -> None:
        raise KeyError(value)

    monkeypatch.setattr(at.judge, "judge", fail)
    with structlog.testing.capture_logs() as logs:
        response = at.ask(edit())

    assert response["allowed"] is True
    (record,) = at.records
    assert (record.reason, record.object.name) == (gate.REASON_FAULT, "conf")
    assert value not in json.dumps(logs)
    assert any("Traceback" in str(line) or "File" in line.get("traceback", "") for line in logs)


def test_reviews_are_counted() -> None:
    """By operation, verdict, mode and dryness; never by object."""
    at = desk()
    at.ask(edit())
    at.ask(edit(dry_run=True))

    text = at.counters.exposition().decode()

    assert (
        'holdfast_webhook_reviews_total{dry_run="false",mode="Deny",operation="UPDATE",'
        'verdict="Denied"} 1.0'
    ) in text
    assert 'dry_run="true",mode="Deny"' in text
    assert "holdfast_webhook_review_duration_seconds_count 2.0" in text
    assert "conf" not in text


DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "uid": "u-2",
        "managedFields": [{**BOOKED, "fieldsV1": {"f:spec": {"f:replicas": {}}}}],
    },
    "spec": {"replicas": 3},
}


def scale(replicas: int) -> objects.RawObject:
    """Make a Scale as reviews have it: without labels and managed fields."""
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-2", "resourceVersion": "7"},
        "spec": {"replicas": replicas},
    }


def test_a_scale_is_refused_by_the_inventory_alone() -> None:
    """`kubectl scale` does not walk round the Guard (BR-11)."""
    at = desk()
    at.caches.put_inventory(
        gates.inventory_object(
            "shop",
            "shop-prod",
            gates.entry_of(DEPLOYMENT, MANAGER, resource="deployments"),
            name="shop-prod-1",
        )
    )
    review = gates.review_of(
        scale(3), scale(5), resource="deployments", subresource="scale", operation="UPDATE"
    )
    review["request"]["resource"]["group"] = "apps"

    message = at.ask(review)["status"]["message"]

    assert message.startswith("shop/web is managed from Git\n\n  spec.replicas   Git 3   yours 5\n")
    (record,) = at.records
    assert (record.object.kind, record.object.group) == ("Deployment", "apps")
    assert record.subresource == "scale"


def test_the_namespace_of_a_namespace_is_not_its_own() -> None:
    """A review of a Namespace names it as its own namespace; its key has none."""
    obj = gates.marked(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": "shop",
                "managedFields": [
                    {**BOOKED, "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}}}}}
                ],
            },
        },
        namespace="shop",
        guard="shop-prod",
    )
    review = gates.review_of(obj, None, resource="namespaces", operation="DELETE")
    review["request"]["namespace"] = "shop"
    at = desk()

    response = at.ask(review)

    assert response["status"]["message"].startswith("Namespace shop is managed from Git")
    assert at.records[0].object.namespace == ""


def test_an_identity_comes_from_the_configuration() -> None:
    """The guard process writes it there; nonsense counts as none."""
    caches = gates.filled(identity=None)
    annotation = json.dumps({"username": "a", "uid": "b", "later": 1})

    caches.put_configuration(
        {"metadata": {"annotations": {"holdfast.dev/guard-identity": annotation}}}
    )
    assert caches.identity == callers.Identity("a", "b")
    caches.put_configuration({"metadata": {"annotations": {"holdfast.dev/guard-identity": "[]"}}})
    assert caches.identity is None

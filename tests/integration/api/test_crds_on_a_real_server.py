"""The custom resource definitions as the API server and kubectl see them."""

import asyncio
import copy
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from controlplane import plane
from support import guard_specs, polling

from guard.api import conditions, crds, driftreports, guards, inventories, names

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("chart")]

Kubectl = Callable[..., Any]


def an_object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Give a custom resource of ours."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


INVENTORY: dict[str, Any] = {
    "guard": "shop-prod",
    "shard": 0,
    "shards": 1,
    "revision": "main@3f2c1d9",
    "objects": 14,
    "drifted": 2,
    "failed": 0,
    "data": "H4sIAAAAAAAC/6uuBQBDv6ajAgAAAA==",
}

REPORT: dict[str, Any] = {
    "guard": "shop-prod",
    "revision": "main@3f2c1d9",
    "drifted": 3,
    "truncated": True,
    "drifts": [
        {
            "object": {"version": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "conf"},
            "state": "Drifted",
            "since": "2026-11-25T12:00:00Z",
            "file": "apps/conf.yaml",
            "message": "restoring is off",
            "fields": [
                {"path": "data.level", "kind": "changed", "expected": '"info"', "live": '"debug"'},
                {"path": "data.colour", "kind": "removed", "expected": '"red"'},
            ],
        }
    ],
}


def create(kubectl: Kubectl, namespace: str, *objects: dict[str, Any], dry: bool = False) -> Any:
    """Create objects, all in one call; one that is refused does not keep back the others."""
    # A stream, not a List: those are checked by kubectl itself, in words of its own.
    stream = "\n---\n".join(map(json.dumps, objects))
    return kubectl(
        "create",
        f"--namespace={namespace}",
        "--filename=-",
        *(["--dry-run=server"] if dry else []),
        stdin=stream,
        check=False,
    )


@pytest.mark.parametrize("plural", list(crds.definitions()))
def test_the_definition_is_established_and_structural(kubectl: Kubectl, plural: str) -> None:
    """The server takes it without a complaint."""
    definition = json.loads(
        kubectl("get", "customresourcedefinition", f"{plural}.{names.GROUP}", "-o", "json").stdout
    )

    status = {
        condition["type"]: condition["status"] for condition in definition["status"]["conditions"]
    }
    assert status["Established"] == "True"
    assert status["NamesAccepted"] == "True"
    assert status.get("NonStructuralSchema", "False") == "False"


def test_the_server_fills_in_the_defaults(kubectl: Kubectl, namespace: str) -> None:
    """The same ones as the Python types."""
    create(kubectl, namespace, an_object(guards.KIND, "shop", guard_specs.MINIMAL))

    stored = json.loads(kubectl("get", "guard", "shop", "-n", namespace, "-o", "json").stdout)

    assert stored["spec"] == {
        "source": {
            "git": {
                "url": "https://git.example/shop.git",
                "ref": "HEAD",
                "path": ".",
                "interval": "30s",
            }
        },
        "target": {},
        "admission": {"mode": "Deny"},
        "drift": {"restore": True},
    }
    assert guards.GuardSpec.parse(stored["spec"]) == guards.GuardSpec.parse(guard_specs.MINIMAL)


def test_right_values_are_accepted(kubectl: Kubectl, namespace: str) -> None:
    """Each in a Guard of its own."""
    specs = [guard_specs.FULL] + [
        guard_specs.with_field(path, value) for path, value in guard_specs.ACCEPTED
    ]
    objects = [an_object(guards.KIND, f"g{number}", spec) for number, spec in enumerate(specs)]

    result = create(kubectl, namespace, *objects, dry=True)

    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == len(objects)


def test_wrong_values_are_refused_with_our_words(kubectl: Kubectl, namespace: str) -> None:
    """The server says what Python says, at the same path."""
    cases = list(enumerate(guard_specs.REFUSED_BY_RULE))
    objects = [
        an_object(guards.KIND, f"g{number}x", guard_specs.with_field(path, value))
        for number, (path, value, _) in cases
    ]

    result = create(kubectl, namespace, *objects, dry=True)

    assert result.stdout == ""
    said = " ".join(result.stderr.split()).split("Guard.holdfast.dev ")
    for number, (path, value, message) in cases:
        about = [text for text in said if text.startswith(f'"g{number}x" is invalid')]
        assert len(about) == 1, value
        assert f"spec.{path}: Invalid value:" in about[0], value
        assert message in about[0], value


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"source": {}}, "exactly one kind of source must be given: git"),
        ({}, "spec.source: Required value"),
        ({"source": {"git": {}}}, "spec.source.git.url: Required value"),
        (
            guard_specs.with_field("admission.mode", "deny"),
            'supported values: "Deny", "Flag", "Audit"',
        ),
        (guard_specs.with_field("target.namespace", "Shop"), "spec.target.namespace"),
        (guard_specs.with_field("drift.restore", "yes"), "must be of type boolean"),
        (guard_specs.with_field("drift.restored", "yes"), 'unknown field "spec.drift.restored"'),
    ],
)
def test_a_wrong_shape_is_refused(
    kubectl: Kubectl, namespace: str, spec: dict[str, Any], message: str
) -> None:
    """Before anything of ours sees it."""
    result = create(kubectl, namespace, an_object(guards.KIND, "shop", spec), dry=True)

    assert result.returncode != 0
    assert message in result.stderr


def test_a_name_leaves_room_for_the_shards(kubectl: Kubectl, namespace: str) -> None:
    """The Inventories of a Guard are called after it."""
    fits, too_long = ("x" * guards.MAX_NAME_CHARS, "x" * (guards.MAX_NAME_CHARS + 1))

    result = create(
        kubectl,
        namespace,
        an_object(guards.KIND, fits, guard_specs.MINIMAL),
        an_object(guards.KIND, too_long, guard_specs.MINIMAL),
        dry=True,
    )

    assert len(result.stdout.splitlines()) == 1
    assert "a Guard's name must have at most 240 characters" in result.stderr


def test_kubectl_prints_the_columns_of_a_guard(kubectl: Kubectl, namespace: str) -> None:
    """What is applied, whether all is well and why, and how much there is."""
    create(kubectl, namespace, an_object(guards.KIND, "shop-prod", guard_specs.FULL))
    status = guards.GuardStatus(
        conditions=conditions.set_condition(
            [],
            conditions.READY,
            status=conditions.Status.TRUE,
            reason="Synced",
            message="all 14 objects are as the source says",
            generation=1,
            now=dt.datetime(2026, 11, 25, tzinfo=dt.UTC),
        ),
        observedGeneration=1,
        source="https://git.example/shop.git#apps",
        observedRevision="main@3f2c1d9",
        appliedRevision="main@3f2c1d9",
        lastAppliedTime="2026-11-25T00:00:00Z",
        objects=14,
        synced=12,
        drifted=2,
        failed=0,
        orphaned=0,
        restored=3,
    )
    patch = json.dumps({"status": status})
    where = f"--namespace={namespace}"
    kubectl(
        "patch", "guard", "shop-prod", where, "--subresource=status", "--type=merge", "-p", patch
    )

    heading, row = kubectl("get", "guards", where).stdout.splitlines()
    wide = kubectl("get", "guards", where, "-o", "wide").stdout
    stored = json.loads(kubectl("get", "guard", "shop-prod", where, "-o", "json").stdout)

    assert heading.split() == ["NAME", "REVISION", "READY", "STATE", "OBJECTS", "DRIFTED", "AGE"]
    assert row.split()[:6] == ["shop-prod", "main@3f2c1d9", "True", "Synced", "14", "2"]
    assert "https://git.example/shop.git#apps   Flag" in wide
    assert stored["status"] == status


def test_a_status_that_is_wrong_is_refused(kubectl: Kubectl, namespace: str) -> None:
    """Two conditions of one type, a count below nothing."""
    create(kubectl, namespace, an_object(guards.KIND, "shop", guard_specs.MINIMAL))
    ready = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": "2026-11-25T00:00:00Z",
        "reason": "Synced",
        "message": "",
    }
    where = ("guard", "shop", f"--namespace={namespace}", "--subresource=status", "--type=merge")

    twice = kubectl(
        "patch", *where, "-p", json.dumps({"status": {"conditions": [ready, ready]}}), check=False
    )
    negative = kubectl("patch", *where, "-p", '{"status": {"objects": -1}}', check=False)

    assert "Duplicate value" in twice.stderr
    assert "status.objects" in negative.stderr


def test_kubectl_prints_the_columns_of_an_inventory(kubectl: Kubectl, namespace: str) -> None:
    """Also under its short name."""
    create(kubectl, namespace, an_object(inventories.KIND, "shop-prod-0", INVENTORY))

    heading, row = kubectl("get", "inv", "-n", namespace).stdout.splitlines()

    assert heading.split() == ["NAME", "GUARD", "SHARD", "OBJECTS", "DRIFTED", "REVISION", "AGE"]
    assert row.split()[:6] == ["shop-prod-0", "shop-prod", "0", "14", "2", "main@3f2c1d9"]


def test_kubectl_prints_the_columns_of_a_drift_report(kubectl: Kubectl, namespace: str) -> None:
    """And `kubectl get holdfast` lists whatever is ours."""
    result = create(kubectl, namespace, an_object(driftreports.KIND, "shop-prod", REPORT))
    assert result.stderr == ""

    heading, row = kubectl("get", "drift", "-n", namespace).stdout.splitlines()
    ours = kubectl("get", "holdfast", "-n", namespace).stdout
    stored = json.loads(kubectl("get", "drift", "shop-prod", "-n", namespace, "-o", "json").stdout)

    assert heading.split() == ["NAME", "GUARD", "DRIFTED", "AGE"]
    assert row.split()[:3] == ["shop-prod", "shop-prod", "3"]
    assert "shop-prod" in ours
    assert stored["spec"] == REPORT


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("shard", 1, "shard must be below shards"),
        ("shards", 0, "spec.shards"),
        ("data", "no base64!", "spec.data"),
        ("objects", -1, "spec.objects"),
    ],
)
def test_a_wrong_inventory_is_refused(
    kubectl: Kubectl, namespace: str, field: str, value: Any, message: str
) -> None:
    """Whoever writes one by hand is told what is wrong."""
    spec = {**INVENTORY, field: value}

    result = create(kubectl, namespace, an_object(inventories.KIND, "x-0", spec), dry=True)

    assert result.returncode != 0
    assert message in result.stderr


def test_a_full_drift_report_fits(kubectl: Kubectl, namespace: str) -> None:
    """As many objects as the schema allows, and not one more."""
    spec = copy.deepcopy(REPORT)
    spec["drifts"] *= driftreports.MAX_DRIFTS
    one_more = {**spec, "drifts": [*spec["drifts"], spec["drifts"][0]]}

    fits = create(kubectl, namespace, an_object(driftreports.KIND, "x", spec), dry=True)
    refused = create(kubectl, namespace, an_object(driftreports.KIND, "x", one_more), dry=True)

    assert fits.stderr == ""
    assert "must have at most 500 items" in refused.stderr


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("guard", "keeps the objects that a source declares"),
        ("guard.spec.source.git.interval", "How often to ask the repository for a new commit"),
        ("guard.status.conditions.lastTransitionTime", "When the status last changed"),
        ("inventory.spec.data", "gzipped JSON in base64"),
        ("driftreport.spec.drifts.fields.expected", "keyed hash"),
    ],
)
def test_kubectl_explains_every_field(
    control_plane: plane.ControlPlane, field: str, words: str
) -> None:
    """From the descriptions, which are the docstrings of the Python types."""

    def explained() -> bool:
        result = control_plane.kubectl(
            "explain", field, f"--api-version={names.API_VERSION}", check=False
        )
        return words in " ".join(result.stdout.split())

    # The server publishes a new definition's schema a moment after it is Established.
    asyncio.run(polling.eventually(explained, within_seconds=20.0))

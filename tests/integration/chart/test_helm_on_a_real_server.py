"""Installs and upgrades by the real helm: what is admitted, and what an upgrade leaves alone."""

import base64
import json
from typing import Any

import pytest
from controlplane import chart as chart_module

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NAMESPACE = chart_module.NAMESPACE
CONFIGURATION = "validatingwebhookconfiguration/holdfast"
IDENTITY = '{"username":"system:serviceaccount:holdfast-system:holdfast-guard","uid":"1"}'
BUNDLE = base64.b64encode(b"authority").decode()


def test_pods_are_admitted_where_only_restricted_ones_are(helm: Any) -> None:
    """No controller is refused a pod, and nobody gets a warning."""
    helm("uninstall", chart_module.RELEASE, "--ignore-not-found", "--wait")

    done = helm("install", chart_module.RELEASE, str(chart_module.FOLDER), values={})

    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    helm.pods("webhook", 2)
    helm.pods("guard", 1)
    events = helm.get("events", f"--namespace={NAMESPACE}")["items"]
    assert {event["reason"] for event in events} >= {"SuccessfulCreate"}
    assert not [event for event in events if "Failed" in event["reason"] and "Pod" in str(event)]


def standing(helm: Any) -> dict[str, Any]:
    """Give what the guard process writes into objects of the chart."""
    configuration = helm.get(CONFIGURATION)
    return {
        "identity": configuration["metadata"]["annotations"].get("holdfast.dev/guard-identity"),
        "bundles": [one["clientConfig"].get("caBundle") for one in configuration["webhooks"]],
        "policies": [one["failurePolicy"] for one in configuration["webhooks"]],
        "closed": helm.get("clusterrolebinding/holdfast-fail-closed").get("subjects"),
    }


def write_as_the_guard_process(helm: Any) -> None:
    """Fill in what the chart leaves to the guard process, in its way: by patches."""
    entries = helm.get(CONFIGURATION)["webhooks"]
    patch = [
        {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": BUNDLE}
        for index in range(len(entries))
    ]
    manager = "--field-manager=holdfast"
    kubectl = helm.plane.kubectl
    kubectl("patch", CONFIGURATION, "--type=json", f"-p={json.dumps(patch)}", manager)
    annotation = {"metadata": {"annotations": {"holdfast.dev/guard-identity": IDENTITY}}}
    kubectl("patch", CONFIGURATION, "--type=merge", f"-p={json.dumps(annotation)}", manager)
    subject = {"kind": "ServiceAccount", "name": "holdfast-switch", "namespace": NAMESPACE}
    kubectl(
        "patch",
        "clusterrolebinding/holdfast-fail-closed",
        "--type=merge",
        f"-p={json.dumps({'subjects': [subject]})}",
        manager,
    )


def test_an_upgrade_leaves_alone_what_the_guard_process_wrote(helm: Any) -> None:
    """Helm's three-way merge takes away only what an earlier chart had."""
    closed = {"webhook": {"failurePolicy": "Fail"}}
    helm.upgrade(values=closed)
    write_as_the_guard_process(helm)
    before = standing(helm)
    assert set(before["bundles"]) == {BUNDLE}
    assert before["closed"]

    helm.upgrade(values={**closed, "commonLabels": {"upgrade": "2"}})

    assert helm.get(CONFIGURATION)["metadata"]["labels"]["upgrade"] == "2"
    assert standing(helm) == before
    assert helm("rollback", chart_module.RELEASE).returncode == 0
    assert standing(helm) == before


def test_a_server_side_apply_conflicts_nowhere_and_leaves_it_alone_too(helm: Any) -> None:
    """As Argo CD, Flux and Helm 4 send it: unforced, under a manager of its own."""
    values = {"webhook": {"failurePolicy": "Fail"}}
    helm.upgrade(values=values)
    manifests = helm("get", "manifest", chart_module.RELEASE).stdout
    apply = ("apply", "--server-side", "--filename=-", f"--namespace={NAMESPACE}")
    helm.plane.kubectl(*apply, "--field-manager=deployer", "--force-conflicts", stdin=manifests)
    write_as_the_guard_process(helm)
    before = standing(helm)

    helm.plane.kubectl(*apply, "--field-manager=deployer", stdin=manifests)

    assert standing(helm) == before


def test_workloads_can_be_upgraded_between_any_values(helm: Any) -> None:
    """Nothing that an upgrade may change is immutable."""
    for values in (
        {},
        {"guard": {"persistence": {"enabled": False}}},
        {"guard": {"persistence": {"existingClaim": "mine"}}, "webhook": {"replicas": 3}},
        {"commonLabels": {"team": "platform"}, "webhook": {"port": 10260}},
        {"networkPolicy": {"enabled": False}, "webhook": {"podLabels": {"a": "b"}}},
        {"workloads": {"enabled": False}},
        {},
    ):
        helm.upgrade(values=values)

"""The chart as helm renders it, without a cluster."""

import subprocess
from typing import Any

import pytest
import yaml
from controlplane import binaries, chart, errors

from guard.api import crds, names
from guard.policy import callers

pytestmark = pytest.mark.integration

READ_WRITE = ["get", "list", "watch", "create", "update", "patch", "delete"]


@pytest.fixture(scope="module", autouse=True)
def _helm() -> None:
    """Build helm once, if nothing has."""
    binaries.ensure(("helm",))


def rendered(**values: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """Render with these values over the defaults; give the objects by kind and name, less hooks."""
    manifests = chart.render(values, hooks=False)
    documents = [document for document in yaml.safe_load_all(manifests) if document]
    by_name = {(item["kind"], item["metadata"]["name"]): item for item in documents}
    assert len(by_name) == len(documents)
    return by_name


def rules(objects: dict[tuple[str, str], dict[str, Any]], kind: str, name: str) -> list[Any]:
    """Give the rules of a role."""
    found: list[Any] = objects[kind, name]["rules"]
    return found


def test_helm_lint_finds_nothing() -> None:
    """Warnings count as well."""
    result = subprocess.run(
        [binaries.locate("helm"), "lint", "--strict", chart.FOLDER],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == 0, result.stdout
    assert "[WARNING]" not in result.stdout


def test_what_the_chart_installs() -> None:
    """Nothing that is not listed here."""
    assert set(rendered()) == {
        ("Deployment", "holdfast-webhook"),
        ("Service", "holdfast-webhook"),
        ("PodDisruptionBudget", "holdfast-webhook"),
        ("NetworkPolicy", "holdfast-webhook"),
        ("StatefulSet", "holdfast-guard"),
        ("Service", "holdfast-guard"),
        ("PersistentVolumeClaim", "holdfast-guard"),
        ("NetworkPolicy", "holdfast-guard"),
        ("ClusterRole", "holdfast-off"),
        ("ClusterRole", "holdfast-probe"),
        ("ClusterRole", "holdfast-protection"),
        ("ClusterRoleBinding", "holdfast-protection"),
        ("Role", "holdfast-protection"),
        ("RoleBinding", "holdfast-protection"),
        ("ValidatingAdmissionPolicy", "holdfast-protection"),
        ("ValidatingAdmissionPolicyBinding", "holdfast-protection"),
        ("CustomResourceDefinition", "driftreports.holdfast.dev"),
        ("CustomResourceDefinition", "guards.holdfast.dev"),
        ("CustomResourceDefinition", "inventories.holdfast.dev"),
        ("ServiceAccount", "holdfast-guard"),
        ("ServiceAccount", "holdfast-webhook"),
        ("ClusterRole", "holdfast-guard"),
        ("ClusterRole", "holdfast-guarded"),
        ("ClusterRole", "holdfast-webhook"),
        ("ClusterRoleBinding", "holdfast-guard"),
        ("ClusterRoleBinding", "holdfast-guarded"),
        ("ClusterRoleBinding", "holdfast-webhook"),
        ("Role", "holdfast-guard"),
        ("Role", "holdfast-webhook"),
        ("RoleBinding", "holdfast-guard"),
        ("RoleBinding", "holdfast-webhook"),
        ("ValidatingWebhookConfiguration", "holdfast"),
    }


def test_everything_says_that_it_is_part_of_holdfast() -> None:
    """By the label that policies and people look for."""
    for item in rendered().values():
        assert item["metadata"]["labels"]["app.kubernetes.io/part-of"] == "holdfast"


def test_the_definitions_are_the_generated_ones() -> None:
    """Helm changes nothing in them."""
    objects = rendered()

    for plural, definition in crds.definitions().items():
        assert objects["CustomResourceDefinition", f"{plural}.{names.GROUP}"] == definition


def test_what_is_switched_off_is_left_out() -> None:
    """The definitions, the webhook with its configuration, all pods; accounts and roles stay."""
    everything = set(rendered())

    without = set(
        rendered(
            crds={"enabled": False},
            webhook={"enabled": False},
            workloads={"enabled": False},
            protection={"enabled": False},
        )
    )

    assert without < everything
    assert {kind for kind, _ in without} == {
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
    }


def webhooks(**values: Any) -> dict[str, dict[str, Any]]:
    """Give the entries of the webhook configuration by name."""
    configuration = rendered(**values)["ValidatingWebhookConfiguration", "holdfast"]
    return {entry["name"]: entry for entry in configuration["webhooks"]}


def test_the_webhook_is_reached_by_its_service_or_by_a_url() -> None:
    """Never with a caBundle: that is the guard process's to fill in."""
    for entry in webhooks().values():
        assert entry["clientConfig"] == {
            "service": {
                "name": "holdfast-webhook",
                "namespace": "holdfast-system",
                "path": "/validate",
                "port": 443,
            }
        }

    url = "https://127.0.0.1:10250/validate"
    for entry in webhooks(webhook={"url": url}).values():
        assert entry["clientConfig"] == {"url": url}


def test_the_entries_are_no_reason_for_an_outage() -> None:
    """Fail-open, short, and never for kube-system or our own namespace."""
    entries = webhooks()

    assert list(entries) == [names.WEBHOOK_OBJECTS, names.WEBHOOK_SCALE]
    for entry in entries.values():
        assert entry["failurePolicy"] == "Ignore"
        assert entry["timeoutSeconds"] == 3
        assert entry["sideEffects"] == "None"
        assert entry["matchPolicy"] == "Equivalent"
        assert entry["namespaceSelector"]["matchExpressions"] == [
            {
                "key": "kubernetes.io/metadata.name",
                "operator": "NotIn",
                "values": ["kube-system", "holdfast-system"],
            }
        ]
    assert entries[names.WEBHOOK_OBJECTS]["objectSelector"]["matchExpressions"] == [
        {"key": names.LABEL_GUARD, "operator": "Exists"}
    ]
    assert "objectSelector" not in entries[names.WEBHOOK_SCALE]


def test_conditions_touch_nothing_that_may_be_null() -> None:
    """A delete has no object, a create no old one: an error there skips the webhook in silence."""
    for entry in webhooks().values():
        for condition in entry["matchConditions"]:
            if "object != null && " not in condition["expression"]:
                assert "bject." not in condition["expression"]


def test_whom_the_conditions_drop_the_webhook_would_trust() -> None:
    """What they drop is never judged, so it must be nobody whom the judge would look at."""
    for entry in webhooks().values():
        expression = next(
            condition["expression"]
            for condition in entry["matchConditions"]
            if condition["name"] == "not-the-control-plane"
        )
        usernames = [word for word in expression.split("'") if word.startswith("system:")]
        assert "system:serviceaccount:kube-system:deployment-controller" in usernames
        for username in set(usernames) - {"system:masters"}:  # that is a group
            caller = callers.Caller(
                username,
                uid="1",
                groups=["system:masters"],
                extra={callers.CREDENTIAL_ID: ["JTI=1"]},
            )
            assert callers.classify(caller, guard=None) is callers.CallerClass.TRUSTED, username


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"guard": {"rbac": {"wide": True}}},
        {"guard": {"rbac": {"guarded": []}}},
    ],
)
def test_no_role_can_raise_rights(values: dict[str, Any]) -> None:
    """No verb "*", no escalate, bind or impersonate; no binding to a role of others."""
    objects = rendered(**values)

    for (kind, _), item in objects.items():
        for rule in item.get("rules", []) if kind.endswith("Role") else []:
            assert not {"*", "escalate", "bind", "impersonate"} & set(rule["verbs"])
        if kind.endswith("RoleBinding"):
            assert item["roleRef"]["name"].startswith("holdfast-")


def test_by_default_secrets_and_rbac_are_not_guarded() -> None:
    """Their reach is wider than one application's: people add them knowingly."""
    resources = {
        resource
        for rule in rules(rendered(), "ClusterRole", "holdfast-guarded")
        for resource in rule["resources"]
    }

    assert "deployments" in resources
    assert not resources & {"*", "secrets", "clusterroles", "roles", "namespaces", "pods", "nodes"}


def test_the_guarded_kinds_come_from_the_values() -> None:
    """A list, everything, or nothing; with escalate on RBAC only if asked for."""
    listed = {"guarded": [{"apiGroups": ["", "shop.example"], "resources": ["secrets", "carts"]}]}
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": READ_WRITE}
    escalate = {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["roles", "clusterroles"],
        "verbs": ["escalate", "bind"],
    }

    def guarded(rbac: dict[str, Any]) -> list[Any]:
        return rules(rendered(guard={"rbac": rbac}), "ClusterRole", "holdfast-guarded")

    assert guarded(listed) == [
        {"apiGroups": ["", "shop.example"], "resources": ["secrets", "carts"], "verbs": READ_WRITE}
    ]
    assert guarded({"wide": True}) == [everything]
    assert guarded({"wide": True, "escalate": True}) == [everything, escalate]
    assert guarded({"guarded": [], "escalate": True}) == [escalate]
    assert guarded({"guarded": []}) == []


def test_secrets_are_read_by_name() -> None:
    """Ours are two; only creating cannot be limited by a name."""
    objects = rendered()

    for component in ("guard", "webhook"):
        for rule in rules(objects, "Role", f"holdfast-{component}"):
            if rule["resources"] == ["secrets"] and rule["verbs"] != ["create"]:
                assert rule["resourceNames"] == ["holdfast-webhook-tls", "holdfast-mask-key"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"wibble": 1}, "wibble"),
        ({"webhook": {"failurePolicy": "Open"}}, "failurePolicy"),
        ({"webhook": {"url": "http://127.0.0.1/validate"}}, "url"),
        ({"webhook": {"url": "https://user@host/validate"}}, "url"),
        ({"webhook": {"url": "https://host/validate?x=1"}}, "url"),
        ({"webhook": {"enabled": "yes"}}, "enabled"),
        ({"guard": {"rbac": {"guarded": [{"apiGroups": ["apps/v1"], "resources": ["x"]}]}}}, "0"),
        ({"guard": {"rbac": {"guarded": [{"apiGroups": [""], "resources": ["Secret"]}]}}}, "0"),
        ({"guard": {"rbac": {"guarded": [{"apiGroups": [""]}]}}}, "resources"),
        ({"guard": {"rbac": {"guarded": [{"apiGroups": [""], "resources": ["pods/exec"]}]}}}, "0"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], words: str) -> None:
    """A typing error must not become a default in silence."""
    with pytest.raises(errors.CommandError, match=words):
        chart.render(values)

"""An edit of any declared leaf, of any kind, is found as exactly that path on the real server."""

from typing import Any

import pytest

pytestmark = pytest.mark.integration

APP = "/spec/template/spec/containers/0"
ON, OFF = True, False
SHOWN_APP = "spec.template.spec.containers[name=app]"


def put(path: str, value: Any) -> dict[str, Any]:
    """Give the operation that sets a value."""
    return {"op": "add", "path": path, "value": value}


def drop(path: str) -> dict[str, Any]:
    """Give the operation that removes a value."""
    return {"op": "remove", "path": path}


EDITS: list[tuple[str, list[dict[str, Any]], list[tuple[str, str]]]] = [
    ("ConfigMap", [put("/data/level", "debug")], [("data.level", "changed")]),
    ("ConfigMap", [drop("/data/empty")], [("data.empty", "removed")]),
    ("ConfigMap", [drop("/metadata/labels/empty")], [("metadata.labels.empty", "removed")]),
    ("ConfigMap", [put("/binaryData/wrapped", "aGVsbG8h")], [("binaryData.wrapped", "changed")]),
    ("ConfigMap", [put("/data/more", "x")], []),
    ("Secret", [put("/data/password", "aHVudGVyMgo1")], [("data.password", "changed")]),
    ("Secret", [drop("/data/both")], [("data.both", "removed")]),
    ("Deployment", [put("/spec/replicas", 5)], [("spec.replicas", "changed")]),
    ("Deployment", [drop("/spec/replicas")], [("spec.replicas", "changed")]),
    ("Deployment", [put("/spec/paused", ON)], [("spec.paused", "changed")]),
    ("Deployment", [put("/spec/minReadySeconds", 3)], [("spec.minReadySeconds", "changed")]),
    ("Deployment", [put(f"{APP}/image", "x:2")], [(f"{SHOWN_APP}.image", "changed")]),
    ("Deployment", [put(f"{APP}/args/0", "-v")], [(f"{SHOWN_APP}.args", "changed")]),
    ("Deployment", [put(f"{APP}/command", ["sh"])], [(f"{SHOWN_APP}.command", "changed")]),
    (
        "Deployment",
        [put(f"{APP}/resources/requests/cpu", "600m")],
        [(f"{SHOWN_APP}.resources.requests.cpu", "changed")],
    ),
    (
        "Deployment",
        [put(f"{APP}/resources/limits/cpu", "1000m"), put(f"{APP}/resources/limits/memory", "2Gi")],
        [(f"{SHOWN_APP}.resources.limits.memory", "changed")],
    ),
    ("Deployment", [drop(f"{APP}/env/1")], [(f"{SHOWN_APP}.env[name=LEVEL]", "removed")]),
    (
        "Deployment",
        [put(f"{APP}/env/0/value", "x")],
        [(f"{SHOWN_APP}.env[name=EMPTY].value", "changed")],
    ),
    (
        "Deployment",
        [{"op": "replace", "path": f"{APP}/env/2", "value": {"name": "PASSWORD", "value": "x"}}],
        [(f"{SHOWN_APP}.env[name=PASSWORD].valueFrom.secretKeyRef", "removed")],
    ),
    (
        "Deployment",
        [put(f"{APP}/ports/0/containerPort", 9090)],
        [(f"{SHOWN_APP}.ports[containerPort=8080,protocol=TCP]", "removed")],
    ),
    (
        "Deployment",
        [drop("/spec/template/spec/containers/1")],
        [("spec.template.spec.containers[name=side]", "removed")],
    ),
    (
        "Deployment",
        [put("/spec/template/spec/tolerations", [{"operator": "Exists"}])],
        [("spec.template.spec.tolerations", "changed")],
    ),
    (
        "Deployment",
        [put("/spec/template/spec/nodeSelector", {"disk": "ssd"})],
        [("spec.template.spec.nodeSelector", "changed")],
    ),
    (
        "Deployment",
        [put("/spec/template/spec/dnsPolicy", "Default")],
        [("spec.template.spec.dnsPolicy", "changed")],
    ),
    (
        "Service",
        [put("/spec/ports/0/targetPort", 8080)],
        [("spec.ports[port=80,protocol=TCP].targetPort", "changed")],
    ),
    ("Service", [put("/spec/selector", {"app": "evil"})], [("spec.selector", "changed")]),
    ("NetworkPolicy", [put("/spec/ingress", [{}])], [("spec.ingress", "changed")]),
    ("NetworkPolicy", [drop("/spec/egress/1")], [("spec.egress", "changed")]),
    (
        "CustomResourceDefinition",
        [put("/spec/versions/0/schema/openAPIV3Schema/description", "x")],
        [("spec.versions", "changed")],
    ),
    ("Store", [put("/spec/price", 2.5)], [("spec.price", "changed")]),
    ("Store", [put("/spec/free/deep/flag", 0)], [("spec.free.deep.flag", "changed")]),
    ("Store", [put("/spec/free/deep/list/1/two", 4)], [("spec.free.deep.list", "changed")]),
    ("Store", [drop("/spec/tags/0")], [('spec.tags[="b"]', "removed")]),
    ("Store", [put("/spec/tags", ["c", "a", "b"])], []),
    ("Store", [put("/spec/words", ["two", "one", "two"])], [("spec.words", "changed")]),
    (
        "Store",
        [put("/spec/rooms/0/colour", "blue")],
        [("spec.rooms[door=blue,floor=2].colour", "changed")],
    ),
    ("Store", [put("/spec/rooms/1/floor", 4)], [("spec.rooms[door=green,floor=1]", "removed")]),
    ("Role", [put("/rules/0/verbs", ["*"])], [("rules", "changed")]),
    ("RoleBinding", [put("/subjects/0/name", "mallory")], [("subjects", "changed")]),
    ("HorizontalPodAutoscaler", [put("/spec/maxReplicas", 9)], [("spec.maxReplicas", "changed")]),
    ("Ingress", [put("/spec/rules/0/host", "evil.example")], [("spec.rules", "changed")]),
    ("CronJob", [put("/spec/suspend", OFF)], [("spec.suspend", "changed")]),
    (
        "ServiceAccount",
        [put("/automountServiceAccountToken", ON)],
        [("automountServiceAccountToken", "changed")],
    ),
    ("Namespace", [put("/metadata/labels/team", "x")], [("metadata.labels.team", "changed")]),
    ("PodDisruptionBudget", [put("/spec/minAvailable", 1)], [("spec.minAvailable", "changed")]),
    (
        "ResourceQuota",
        [put("/spec/hard/requests.cpu", "1001m")],
        [('spec.hard["requests.cpu"]', "changed")],
    ),
    ("LimitRange", [put("/spec/limits/0/default/cpu", "1")], [("spec.limits", "changed")]),
    (
        "ValidatingWebhookConfiguration",
        [put("/webhooks/0/failurePolicy", "Fail")],
        [("webhooks[name=HOOK].failurePolicy", "changed")],
    ),
    (
        "ConfigMap",
        [put("/metadata/annotations/holdfast.dev~1origin", "{}")],
        [('metadata.annotations["holdfast.dev/origin"]', "changed")],
    ),
    (
        "ConfigMap",
        [drop("/metadata/labels/holdfast.dev~1guard")],
        [('metadata.labels["holdfast.dev/guard"]', "removed")],
    ),
]


async def test_an_edit_of_each_kind_of_leaf_is_exactly_that_path(guarding: Any) -> None:
    """Not less, and not a neighbour more."""
    applied = await guarding.apply_all()
    faults = []
    for kind, operations, expected in EDITS:
        one = applied[kind]
        await guarding.patch(one, *operations)
        hook = f"check.{guarding.namespace}.example.org"
        found = await guarding.drift(one)
        wanted = [(path.replace("HOOK", hook), state) for path, state in expected]
        if found != wanted:
            faults.append((kind, operations, found))
        await put_back(guarding, one)

    assert faults == []


async def put_back(guarding: Any, one: Any) -> None:
    """Make an object what it was: in one patch, since an apply cannot heal a changed list key."""
    fields = [name for name in one.response if name not in {"apiVersion", "kind", "status"}]
    operations = [put(f"/{name}", one.response[name]) for name in fields if name != "metadata"]
    operations += [
        put(f"/metadata/{name}", one.response["metadata"][name])
        for name in ("labels", "annotations", "managedFields")
    ]
    await guarding.patch(one, *operations)

    assert await guarding.drift(one) == []

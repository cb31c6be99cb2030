"""A manifest is sent without what only the server writes, and in normal form."""

import copy
from typing import Any

import pytest

from guard.fields import errors, manifest


def of(kind: str, api_version: str = "v1", **fields: Any) -> dict[str, Any]:
    """Give a manifest named shop/web."""
    metadata = {"name": "web", "namespace": "shop", **fields.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def test_an_exported_object_loses_what_only_the_server_writes() -> None:
    """kustomize-controller#453, argo-cd#17394: else a stale uid answers 409 for ever."""
    exported = of(
        "Deployment",
        "apps/v1",
        metadata={
            "uid": "1",
            "resourceVersion": "5",
            "generation": 2,
            "selfLink": "/x",
            "creationTimestamp": "2024-01-01T00:00:00Z",
            "managedFields": [{}],
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "deployment.kubernetes.io/revision": "4",
                "keep": "this",
            },
        },
        spec={"template": {"metadata": {"creationTimestamp": None, "labels": {"a": "b"}}}},
        status={"replicas": 1},
    )
    before = copy.deepcopy(exported)

    sendable = manifest.sendable(exported)

    assert sendable.obj == of(
        "Deployment",
        "apps/v1",
        metadata={"annotations": {"keep": "this"}},
        spec={"template": {"metadata": {"labels": {"a": "b"}}}},
    )
    assert set(sendable.dropped) == {
        "status",
        "metadata.uid",
        "metadata.resourceVersion",
        "metadata.generation",
        "metadata.selfLink",
        "metadata.creationTimestamp",
        "metadata.managedFields",
        'metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"]',
        'metadata.annotations["deployment.kubernetes.io/revision"]',
        "spec.template.metadata.creationTimestamp",
    }
    assert exported == before


def test_templates_within_templates_and_in_lists_lose_their_creation_time() -> None:
    """CronJobs hold a Job's template that holds a Pod's; StatefulSets a list of claims."""
    time = {"creationTimestamp": "2024-01-01T00:00:00Z"}
    sendable = manifest.sendable(
        of(
            "CronJob",
            "batch/v1",
            spec={
                "jobTemplate": {"metadata": dict(time), "spec": {"template": {"metadata": time}}},
                "volumeClaimTemplates": [{"metadata": dict(time)}, "no template"],
            },
        )
    )

    assert sendable.obj["spec"] == {
        "jobTemplate": {"metadata": {}, "spec": {"template": {"metadata": {}}}},
        "volumeClaimTemplates": [{"metadata": {}}, "no template"],
    }
    assert sendable.dropped == (
        "spec.jobTemplate.metadata.creationTimestamp",
        "spec.jobTemplate.spec.template.metadata.creationTimestamp",
        "spec.volumeClaimTemplates[0].metadata.creationTimestamp",
    )


def test_null_says_nothing_and_every_other_empty_is_kept() -> None:
    """An empty podSelector or emptyDir means something; a null among list items has its place."""
    spec = {"a": {}, "b": [], "c": "", "d": 0, "e": False, "list": [None, {"x": None, "y": 1}]}

    sendable = manifest.sendable(of("Thing", "example.org/v1", spec={**spec, "f": None}))

    assert sendable.obj["spec"] == {**spec, "list": [None, {"y": 1}]}
    assert sendable.dropped == ("spec.list[1].x", "spec.f")


def test_string_data_becomes_data_and_wins() -> None:
    """argo-cd#897: stringData is write-only, so it never equals what is stored."""
    sendable = manifest.sendable(
        of("Secret", data={"a": "b2xk", "c": "aGVs\nbG8=\n"}, stringData={"a": "new\n", "b": "é"})
    )

    assert sendable.obj["data"] == {"a": "bmV3Cg==", "b": "w6k=", "c": "aGVsbG8="}
    assert "stringData" not in sendable.obj
    assert sendable.dropped == ()


def test_a_secret_without_data_stays_without() -> None:
    """An empty stringData adds nothing; declared empty data stays declared."""
    assert "data" not in manifest.sendable(of("Secret", stringData={})).obj
    assert manifest.sendable(of("Secret", data={})).obj["data"] == {}


@pytest.mark.parametrize(
    "fields", [{"stringData": {"pin": 12345}}, {"stringData": ["12345"]}, {"data": "12345"}]
)
def test_a_secret_that_cannot_be_read_is_refused_without_its_value(fields: Any) -> None:
    """The server would quote the whole Secret in its answer."""
    with pytest.raises(errors.InvalidManifest, match=r"^Secret shop/web: ") as refused:
        manifest.sendable(of("Secret", **fields))

    assert "12345" not in str(refused.value)


def test_another_kind_named_secret_is_left_alone() -> None:
    """The rules belong to kinds of the core group."""
    obj = of("Secret", "example.org/v1", stringData={"a": "b"})

    assert manifest.sendable(obj).obj == obj


def test_binary_data_of_a_config_map_loses_its_line_breaks() -> None:
    """The server stores it without."""
    sendable = manifest.sendable(
        of("ConfigMap", data={"a": "x\n"}, binaryData={"b": "aGVs\r\nbG8="})
    )

    assert sendable.obj["binaryData"] == {"b": "aGVsbG8="}
    assert sendable.obj["data"] == {"a": "x\n"}


def test_rules_of_an_aggregated_cluster_role_are_never_sent() -> None:
    """flux2#2472: each apply would empty live permissions for a moment."""
    group = "rbac.authorization.k8s.io/v1"
    aggregated = of("ClusterRole", group, aggregationRule={}, rules=[{"verbs": ["get"]}])
    plain = of("ClusterRole", group, rules=[])

    assert "rules" not in manifest.sendable(aggregated).obj
    assert manifest.sendable(aggregated).dropped == ("rules",)
    assert manifest.sendable(plain).obj == plain


@pytest.mark.parametrize("bundle", ["", "Cg==", "IAo=\n"])
@pytest.mark.parametrize(
    ("group", "kind", "place", "path"),
    [
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration",
            lambda config: {"webhooks": [{"name": "x"}, {"name": "y", "clientConfig": config}]},
            "webhooks[1].clientConfig.caBundle",
        ),
        (
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            lambda config: {"spec": {"conversion": {"webhook": {"clientConfig": config}}}},
            "spec.conversion.webhook.clientConfig.caBundle",
        ),
        (
            "apiregistration.k8s.io",
            "APIService",
            lambda config: {"spec": config},
            "spec.caBundle",
        ),
    ],
)
def test_a_ca_bundle_that_holds_nothing_waits_for_an_injector(
    bundle: str, group: str, kind: str, place: Any, path: str
) -> None:
    """rancher/fleet#5368: sending the placeholder wipes the injected bundle."""
    obj = of(kind, f"{group}/v1", **place({"caBundle": bundle, "url": "https://x"}))

    sendable = manifest.sendable(obj)

    assert sendable.dropped == (path,)
    assert sendable.obj == of(kind, f"{group}/v1", **place({"url": "https://x"}))


def test_a_real_ca_bundle_is_sent() -> None:
    """It is then the source's to say, and what is no base64 is the server's to refuse."""
    for bundle in ("LS0tLS1CRUdJTg==", "!", 5):
        obj = of("APIService", "apiregistration.k8s.io/v1", spec={"caBundle": bundle})

        assert manifest.sendable(obj).obj == obj


@pytest.mark.parametrize("spec", [None, "text", [], {"conversion": None}, {"conversion": "x"}])
def test_definitions_of_any_shape_are_passed_on(spec: Any) -> None:
    """What is wrong with them, the server says."""
    group = "apiextensions.k8s.io/v1"

    manifest.sendable(of("CustomResourceDefinition", group, spec=spec))
    manifest.sendable(of("ValidatingWebhookConfiguration", group, webhooks=spec))


def test_a_manifest_nested_without_end_is_refused() -> None:
    """It names the object."""
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]

    with pytest.raises(errors.InvalidManifest, match=r"^Thing shop/web is nested too deeply"):
        manifest.sendable(of("Thing", spec=deep))

"""Manifests as people write them settle at once: public bug reports, tried on the real server."""

import base64
from typing import Any

import pytest
from support import polling

from guard.cluster import errors
from guard.fields import values
from guard.fields.paths import Field, Key

pytestmark = pytest.mark.integration


def secret(guarding: Any, **fields: Any) -> dict[str, Any]:
    """Give the manifest of a Secret."""
    metadata = {"name": "keys", "namespace": guarding.namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, **fields}


async def test_a_key_that_leaves_string_data_leaves_the_secret(guarding: Any) -> None:
    """kustomize-controller#450: sent as stringData, it lives on in data."""
    await guarding.apply(secret(guarding, stringData={"a": "1", "b": "2"}))

    applied = await guarding.apply(secret(guarding, stringData={"a": "1"}))

    assert (await guarding.live(applied))["data"] == {"a": base64.b64encode(b"1").decode()}
    assert await guarding.drift(applied) == []


async def test_a_second_env_of_one_name_is_found_and_one_apply_heals_it(guarding: Any) -> None:
    """kubernetes#58477: legal in an update, and the second one counts."""
    web = await guarding.apply(
        next(obj for obj in guarding.manifests() if obj["kind"] == "Deployment")
    )
    env = "/spec/template/spec/containers/0/env/-"
    await guarding.patch(web, {"op": "add", "path": env, "value": {"name": "LEVEL", "value": "x"}})
    assert await guarding.drift(web) == [
        ("spec.template.spec.containers[name=app].env[name=LEVEL]", "changed")
    ]

    again = await guarding.apply(
        next(obj for obj in guarding.manifests() if obj["kind"] == "Deployment")
    )

    assert await guarding.drift(again) == []
    pod = ("spec", "template", "spec", "containers")
    path = (*map(Field, pod), Key((("name", "app"),)), Field("env"))
    items = values.get(again.response, path)
    assert [item["name"] for item in items] == ["EMPTY", "LEVEL", "PASSWORD"]


async def test_one_name_twice_in_the_source_is_an_error_of_that_object(guarding: Any) -> None:
    """kubernetes#113482: server-side apply cannot say it; nothing is applied."""
    obj = next(obj for obj in guarding.manifests() if obj["kind"] == "Deployment")
    container = obj["spec"]["template"]["spec"]["containers"][0]
    container["env"].append({"name": "LEVEL", "value": "again"})

    with pytest.raises(errors.ApiStatusError, match="duplicate entries"):
        await guarding.apply(obj)


async def test_an_aggregated_cluster_role_keeps_the_rules_that_its_controller_fills(
    guarding: Any,
) -> None:
    """flux2#2472: they are neither declared nor ever emptied."""
    manifests = {obj["kind"]: obj for obj in guarding.manifests()}
    await guarding.apply(
        {
            **manifests["ClusterRole"],
            "metadata": {
                "name": f"{guarding.namespace}-part",
                "labels": {"holdfast.example/part": guarding.namespace},
            },
            "aggregationRule": None,
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        }
    )
    role = await guarding.apply(manifests["ClusterRole"])

    async def rules() -> Any:
        return (await guarding.live(role)).get("rules")

    filled = await polling.eventually(rules)
    assert await guarding.drift(role) == []
    again = await guarding.apply(manifests["ClusterRole"])
    assert again.response["rules"] == filled
    assert (
        again.response["metadata"]["resourceVersion"]
        == ((await guarding.live(role))["metadata"]["resourceVersion"])
    )


async def test_an_injected_ca_bundle_is_no_drift_and_survives_an_apply(guarding: Any) -> None:
    """rancher/fleet#5368: a placeholder in the source says nothing."""
    kind = "ValidatingWebhookConfiguration"
    manifest = next(obj for obj in guarding.manifests() if obj["kind"] == kind)
    hook = await guarding.apply(manifest)
    pem = b"-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIU\n-----END CERTIFICATE-----\n"
    bundle = base64.b64encode(pem).decode()
    path = "/webhooks/0/clientConfig"
    await guarding.patch(hook, {"op": "add", "path": f"{path}/caBundle", "value": bundle})

    assert await guarding.drift(hook) == []
    again = await guarding.apply(manifest)
    assert again.response["webhooks"][0]["clientConfig"]["caBundle"] == bundle

    await guarding.patch(hook, {"op": "add", "path": f"{path}/service/name", "value": "evil"})
    name = f"check.{guarding.namespace}.example.org"
    assert await guarding.drift(hook) == [
        (f"webhooks[name={name}].clientConfig.service.name", "changed")
    ]

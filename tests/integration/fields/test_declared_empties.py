"""What is put into a declared empty is drift where the server treats it as one value, else not."""

from typing import Any

import pytest

pytestmark = pytest.mark.integration

SELECTOR = {"op": "replace", "path": "/spec/podSelector", "value": {"matchLabels": {"a": "b"}}}


async def one_of(guarding: Any, kind: str) -> Any:
    """Apply the manifest of one kind."""
    return await guarding.apply(next(obj for obj in guarding.manifests() if obj["kind"] == kind))


async def test_a_pod_selector_is_one_value(guarding: Any) -> None:
    """A policy for all pods becomes one for hardly any."""
    policy = await one_of(guarding, "NetworkPolicy")

    await guarding.patch(policy, SELECTOR)

    assert await guarding.drift(policy) == [("spec.podSelector", "changed")]


@pytest.mark.parametrize("is_ours", [True, False])
async def test_forged_owners_do_not_hide_it(guarding: Any, is_ours: bool) -> None:  # noqa: FBT001
    """The server folds what claims to own a part of one value."""
    policy = await one_of(guarding, "NetworkPolicy")
    entries = policy.response["metadata"]["managedFields"]
    forged = {
        "manager": entries[0]["manager"] if is_ours else "somebody",
        "operation": "Update",
        "apiVersion": "networking.k8s.io/v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:podSelector": {".": {}, "f:matchLabels": {}}}},
    }
    operations = [{"op": "replace", "path": "/metadata/managedFields", "value": [*entries, forged]}]

    await guarding.patch(policy, SELECTOR, *operations)
    assert await guarding.drift(policy) == [("spec.podSelector", "changed")]

    # Once more, now that the value is in place: then our own entry owns the wrong value.
    await guarding.patch(policy, *operations)
    assert await guarding.drift(policy) == [("spec.podSelector", "changed")]


async def test_wiped_owners_do_not_hide_it(guarding: Any) -> None:
    """Anyone may empty the managed fields in the same request."""
    policy = await one_of(guarding, "NetworkPolicy")

    await guarding.patch(
        policy, SELECTOR, {"op": "replace", "path": "/metadata/managedFields", "value": [{}]}
    )

    assert await guarding.drift(policy) == [("spec.podSelector", "changed")]


async def test_an_atomic_map_of_a_custom_resource_is_one_value(guarding: Any) -> None:
    """Its schema says so; a struct beside it is the editor's to fill."""
    await one_of(guarding, "CustomResourceDefinition")
    store = await one_of(guarding, "Store")

    await guarding.patch(store, {"op": "add", "path": "/spec/shape/width", "value": 3})
    assert await guarding.drift(store) == []

    await guarding.patch(store, {"op": "add", "path": "/spec/settings/a", "value": "b"})
    assert await guarding.drift(store) == [("spec.settings", "changed")]


async def test_content_of_a_struct_is_no_drift_but_its_removal_is(guarding: Any) -> None:
    """Controllers and people fill annotations, strategy and emptyDir: these additions are extra."""
    web = await one_of(guarding, "Deployment")
    pod = "/spec/template/spec"
    await guarding.patch(
        web,
        {"op": "replace", "path": "/spec/strategy", "value": {"type": "Recreate"}},
        {"op": "add", "path": "/spec/template/metadata/annotations", "value": {"a": "b"}},
        {"op": "add", "path": f"{pod}/volumes/0/emptyDir/sizeLimit", "value": "1Gi"},
        {"op": "add", "path": f"{pod}/securityContext/runAsUser", "value": 1000},
    )
    assert await guarding.drift(web) == []

    await guarding.patch(
        web,
        {
            "op": "replace",
            "path": f"{pod}/volumes/0",
            "value": {"name": "scratch", "hostPath": {"path": "/"}},
        },
    )
    assert await guarding.drift(web) == [
        ("spec.template.spec.volumes[name=scratch].emptyDir", "removed")
    ]


async def test_an_identical_apply_shows_the_same_after_an_empty_was_filled(guarding: Any) -> None:
    """A struct that others have filled is declared as filled by the next apply."""
    web = await one_of(guarding, "Deployment")
    await guarding.patch(
        web, {"op": "add", "path": "/spec/template/metadata/annotations", "value": {"a": "b"}}
    )

    again = await one_of(guarding, "Deployment")

    assert again.declaration.mutated == ()
    assert await guarding.drift(again) == []
    assert await guarding.drift(web) == []

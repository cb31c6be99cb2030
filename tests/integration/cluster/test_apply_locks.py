"""What the server does with locks and mistakes, and which of our errors tells it."""

import uuid
from typing import Any

import pytest

from guard.api import keys
from guard.cluster import client as clients
from guard.cluster import discovery, errors, objects, resources

pytestmark = pytest.mark.integration

MANAGER = "holdfast-0123456789abcdef"


@pytest.fixture
async def config_maps(client: clients.Client) -> resources.Resource:
    """Give the resource of ConfigMaps."""
    return await discovery.Discovery(client).find(keys.GroupVersionKind("", "v1", "ConfigMap"))


def config_map(namespace: str, level: Any = "info", **rest: Any) -> dict[str, Any]:
    """Give a ConfigMap of one value."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "conf", "namespace": namespace},
        "data": {"level": level},
        **rest,
    }


def lock_of(obj: dict[str, Any]) -> dict[str, str]:
    """Give uid and version of an object as ``apply`` wants them."""
    metadata = obj["metadata"]
    return {"uid": metadata["uid"], "resource_version": metadata["resourceVersion"]}


async def test_an_apply_under_its_lock_changes_and_owns_the_fields(
    client: clients.Client, config_maps: resources.Resource, namespace: str
) -> None:
    """Creation carries no lock; a change carries both; neither is booked as our field."""
    made = await objects.apply(
        client, config_maps, config_map(namespace), manager=MANAGER, force=False
    )
    changed = await objects.apply(
        client,
        config_maps,
        config_map(namespace, "debug"),
        manager=MANAGER,
        force=True,
        **lock_of(made),
    )

    assert changed["data"] == {"level": "debug"}
    entry = changed["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"]) == (MANAGER, "Apply")
    assert entry["fieldsV1"] == {"f:data": {"f:level": {}}}


async def test_a_dry_run_stores_nothing(
    client: clients.Client, config_maps: resources.Resource, namespace: str
) -> None:
    """It answers what would be."""
    would = await objects.apply(
        client, config_maps, config_map(namespace), manager=MANAGER, force=False, dry_run=True
    )

    assert would["data"] == {"level": "info"}
    with pytest.raises(errors.NotFound):
        await objects.get(client, config_maps, namespace, "conf")


async def test_a_stale_version_is_a_conflict(
    client: clients.Client, config_maps: resources.Resource, namespace: str
) -> None:
    """Whoever changed the object since is not overwritten."""
    made = await objects.create(client, config_maps, config_map(namespace), "kubectl")
    await objects.replace(
        client,
        config_maps,
        {**made, "data": {"level": "mine"}},
        "kubectl",
    )

    with pytest.raises(errors.Conflict):
        await objects.apply(
            client,
            config_maps,
            config_map(namespace),
            manager=MANAGER,
            force=True,
            **lock_of(made),
        )
    with pytest.raises(errors.Conflict):
        await objects.replace(client, config_maps, made, "kubectl")
    with pytest.raises(errors.Conflict):
        await objects.delete(client, config_maps, namespace, "conf", **lock_of(made))


async def test_another_object_of_the_same_name_is_invalid(
    client: clients.Client, config_maps: resources.Resource, namespace: str
) -> None:
    """An object that was deleted and made anew is not ours to change unseen."""
    made = await objects.create(client, config_maps, config_map(namespace), "kubectl")

    with pytest.raises(errors.Invalid) as caught:
        await objects.apply(
            client,
            config_maps,
            config_map(namespace),
            manager=MANAGER,
            force=True,
            uid=str(uuid.uuid4()),
            resource_version=made["metadata"]["resourceVersion"],
        )
    assert caught.value.causes[0].field == "metadata.uid"


async def test_a_locked_apply_never_creates(
    client: clients.Client, config_maps: resources.Resource, namespace: str
) -> None:
    """The version alone would (201): a person's deletion between read and write would be undone."""
    made = await objects.create(client, config_maps, config_map(namespace), "kubectl")
    await objects.delete(client, config_maps, namespace, "conf", **lock_of(made))

    with pytest.raises(errors.Conflict):
        await objects.apply(
            client,
            config_maps,
            config_map(namespace),
            manager=MANAGER,
            force=True,
            **lock_of(made),
        )


@pytest.mark.parametrize(
    "lock",
    [
        {"uid": "u"},
        {"resource_version": "5"},
        {"uid": "u", "resource_version": "0"},
        {"uid": "u", "resource_version": ""},
        {"uid": "", "resource_version": "5"},
    ],
)
async def test_half_a_lock_is_refused_by_ourselves(
    client: clients.Client, config_maps: resources.Resource, namespace: str, lock: dict[str, str]
) -> None:
    """The server takes them for no lock, or for half of one."""
    with pytest.raises(ValueError, match="lock"):
        await objects.apply(
            client, config_maps, config_map(namespace), manager=MANAGER, force=True, **lock
        )


async def test_an_unforced_apply_over_another_manager_names_it(
    client: clients.Client, config_maps: resources.Resource, namespace: str
) -> None:
    """The cause holds the field and the manager that owns it."""
    await objects.apply(client, config_maps, config_map(namespace), manager="flux", force=False)

    with pytest.raises(errors.Conflict) as caught:
        await objects.apply(
            client, config_maps, config_map(namespace, "debug"), manager=MANAGER, force=False
        )
    cause = caught.value.causes[0]
    assert (cause.reason, cause.field) == ("FieldManagerConflict", ".data.level")
    assert "flux" in cause.message


@pytest.mark.parametrize(
    "mistake", [{"dota": {"a": "b"}}, {"data": {"level": 5}}], ids=["unknown field", "wrong type"]
)
async def test_a_mistake_in_a_manifest_is_permanent(
    client: clients.Client,
    config_maps: resources.Resource,
    namespace: str,
    mistake: dict[str, Any],
) -> None:
    """The server answers 500, which must not look like a fault that passes."""
    with pytest.raises(errors.Invalid):
        await objects.apply(
            client,
            config_maps,
            config_map(namespace, **mistake),
            manager=MANAGER,
            force=True,
        )


async def test_a_kind_that_is_not_served_differs_from_an_object_that_is_missing(
    client: clients.Client, namespace: str
) -> None:
    """An object is not missing because its definition is gone."""
    gone = resources.Resource("example.com", "v1", "Widget", "widgets", namespaced=True)
    unknown = resources.Resource("apps", "v1", "Widget", "widgets", namespaced=True)

    for resource in (gone, unknown):
        with pytest.raises(errors.NotServed):
            await objects.get(client, resource, namespace, "a")


async def test_a_json_patch_locks_by_replacing_the_version(
    client: clients.Client, config_maps: resources.Resource, namespace: str
) -> None:
    """Stale, it is a real Conflict; right, it changes one value."""
    made = await objects.create(client, config_maps, config_map(namespace), "kubectl")

    async def patch(version: str) -> dict[str, Any]:
        lock = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
        change = {"op": "replace", "path": "/data/level", "value": "debug"}
        return await objects.patch(
            client,
            config_maps,
            namespace,
            "conf",
            [lock, change],
            content_type=objects.JSON_PATCH,
            manager=MANAGER,
        )

    with pytest.raises(errors.Conflict):
        await patch("1")
    assert (await patch(made["metadata"]["resourceVersion"]))["data"] == {"level": "debug"}


async def test_lists_come_in_pages_with_kinds(
    client: clients.Client, config_maps: resources.Resource, namespace: str
) -> None:
    """The server leaves apiVersion and kind out of list items; they are put back."""
    for number in range(5):
        obj = config_map(namespace)
        obj["metadata"] |= {"name": f"c{number}", "labels": {"odd": str(number % 2)}}
        await objects.create(client, config_maps, obj, "kubectl")
    pages = [
        page
        async for page in objects.pages(
            client, config_maps, namespace=namespace, label_selector="odd", page_size=2
        )
    ]
    odd = await objects.list_all(client, config_maps, namespace=namespace, label_selector="odd=1")

    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert [page.is_first for page in pages] == [True, False, False]
    assert len({page.resource_version for page in pages}) == 1
    assert [item["metadata"]["name"] for item in odd] == ["c1", "c3"]
    assert {(item["apiVersion"], item["kind"]) for item in odd} == {("v1", "ConfigMap")}

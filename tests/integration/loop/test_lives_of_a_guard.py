"""Guards come, change and go while their loops are at work."""

import asyncio
import itertools
import json

import pytest
from support import polling

from guard.cluster import errors as cluster_errors
from guard.inventory import store as inventory_store
from guard.render import manifests

pytestmark = pytest.mark.integration

_COLLECTED_SECONDS = 60.0
"""The garbage collector looks for new kinds, such as ours, once in 30 seconds."""


def conf(name: str, value: str = "1") -> str:
    """Write a ConfigMap manifest."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{x: '{value}'}}\n"


async def names(bench):
    """Give the names of the guarded ConfigMaps."""
    found = await bench.get("configmaps?labelSelector=holdfast.dev/guard")
    return [item["metadata"]["name"] for item in found["items"]]


async def test_a_guard_deleted_in_mid_sync_leaves_its_objects_and_no_trace(bench):
    await bench.guard()
    bench.source.commit({f"{n}.yaml": conf(f"c{n}") for n in range(200)})
    await bench.start()
    await polling.eventually(lambda: names(bench))

    await bench.run("delete", "guards.holdfast.dev", "shop")

    async def no_inventory():
        found = await bench.get("holdfast.dev/v1alpha1:inventories")
        return not found["items"]

    await polling.eventually(no_inventory, within_seconds=_COLLECTED_SECONDS)
    left = await names(bench)
    assert left
    await bench.run("patch", "configmap", left[0], "--patch", '{"data": {"x": "7"}}')

    await bench.guard()

    async def applied():
        status = await bench.status()
        return status.get("synced") == 200 and await has_own_inventory(bench)

    await polling.eventually(applied, within_seconds=20)
    assert len(await names(bench)) == 200
    assert (await bench.get(f"configmaps/{left[0]}"))["data"] == {"x": "1"}


async def has_own_inventory(bench):
    """Tell whether there is an inventory of the new Guard."""
    guard = await bench.get("holdfast.dev/v1alpha1:guards/shop")
    found = await bench.get("holdfast.dev/v1alpha1:inventories")
    return [item["metadata"]["ownerReferences"][0]["uid"] for item in found["items"]] == [
        guard["metadata"]["uid"]
    ]


async def test_a_guard_made_anew_at_once_has_an_inventory_of_its_own(bench):
    await bench.guard()
    revision = bench.source.commit({"a.yaml": conf("a")})
    await bench.start()
    await bench.synced(revision)

    await bench.run("delete", "guards.holdfast.dev", "shop")
    await bench.guard()
    await bench.synced(revision)

    await polling.eventually(lambda: has_own_inventory(bench))
    await bench.run("patch", "configmap", "a", "--patch", '{"data": {"x": "7"}}')
    await polling.eventually(lambda: bench.records)
    assert (await bench.get("configmaps/a"))["data"] == {"x": "1"}


async def test_a_guard_that_waits_for_a_finalizer_guards_no_more(bench):
    await bench.guard()
    revision = bench.source.commit({"a.yaml": conf("a")})
    await bench.start()
    await bench.synced(revision)
    hold = '{"metadata": {"finalizers": ["example.org/hold"]}}'
    await bench.run(
        "patch", "guards.holdfast.dev", "shop", "--type=merge", "--patch", hold, user="admin"
    )

    await bench.run("delete", "guards.holdfast.dev", "shop", "--wait=false")

    attempts = itertools.count()

    async def unguarded():
        kept = (await bench.get("configmaps/a"))["data"]["x"]
        patch = json.dumps({"data": {"x": f"mine {next(attempts)}"}})
        await bench.run("patch", "configmap", "a", "--patch", patch)
        return kept.startswith("mine")

    await polling.eventually(unguarded, every_seconds=0.5)
    loose = '{"metadata": {"finalizers": null}}'
    await bench.run(
        "patch", "guards.holdfast.dev", "shop", "--type=merge", "--patch", loose, user="admin"
    )
    assert (await bench.get("configmaps/a"))["data"]["x"].startswith("mine")


async def test_another_target_namespace_is_applied_without_a_new_commit(bench):
    other = f"{bench.namespace}-b"
    await bench.run("create", "namespace", other)
    await bench.guard(target={"namespace": bench.namespace})
    bench.source.commit({"a.yaml": conf("a")})
    await bench.start()
    await bench.condition("Ready", "True")

    await bench.guard(target={"namespace": other})

    async def moved():
        found = await bench.client.request("GET", f"/api/v1/namespaces/{other}/configmaps")
        return "a" in {item["metadata"]["name"] for item in found["items"]}

    await polling.eventually(moved)
    patch = ("patch", "configmap", "a", "--patch", '{"data": {"x": "7"}}')
    await asyncio.to_thread(bench.kubectl, f"--namespace={other}", *patch)
    await polling.eventually(lambda: bench.records)
    live = await bench.client.request("GET", f"/api/v1/namespaces/{other}/configmaps/a")
    assert live["data"] == {"x": "1"}

    async def orphaned():
        return (await bench.status())["orphaned"] == 1

    await polling.eventually(orphaned)
    await bench.stop()
    await bench.run("delete", "namespace", other, "--wait=false")


async def test_five_hundred_drifts_at_once_are_restored_with_a_record_each(bench):
    await bench.guard()
    revision = bench.source.commit({f"{n}.yaml": conf(f"c{n}") for n in range(500)})
    await bench.start()
    await bench.synced(revision)

    async def drift(name):
        await bench.client.request(
            "PATCH",
            f"/api/v1/namespaces/{bench.namespace}/configmaps/{name}",
            body={"data": {"x": "7"}},
            content_type="application/merge-patch+json",
        )

    async with asyncio.TaskGroup() as group:
        for n in range(500):
            group.create_task(drift(f"c{n}"))

    await polling.eventually(lambda: len(bench.records) >= 500, within_seconds=30)
    found = await bench.get("configmaps?labelSelector=holdfast.dev/guard")
    assert {item["data"]["x"] for item in found["items"]} == {"1"}
    assert len({record.object.name for record in bench.records}) == len(bench.records) == 500
    assert {record.outcome for record in bench.records} == {"committed"}


async def test_a_fault_of_ours_is_told_and_what_was_applied_stays_guarded(bench, monkeypatch):
    await bench.guard()
    revision = bench.source.commit({"a.yaml": conf("a")})
    await bench.start()
    await bench.synced(revision)

    def broken(*_, **__):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(manifests, "render", broken)
        second = bench.source.commit({"a.yaml": conf("a", "2")})

        ready = await bench.condition("Ready", "False")
        assert ready["reason"] == "PassFailed"
        assert second.short in ready["message"]
        await bench.run("patch", "configmap", "a", "--patch", '{"data": {"x": "7"}}')
        await polling.eventually(lambda: bench.records)
        assert (await bench.get("configmaps/a"))["data"] == {"x": "1"}

    await bench.synced(second)


async def test_a_loop_that_died_takes_everything_up_again(bench, monkeypatch):
    await bench.guard()
    revision = bench.source.commit({"a.yaml": conf("a")})
    await bench.start()
    await bench.synced(revision)
    deaths = []

    async def dies():
        deaths.append(1)
        monkeypatch.undo()
        raise RuntimeError

    bench.source.lose_mirror()
    monkeypatch.setattr(bench.source, "resolve", dies)
    await polling.eventually(lambda: deaths)
    await bench.run("patch", "configmap", "a", "--patch", '{"data": {"x": "7"}}')

    await polling.eventually(lambda: bench.records)
    assert (await bench.get("configmaps/a"))["data"] == {"x": "1"}


async def test_an_inventory_that_could_not_be_written_is_written_later(bench, monkeypatch):
    await bench.guard()
    revision = bench.source.commit({"a.yaml": conf("a")})
    await bench.start()
    await bench.synced(revision)
    writes = []

    async def fails_once(*_, **__):
        writes.append(1)
        monkeypatch.undo()
        raise cluster_errors.Unreachable

    monkeypatch.setattr(inventory_store.InventoryStore, "save", fails_once)
    before = await bench.get("holdfast.dev/v1alpha1:inventories/shop-0")
    await bench.run("delete", "configmap", "a")

    async def written():
        after = await bench.get("holdfast.dev/v1alpha1:inventories/shop-0")
        return writes and after["spec"]["data"] != before["spec"]["data"]

    await polling.eventually(written)


async def test_two_guards_of_one_object_do_not_flip_it(bench):
    await bench.guard()
    revision = bench.source.commit({"a.yaml": conf("a")})
    await bench.start()
    await bench.synced(revision)
    await bench.apply(
        {
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "Guard",
            "metadata": {"name": "thief", "namespace": bench.namespace},
            "spec": {"source": {"git": {"url": f"https://git.example/{bench.namespace}.git"}}},
        }
    )

    async def conflict():
        guard = await bench.get("holdfast.dev/v1alpha1:guards/thief")
        return (guard.get("status") or {}).get("failed") == 1

    await polling.eventually(conflict)
    await bench.run("patch", "configmap", "a", "--patch", '{"data": {"x": "7"}}')
    await polling.eventually(lambda: bench.records)
    # Once the first lets go of it, the other may have it.
    await bench.run("delete", "guards.holdfast.dev", "shop")
    await bench.run("label", "configmap", "a", "holdfast.dev/guard-")
    await bench.run("annotate", "configmap", "a", "holdfast.dev/origin-")

    async def taken():
        guard = await bench.get("holdfast.dev/v1alpha1:guards/thief")
        return (guard.get("status") or {}).get("synced") == 1

    await polling.eventually(taken, within_seconds=30)

"""What the loop writes for others to read is written again when somebody changes it."""

import base64
import gzip
import json

import pytest
from support import polling

from guard.sources import errors as source_errors

pytestmark = pytest.mark.integration

CONF = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {x: '1'}\n"
OTHER = CONF.replace("conf", "other")
INVENTORY = "holdfast.dev/v1alpha1:inventories/shop-0"
REPORT = "holdfast.dev/v1alpha1:driftreports/shop"


async def data_of(bench):
    """Give what the inventory holds, None where there is none."""
    found = await bench.get("holdfast.dev/v1alpha1:inventories")
    return found["items"][0]["spec"]["data"] if found["items"] else None


async def test_an_inventory_that_somebody_deletes_is_written_again(bench):
    await bench.guard()
    revision = bench.source.commit({"conf.yaml": CONF})
    await bench.start()
    await bench.synced(revision)
    before = await data_of(bench)

    await bench.run("delete", "inventories.holdfast.dev", "shop-0")

    assert await polling.eventually(lambda: data_of(bench)) == before


async def test_an_inventory_that_somebody_garbles_is_written_again_once(bench):
    await bench.guard()
    revision = bench.source.commit({"conf.yaml": CONF})
    await bench.start()
    await bench.synced(revision)
    before = await data_of(bench)

    patch = json.dumps({"spec": {"data": base64.b64encode(b"nothing").decode()}})
    await bench.run("patch", "inventories.holdfast.dev", "shop-0", "--type=merge", "--patch", patch)

    async def restored():
        return await data_of(bench) == before

    await polling.eventually(restored)
    version = (await bench.get(INVENTORY))["metadata"]["resourceVersion"]
    # The next change of the Guard goes through the same task, after all that was due before it.
    await bench.run("patch", "configmap", "conf", "--patch", '{"data": {"x": "7"}}')
    await polling.eventually(lambda: bench.records)

    async def counted():
        return (await bench.status())["restored"] == 1

    await polling.eventually(counted)
    assert (await bench.get(INVENTORY))["metadata"]["resourceVersion"] == version


async def test_a_report_that_somebody_deletes_is_written_again(bench):
    await bench.guard(drift={"restore": False})
    revision = bench.source.commit({"conf.yaml": CONF})
    await bench.start()
    await bench.synced(revision)
    await bench.run("patch", "configmap", "conf", "--patch", '{"data": {"x": "7"}}')
    await bench.condition("Drifted", "True")
    before = (await bench.get(REPORT))["spec"]

    await bench.run("delete", "driftreports.holdfast.dev", "shop")

    async def reports():
        found = await bench.get("holdfast.dev/v1alpha1:driftreports")
        return [item["spec"] for item in found["items"]]

    assert await polling.eventually(reports) == [before]


async def test_an_inventory_of_a_newer_format_is_neither_read_nor_overwritten(bench):
    await bench.guard()
    revision = bench.source.commit({"conf.yaml": CONF})
    await bench.start()
    await bench.synced(revision)
    await bench.stop()
    newer = base64.b64encode(gzip.compress(json.dumps({"v": 99}).encode())).decode()
    patch = json.dumps({"spec": {"data": newer}})
    await bench.run("patch", "inventories.holdfast.dev", "shop-0", "--type=merge", "--patch", patch)
    bench.source.commit({"conf.yaml": CONF.replace("'1'", "'2'")})

    await bench.start()

    ready = await bench.condition("Ready", "False")
    assert f"Inventory {bench.namespace}/shop-0" in ready["message"]
    assert await data_of(bench) == newer
    assert (await bench.get("configmaps/conf"))["data"] == {"x": "1"}


async def test_a_lost_mirror_loses_no_track_of_what_was_applied(bench):
    await bench.guard()
    first = bench.source.commit({"conf.yaml": CONF, "other.yaml": OTHER})
    await bench.start()
    await bench.synced(first)
    await bench.stop()
    bench.source.lose_mirror()
    await bench.run("patch", "configmap", "conf", "--patch", '{"data": {"x": "7"}}')

    second = bench.source.commit({"conf.yaml": CONF})
    await bench.start()

    status = await bench.synced(second)
    assert status["orphaned"] == 1, "what left the source is known from the inventory"
    assert [record.object.name for record in bench.records] == ["conf"], "drift is still drift"


async def test_a_file_broken_before_a_restart_leaves_its_objects_guarded(bench):
    await bench.guard()
    first = bench.source.commit({"conf.yaml": CONF, "other.yaml": OTHER})
    await bench.start()
    await bench.synced(first)
    bench.source.commit({"conf.yaml": "{", "other.yaml": OTHER.replace("'1'", "'2'")})
    await bench.condition("Ready", "False")
    inventory = await data_of(bench)
    await bench.stop()
    await bench.run("patch", "configmap", "conf", "--patch", '{"data": {"x": "7"}}')

    await bench.start()

    await polling.eventually(lambda: bench.records)
    assert (await bench.get("configmaps/conf"))["data"] == {"x": "1"}
    assert (await bench.get("configmaps/other"))["data"] == {"x": "2"}, "and nothing older"
    assert await data_of(bench) == inventory
    assert (await bench.status())["orphaned"] == 0


async def test_a_broken_file_and_a_lost_mirror_keep_the_inventory(bench):
    await bench.guard()
    first = bench.source.commit({"conf.yaml": CONF, "other.yaml": OTHER})
    await bench.start()
    await bench.synced(first)
    inventory = await data_of(bench)
    await bench.stop()
    bench.source.lose_mirror()
    bench.source.commit({"conf.yaml": "{", "other.yaml": OTHER})

    await bench.start()

    await bench.condition("Ready", "False")
    assert await data_of(bench) == inventory, "the webhook goes by it"


async def test_orphans_that_are_deleted_meanwhile_are_not_reported_for_ever(bench):
    await bench.guard()
    first = bench.source.commit({"conf.yaml": CONF, "other.yaml": OTHER})
    await bench.start()
    await bench.synced(first)
    second = bench.source.commit({"conf.yaml": CONF})
    assert (await bench.synced(second))["orphaned"] == 1
    await bench.stop()
    await bench.run("delete", "configmap", "other")

    await bench.start()

    async def none_left():
        return (await bench.status())["orphaned"] == 0

    await polling.eventually(none_left)


async def test_a_restart_writes_nothing_where_nothing_changed(bench):
    await bench.guard()
    revision = bench.source.commit({"conf.yaml": CONF})
    await bench.start()
    before = await bench.synced(revision)
    inventory = await bench.get(INVENTORY)
    await bench.stop()
    bench.source.fault = source_errors.Unreachable("git.example does not answer")

    await bench.start()
    await bench.condition("Ready", "False")
    bench.source.fault = None
    await bench.condition("Ready", "True")

    assert await bench.get(INVENTORY) == inventory
    assert (await bench.status())["lastAppliedTime"] == before["lastAppliedTime"]

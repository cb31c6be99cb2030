"""The ground breaks under the guard process: it goes on where it was."""

import random

import pytest
from support import guard_alone, polling

pytestmark = pytest.mark.integration

OBJECTS = 300


def conf(name, value="1"):
    """Write a ConfigMap manifest."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{x: '{value}'}}\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Give the guard process without the webhook: every edit passes."""
    with guard_alone.beside_own_plane(tmp_path_factory.mktemp("ground")) as running:
        yield running


async def applied(shop, revision, *, within_seconds=30.0):
    """Wait until a commit is applied."""
    await polling.eventually(
        lambda: shop.applied() == f"main@{revision[:7]}", within_seconds=within_seconds
    )


async def test_a_restarted_api_server_is_followed_again(shop):
    first = shop.repository.commit({f"apps/c{n}.yaml": conf(f"c{n}") for n in range(5)}, "first")
    shop.guard()
    await applied(shop, first)

    shop.running.plane.stop_apiserver()
    second = shop.repository.commit({"apps/c1.yaml": conf("c1", "2")}, "while it is away")
    shop.running.plane.start_apiserver()
    shop.kubectl("patch", "configmap", "c0", "--patch", '{"data":{"x":"7"}}')
    shop.kubectl("delete", "configmap", "c2")

    await polling.eventually(lambda: shop.read("configmap/c0", ".data.x") == "1", within_seconds=40)
    await polling.eventually(lambda: shop.read("configmap/c2", ".data.x") == "1", within_seconds=40)
    await applied(shop, second, within_seconds=40)
    assert shop.read("configmap/c1", ".data.x") == "2"
    records = await polling.eventually(
        lambda: len(found := shop.records()) >= 2 and found, within_seconds=20
    )
    assert {one["object"]["name"] for one in records if one["outcome"] == "committed"} == {
        "c0",
        "c2",
    }


async def test_a_process_killed_in_mid_sync_leaves_nothing_half_done(shop):
    files = {f"apps/c{n}.yaml": conf(f"c{n}") for n in range(OBJECTS)}
    revision = shop.repository.commit(files, "first")
    shop.running.stop_guard()
    shop.guard()
    moments = random.Random()

    counts = []
    for _ in range(5):
        shop.running.start_guard()
        goal = len(applied_names(shop)) + moments.randint(1, 60)
        await polling.eventually(
            lambda goal=goal: len(applied_names(shop)) >= min(goal, OBJECTS), within_seconds=30
        )
        shop.running.stop_guard(kill=True)
        counts.append(len(applied_names(shop)))
    shop.running.start_guard()

    await applied(shop, revision, within_seconds=60)
    assert len(applied_names(shop)) == OBJECTS, counts
    counted = ("objects", "synced", "failed", "orphaned", "drifted")
    status = [shop.read("guards.holdfast.dev/shop-prod", f".status.{name}") for name in counted]
    assert status == [str(OBJECTS), str(OBJECTS), "0", "0", "0"]
    inventory = shop.read("inventories.holdfast.dev", ".items[*].spec.objects")
    assert sum(map(int, inventory.split())) == OBJECTS
    assert shop.records() == [], "a first apply is no drift, however often it is begun"


def applied_names(shop):
    """Give the names of the ConfigMaps that carry the mark."""
    listed = shop.kubectl(
        *("get", "configmaps", "--selector=holdfast.dev/guard", "--output=name"), user="admin"
    )
    return listed.stdout.split()

"""Killed processes lose nothing, and a store that is away is in nobody's way."""

import time

import pytest
from support import polling

pytestmark = pytest.mark.integration

PATCH = ("patch", "configmap", "conf", "--patch", '{"data":{"level":"debug"}}')


async def synced(shop, files):
    """Commit, guard, and wait until it is applied."""
    revision = shop.repository.commit(files, "first")
    shop.guard()
    await polling.eventually(lambda: shop.applied() == f"main@{revision[:7]}", within_seconds=20)


async def test_a_denial_is_on_record_though_both_processes_are_killed(shop, shop_files):
    await synced(shop, shop_files)
    shop.running.stop_guard(kill=True)

    denied = shop.kubectl(*PATCH)
    shop.running.stop_webhook(kill=True)
    assert denied.returncode == 1
    assert shop.records() == [], "the store's only writer was away"

    shop.running.start_guard()

    records = await polling.eventually(shop.records, within_seconds=20)
    assert [(one["verdict"], one["user"]) for one in records] == [("Denied", "alice")]


async def test_a_killed_guard_process_finds_what_drifted_meanwhile(shop, shop_files):
    await synced(shop, shop_files)
    shop.running.stop_webhook()
    shop.running.stop_guard(kill=True)
    assert shop.kubectl(*PATCH).returncode == 0
    assert shop.kubectl("delete", "deployment", "web").returncode == 0

    shop.running.start_guard()

    await polling.eventually(lambda: len(shop.records()) == 2, within_seconds=20)
    assert shop.read("configmap/conf", ".data.level") == "info"
    assert shop.read("deployment/web", ".spec.replicas") == "3"
    assert {one["object"]["name"]: one["verdict"] for one in shop.records()} == {
        "conf": "Restored",
        "web": "Restored",
    }


async def test_a_locked_store_delays_no_answer_and_loses_no_record(shop, shop_files, lock_store):
    await synced(shop, shop_files)
    before = time.monotonic()
    with lock_store():
        assert shop.kubectl(*PATCH).returncode == 1
        assert time.monotonic() - before < 3, "the webhook's own time limit"

    await polling.eventually(lambda: len(shop.records()) == 1, within_seconds=20)


async def test_the_webhook_denies_with_the_guard_process_away(shop, shop_files):
    await synced(shop, shop_files)
    shop.running.stop_guard()

    denied = shop.kubectl("scale", "deployment/web", "--replicas=9")

    assert denied.returncode == 1
    assert "spec.replicas" in denied.stderr

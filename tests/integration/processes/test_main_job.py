"""The main job, with the real processes, a real Git server and real kubectl."""

import pytest
from support import polling

pytestmark = pytest.mark.integration


async def synced(shop, revision):
    """Wait until the Guard says that a commit is applied."""
    await polling.eventually(lambda: shop.applied() == f"main@{revision[:7]}", within_seconds=20)


async def recorded(shop, count):
    """Wait until so many records are stored; gives them."""

    def probe():
        records = shop.records()
        return records if len(records) >= count else None

    return await polling.eventually(probe, within_seconds=20)


async def test_an_edit_is_refused_with_what_git_says_and_recorded(shop, shop_files):
    revision = shop.repository.commit(shop_files, "first")
    shop.guard()
    await synced(shop, revision)

    scaled = shop.kubectl("scale", "deployment/web", "--replicas=5")

    assert scaled.returncode == 1
    first_line = (
        'Error from server (Forbidden): admission webhook "scale.holdfast.dev" denied the request: '
        f"{shop.namespace}/web is managed from Git"
    )
    assert scaled.stderr.splitlines() == [
        first_line,
        "",
        "  spec.replicas   Git 3   yours 5",
        "",
        f"  Source      {shop.url} @ {revision[:7]}, apps/web.yaml (Guard shop-prod)",
        "  To change   edit that file; it is applied within seconds of the push",
    ]
    edited = shop.kubectl(
        "edit", "configmap", "conf", env={"EDITOR": "sed -i s/level:.info/level:\\ debug/"}
    )
    assert edited.returncode == 1
    assert "data.level   Git info   yours debug" in edited.stderr
    assert shop.kubectl("delete", "configmap", "conf").returncode == 1
    assert shop.read("deployment/web", ".spec.replicas") == "3"
    assert shop.read("configmap/conf", ".data.level") == "info"
    records = await recorded(shop, 3)
    assert [
        (one["verdict"], one["operation"], one["user"], one["groups"][0], one["file"])
        for one in records
    ] == [
        ("Denied", "UPDATE", "alice", "dev", "apps/web.yaml"),
        ("Denied", "UPDATE", "alice", "dev", "apps/conf.yaml"),
        ("Denied", "DELETE", "alice", "dev", "apps/conf.yaml"),
    ]


async def test_a_flagged_edit_passes_with_a_warning_and_the_guard_restores_it(shop, shop_files):
    revision = shop.repository.commit(shop_files, "first")
    shop.guard("Flag")
    await synced(shop, revision)

    patched = shop.kubectl("patch", "configmap", "conf", "--patch", '{"data":{"level":"debug"}}')

    assert patched.returncode == 0
    assert patched.stderr.startswith("Warning: ")
    records = await recorded(shop, 2)
    assert [(one["verdict"], one.get("user", "")) for one in records] == [
        ("Flagged", "alice"),
        ("Restored", ""),
    ]
    assert shop.read("configmap/conf", ".data.level") == "info"


async def test_with_the_webhook_away_the_guard_restores_what_drifts(shop, shop_files):
    revision = shop.repository.commit(shop_files, "first")
    shop.guard()
    await synced(shop, revision)
    shop.running.stop_webhook()

    assert shop.kubectl("set", "image", "deployment/web", "web=nginx:1.28").returncode == 0
    assert shop.kubectl("delete", "configmap", "conf").returncode == 0

    records = await recorded(shop, 2)
    assert {(one["verdict"], one["outcome"], one["object"]["kind"]) for one in records} == {
        ("Restored", "committed", "Deployment"),
        ("Restored", "committed", "ConfigMap"),
    }
    image = ".spec.template.spec.containers[0].image"
    assert shop.read("deployment/web", image) == "nginx:1.29"
    assert shop.read("configmap/conf", ".data") == '{"color":"blue","level":"info"}'


async def test_a_push_is_applied_and_so_is_its_manifest_by_hand(shop, shop_files):
    first = shop.repository.commit(shop_files, "first")
    shop.guard()
    await synced(shop, first)

    changed = shop_files["apps/conf.yaml"].replace("info", "warn")
    second = shop.repository.commit({"apps/conf.yaml": changed}, "second")

    await synced(shop, second)
    assert shop.read("configmap/conf", ".data.level") == "warn"
    by_hand = shop.kubectl("apply", "--filename=-", stdin=changed)
    assert by_hand.returncode == 0, by_hand.stderr
    before = shop.kubectl("apply", "--filename=-", stdin=shop_files["apps/conf.yaml"])
    assert before.returncode == 1
    assert "data.level   Git warn   yours info" in before.stderr


async def test_a_mode_is_changed_without_a_restart(shop, shop_files):
    revision = shop.repository.commit(shop_files, "first")
    shop.guard("Audit")
    await synced(shop, revision)

    def patch():
        return shop.kubectl("label", "deployment/web", "holdfast.dev/guard-")

    audited = patch()
    assert (audited.returncode, audited.stderr) == (0, "")
    shop.guard("Deny")

    await polling.eventually(lambda: patch().returncode == 1)

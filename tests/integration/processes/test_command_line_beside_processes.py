"""`holdfast` and `kubectl holdfast` beside the running processes: filters, exit status, rights."""

import asyncio
import json
import os
import subprocess

import pytest
from controlplane import installation
from support import polling

pytestmark = pytest.mark.integration

PATCH = ("patch", "configmap", "conf", "--type=merge", '--patch={"data":{"level":"debug"}}')


async def synced(shop, files, mode="Deny"):
    """Commit, guard, and wait until it is applied."""
    revision = shop.repository.commit(files, "first")
    shop.guard(mode)
    await polling.eventually(lambda: shop.applied() == f"main@{revision[:7]}", within_seconds=20)


def through_kubectl(shop, *args, user="alice"):
    """Run `kubectl holdfast`, which kubectl finds on the PATH."""
    environment = shop.running.environment(user)
    environment["PATH"] = f"{installation.HOLDFAST.parent}:{environment['PATH']}"
    kubectl = shop.running.plane.binary("kubectl")
    return subprocess.run(
        [kubectl, "holdfast", *args],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_the_plugin_is_found_and_exits_as_the_program_does(shop, shop_files):
    """0 in sync, 1 with drift, 2 for an error; alice needs no more than to read."""
    await synced(shop, shop_files)
    here = ("--namespace", shop.namespace)
    in_sync = through_kubectl(shop, "status", *here)
    usage = through_kubectl(shop, "status", "--no-such-option")

    assert (in_sync.returncode, in_sync.stderr) == (0, "")
    assert f"{shop.namespace}/shop-prod" in in_sync.stdout
    assert "Synced" in in_sync.stdout
    assert usage.returncode == 2
    assert "kubectl holdfast" in usage.stderr

    shop.running.stop_webhook()
    loose = json.dumps({"spec": {"drift": {"restore": False}}})
    changed = shop.kubectl("patch", "guard/shop-prod", "--type=merge", f"--patch={loose}")
    assert changed.returncode == 0, changed.stderr
    await polling.eventually(
        lambda: (
            shop.kubectl(*PATCH).returncode == 0
            and shop.kubectl("get", "driftreport/shop-prod").returncode == 0
        ),
        within_seconds=20,
    )

    for command in (("status",), ("diff",), ("explain", "configmap/conf")):
        found = through_kubectl(shop, *command, *here)
        assert found.returncode == 1, (command, found.stdout, found.stderr)
    assert "data.level" in through_kubectl(shop, "diff", *here).stdout
    named = shop.running.holdfast("explain", "secret/none", *here, check=False)
    assert named.returncode == 2
    assert named.stderr.startswith("Error: There is no Secret ")


async def test_the_log_is_filtered(shop, shop_files):
    """By object, user, verdict, Guard and time; each alone and all together."""
    await synced(shop, shop_files)
    shop.kubectl(*PATCH)
    shop.kubectl("scale", "deployment/web", "--replicas=9")
    shop.kubectl("delete", "configmap/conf", user="admin")
    await polling.eventually(lambda: len(shop.records()) == 3, within_seconds=20)

    def count(*args):
        place = ("--namespace", shop.namespace, "-o", "json")
        return len(json.loads(shop.running.holdfast("audit", *place, *args).stdout))

    for args, expected in (
        (("--object", "configmap/conf"), 2),
        (("--object", "conf"), 2),
        (("--object", "deploy/web"), 1),
        (("--user", "alice"), 2),
        (("--verdict", "denied"), 3),
        (("--verdict", "flagged"), 0),
        (("--since", "1h"), 3),
        (("--until", "1h"), 0),
        (("--limit", "2"), 2),
        (("--guard", f"{shop.namespace}/other"), 0),
        (("--object", "cm/conf", "--user", "admin", "--verdict", "Denied", "--since", "1h"), 1),
    ):
        assert count(*args) == expected, args


async def test_a_reader_who_goes_ends_it_quietly(shop, shop_files):
    """`holdfast audit | head -0`: no traceback."""
    await synced(shop, shop_files)
    shop.kubectl(*PATCH)
    await polling.eventually(shop.records, within_seconds=20)
    read, write = os.pipe()
    os.close(read)
    try:
        ended = await asyncio.to_thread(
            subprocess.run,
            [installation.HOLDFAST, "audit", "--namespace", shop.namespace],
            env=shop.running.environment("alice"),
            stdout=write,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(write)

    assert (ended.returncode, ended.stderr) == (141, b"")


async def test_who_may_not_read_is_told_so(shop, shop_files):
    """A sentence that names what may not be listed; status 2, no traceback."""
    await synced(shop, shop_files)
    account = shop.running.plane.add_service_account(shop.namespace, "nobody", role=None)
    for command in (
        ("status", "--namespace", shop.namespace),
        ("status", "-A"),
        ("diff", "--namespace", shop.namespace),
        ("explain", "configmap/conf", "--namespace", shop.namespace),
    ):
        told = shop.running.holdfast(*command, "--kubeconfig", str(account), check=False)

        assert told.returncode == 2, (command, told.stdout)
        assert told.stderr.startswith("Error: "), told.stderr
        assert told.stderr.count("\n") == 1, told.stderr
        assert "fault of holdfast" not in told.stderr
        assert any(word in told.stderr for word in ("may not", "Forbidden")), told.stderr

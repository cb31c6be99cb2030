"""The webhook answers whatever is away: the guard process, the API server, room on the disk."""

import asyncio
import contextlib
import json
import resource
import urllib.request

import pytest
from controlplane import chart, errors, installation, plane, process
from support import polling, rawreviews

pytestmark = pytest.mark.integration

PATCH = ("patch", "configmap", "conf", "--type=merge", '--patch={"data":{"level":"debug"}}')


async def synced(shop, files, mode="Deny"):
    """Commit, guard, and wait until it is applied and denied."""
    revision = shop.repository.commit(files, "first")
    shop.guard(mode)
    await polling.eventually(lambda: shop.applied() == f"main@{revision[:7]}", within_seconds=20)


def review(shop, uid="00000000-0000-0000-0000-00000000000a"):
    """Make the review of alice's edit of the ConfigMap, as the API server would send it."""
    read = ("get", "configmap/conf", "--output=json", "--show-managed-fields")
    old = json.loads(shop.kubectl(*read, user="admin").stdout)
    request = {
        "uid": uid,
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "resource": {"group": "", "version": "v1", "resource": "configmaps"},
        "name": "conf",
        "namespace": shop.namespace,
        "operation": "UPDATE",
        "userInfo": {"username": "alice", "groups": ["dev"]},
        "object": {**old, "data": {**old["data"], "level": "debug"}},
        "oldObject": old,
        "dryRun": False,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def is_denied(answer):
    """Tell whether an answer is a denial that names the field."""
    status, text = answer
    response = json.loads(text)["response"] if status == 200 else {}
    return not response.get("allowed", True) and "data.level" in response["status"]["message"]


def plain(shop, path):
    """Ask the plain port; gives status and text, 0 while nobody listens."""
    url = f"http://127.0.0.1:{shop.running.metrics_port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def metric(shop, name):
    """Read one metric, or None."""
    for line in plain(shop, "/metrics")[1].splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return None


async def test_a_full_disk_is_no_reason_for_an_outage(shop, shop_files):
    """Edits are still refused; the record is counted as lost, and the log says so with room."""
    await synced(shop, shop_files)
    pid = shop.running.webhook.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)

    # What is written beyond the limit fails as on a full disk, the log's lines included.
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        refused = [shop.kubectl(*PATCH) for _ in range(3)]
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    after = shop.kubectl(*PATCH)

    for answer in (*refused, after):
        assert answer.returncode == 1, answer.stderr
        assert "data.level   Git info   yours debug" in answer.stderr
    assert metric(shop, "holdfast_webhook_unrecorded_total") == 3
    records = await polling.eventually(shop.records, within_seconds=20)
    assert len(records) == 1, "only the last one had room"
    assert shop.running.webhook.running()


async def test_a_spool_that_went_is_made_again(shop, shop_files):
    """Somebody cleared the state folder: the next record finds a place."""
    await synced(shop, shop_files)
    for folder in (shop.running.state / "spool").glob("webhook-*"):
        for segment in folder.glob("*.log"):
            segment.unlink()

    assert shop.kubectl(*PATCH).returncode == 1

    assert len(await polling.eventually(shop.records, within_seconds=20)) == 1


async def test_a_slow_review_is_finished_before_the_end(shop, shop_files):
    """SIGTERM while a body is under way: the rest of it is waited for, and answered."""
    await synced(shop, shop_files)
    body = json.dumps(review(shop)).encode()
    client = rawreviews.RawClient(shop.running.webhook_port)
    client.head(f"Content-Length: {len(body)}")
    client.send(body[:100])
    child = shop.running.webhook
    # Only once the log has seen another review is the head above surely read, too.
    assert shop.kubectl(*PATCH).returncode == 1

    ending = asyncio.create_task(asyncio.to_thread(shop.running.stop_webhook))
    await polling.eventually(lambda: '"stopping"' in child.log_text())
    client.send(body[100:])
    answer = await asyncio.to_thread(client.answer)
    client.close()
    await ending

    assert is_denied(answer)
    assert child.popen.returncode == 0
    records = await polling.eventually(
        lambda: len(found := shop.records()) == 2 and found, within_seconds=20
    )
    assert {one["verdict"] for one in records} == {"Denied"}


async def test_with_the_api_server_away_it_answers_and_catches_up(shop, shop_files):
    """From memory; the age of the caches grows, and shrinks when they are followed again."""
    await synced(shop, shop_files)
    asked = review(shop)
    age = 'holdfast_webhook_cache_age_seconds{cache="guards"}'

    shop.running.plane.stop_apiserver()
    try:
        assert is_denied(rawreviews.ask(shop.running.webhook_port, asked))
        first = metric(shop, age)
        await polling.eventually(lambda: metric(shop, age) > first)
        assert plain(shop, "/readyz") == (200, "ok\n"), "what it knows is still good"
    finally:
        shop.running.plane.start_apiserver()

    shop.guard("Audit")
    passes = lambda: shop.kubectl(*PATCH, "--dry-run=server").returncode == 0  # noqa: E731
    await polling.eventually(passes, within_seconds=40)


async def test_it_may_start_before_the_guard_process(shop, shop_files):
    """Without a certificate it says what it waits for, and serves as soon as there is one."""
    await synced(shop, shop_files)
    shop.running.stop_webhook()
    shop.running.stop_guard()
    secrets = f"/api/v1/namespaces/{chart.NAMESPACE}/secrets"
    for name in ("webhook-tls", "mask-key"):
        with contextlib.suppress(errors.ApiError):
            shop.running.plane.api.request("DELETE", f"{secrets}/{chart.RELEASE}-{name}")

    starting = asyncio.create_task(asyncio.to_thread(shop.running.start_webhook))
    waits = await polling.eventually(
        lambda: (
            (found := plain(shop, "/readyz"))[0] == 503 and "cache" not in found[1] and found[1]
        ),
        within_seconds=20,
    )
    passes = shop.kubectl(*PATCH, "--dry-run=server")
    shop.running.start_guard()
    await starting

    assert waits == "missing: certificate\n"
    assert passes.returncode == 0, "fail-open at start"
    await polling.eventually(lambda: shop.kubectl(*PATCH).returncode == 1, within_seconds=20)


async def test_two_webhooks_record_side_by_side(shop, shop_files):
    """Each has a spool of its own below one state folder; all records arrive."""
    await synced(shop, shop_files)
    port, metrics_port = plane.free_ports(2)
    asked = [review(shop, f"00000000-0000-0000-0000-{number:012}") for number in range(40)]
    kubeconfig = shop.running.plane.token_kubeconfig(chart.NAMESPACE, f"{chart.RELEASE}-webhook")
    with process.Family() as family:
        family.start(
            [
                *(installation.HOLDFAST, "webhook", "--kubeconfig", kubeconfig),
                *("--state", shop.running.state, "--namespace", chart.NAMESPACE),
                *("--release", chart.RELEASE, "--host", "127.0.0.1"),
                *("--port", str(port), "--metrics-port", str(metrics_port)),
            ],
            name="another webhook",
            log=shop.running.folder / "another.log",
        )
        await polling.eventually(lambda: _listens(port), within_seconds=20)
        await polling.eventually(lambda: is_denied(rawreviews.ask(port, asked[0])))
        answers = await asyncio.gather(
            *(
                asyncio.to_thread(rawreviews.ask, own, one)
                for own in (port, shop.running.webhook_port)
                for one in asked[1:]
            )
        )
        assert all(map(is_denied, answers))

        def everything():
            found = shop.running.holdfast(
                "audit", "--namespace", shop.namespace, "--limit", "0", "-o", "json"
            )
            records = json.loads(found.stdout)
            return records if len(records) >= 1 + len(answers) else None

        records = await polling.eventually(everything, within_seconds=20)
    assert len({one["id"] for one in records}) == len(records)
    assert {one["verdict"] for one in records} == {"Denied"}


def _listens(port):
    try:
        rawreviews.RawClient(port).close()
    except OSError:
        return False
    return True

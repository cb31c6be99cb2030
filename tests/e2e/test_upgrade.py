"""`helm upgrade` and `helm rollback` under load, with the gate closed: no call goes wrong."""

import asyncio
import collections
import contextlib
import itertools
import re
import shutil

import aiohttp
import pytest
from controlplane import chart
from e2e import release, shop
from support import polling

pytestmark = pytest.mark.e2e

OBJECTS = 10
WRITES_PER_SECOND = 50
OTHER_VERSION = "99.1.0"
BINDING = f"clusterrolebinding/{chart.RELEASE}-fail-closed"
CLOSED = {"webhook": {"failurePolicy": "Fail"}}
ROLLED = {part: {"podAnnotations": {"example.com/rolled": "yes"}} for part in ("webhook", "guard")}


@pytest.fixture
def guarded(node, tmp_path):
    """Install with a closed gate asked for."""
    files = {
        f"apps/c-{number}.yaml": shop.config_map(f"c-{number}", level="info")
        for number in range(OBJECTS)
    }
    with shop.installed(node, tmp_path / "git", files, CLOSED) as running:
        yield running


@pytest.fixture
def other_chart(tmp_path):
    """Copy the chart and give the copy another version."""
    folder = tmp_path / "chart"
    shutil.copytree(chart.FOLDER, folder)
    file = folder / "Chart.yaml"
    text, count = re.subn(r"(?m)^version: .*$", f"version: {OTHER_VERSION}", file.read_text())
    assert count == 1
    file.write_text(text)
    return folder


async def write(session, node, number, outcomes):
    """Send one edit: of a declared field, which must be refused, or of another, which must pass."""
    key, wanted = ("level", "refused") if number % 2 else ("note", "passed")
    try:
        async with session.patch(
            f"{node.server}{shop.CONFIGMAPS}/c-{number // 2 % OBJECTS}",
            json={"data": {key: f"n{number}"}},
            headers={"Content-Type": "application/merge-patch+json"},
        ) as answer:
            text = await answer.text()
            is_denied = answer.status == 403 and shop.DENIED in text
            found = "passed" if answer.ok else "refused" if is_denied else text
    except (aiohttp.ClientError, TimeoutError) as error:
        found = repr(error)
    outcomes[f"{key}: {wanted}" if found == wanted else f"{key}: WRONG: {found[:300]}"] += 1


@contextlib.asynccontextmanager
async def load(node, outcomes):
    """Have Alice write at a fixed rate, however long an answer takes."""
    connector = aiohttp.TCPConnector(ssl=shop.client_tls(node, "alice"), limit=0)
    timeout = aiohttp.ClientTimeout(total=15)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        asyncio.TaskGroup() as calls,
    ):

        async def keep_writing():
            clock = asyncio.get_running_loop()
            began = clock.time()
            for number in itertools.count():
                await asyncio.sleep(max(0, began + number / WRITES_PER_SECOND - clock.time()))
                calls.create_task(write(session, node, number, outcomes))

        writer = asyncio.create_task(keep_writing())
        try:
            yield
        finally:
            writer.cancel()


async def test_no_write_fails_or_passes_unjudged_in_an_upgrade_and_a_rollback(
    node, guarded, other_chart
):
    await guarded.applied(guarded.repository.tip())
    await polling.eventually(
        lambda: node.kubectl("get", BINDING, "--output=jsonpath={.subjects[*].name}").stdout,
        within_seconds=60,
        every_seconds=0.5,
    )
    before = set(shop.webhook_pods(node))
    values = release.merged(guarded.values, release.merged(CLOSED, ROLLED))
    upgrade, rollback = collections.Counter(), collections.Counter()

    async with load(node, upgrade):
        await asyncio.to_thread(release.install, node, values, folder=other_chart)
    between = set(shop.webhook_pods(node))
    async with load(node, rollback):
        await asyncio.to_thread(release.rollback, node)

    for outcomes in (upgrade, rollback):
        assert set(outcomes) == {"level: refused", "note: passed"}, outcomes
        assert outcomes.total() > 5 * WRITES_PER_SECOND, outcomes
    assert between - before, "no pod was replaced"
    assert set(shop.webhook_pods(node)) - between, "no pod was replaced by the rollback"
    assert guarded.read("configmap/c-0", ".data.level") == "info"
    # Neither has taken the proof away.
    assert node.kubectl("get", BINDING, "--output=jsonpath={.subjects[*].name}").stdout

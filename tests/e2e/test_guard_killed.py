"""The guard process killed in the middle of a commit: the next one finishes the work."""

import pytest
from controlplane import chart
from e2e import shop
from support import polling

pytestmark = pytest.mark.e2e

COUNT = 200
KILLED_AFTER = 20
NAMES = {f"c-{number:03}" for number in range(COUNT)}


@pytest.fixture
def guarded(node, tmp_path):
    """Install with one object in the source."""
    files = {"apps/conf.yaml": shop.config_map("conf", level="info")}
    # What is under test is the guard process; fewer pods start faster.
    values = {"webhook": {"replicas": 1, "podDisruptionBudget": {"enabled": False}}}
    with shop.installed(node, tmp_path, files, values) as running:
        yield running


def live(node):
    """Give the ConfigMaps in the shop that carry our mark."""
    query = "?labelSelector=holdfast.dev/guard"
    return {
        item["metadata"]["name"]: item["data"]
        for item in node.api.request("GET", f"{shop.CONFIGMAPS}{query}")["items"]
    }


async def test_a_commit_is_finished_by_the_next_guard_process(node, guarded):
    """All objects are there, all are in the inventory, and the inventory holds nothing else.

    The mirror and the store go with the pod (they have no volume here): what it had done must be
    found in the cluster alone.
    """
    await guarded.applied(guarded.repository.tip())
    files = {f"apps/{name}.yaml": shop.config_map(name, of=name) for name in sorted(NAMES)}
    commit = guarded.repository.commit(files, "many")

    await polling.eventually(
        lambda: len(live(node)) > KILLED_AFTER, within_seconds=30, every_seconds=0.01
    )
    shop.kill(node, f"pod/{chart.RELEASE}-guard-0")
    done = len(live(node))
    await guarded.applied(commit)

    assert done < COUNT, "it was killed too late to show anything"
    assert live(node) == {"conf": {"level": "info"}} | {name: {"of": name} for name in NAMES}
    # The counts are written a moment after the revision.
    await polling.eventually(
        lambda: set(guarded.inventory()) == NAMES | {"conf"}, within_seconds=20
    )
    assert {entry.state.value for entry in guarded.inventory().values()} == {"Synced"}
    await polling.eventually(
        lambda: (
            guarded.read(f"guard/{shop.GUARD}", ".status['objects','orphaned','failed']")
            == f"{COUNT + 1} 0 0"
        ),
        within_seconds=20,
    )


async def test_what_a_killed_commit_had_created_is_known_when_the_source_drops_it(node, guarded):
    """Objects of a commit that was taken back while nobody ran are not forgotten."""
    first = guarded.repository.tip()
    await guarded.applied(first)
    files = {f"apps/{name}.yaml": shop.config_map(name, of=name) for name in sorted(NAMES)}
    guarded.repository.commit(files, "many")

    await polling.eventually(
        lambda: len(live(node)) > KILLED_AFTER, within_seconds=30, every_seconds=0.01
    )
    shop.kill(node, f"pod/{chart.RELEASE}-guard-0")
    reverted = guarded.repository.commit(dict.fromkeys(files), "revert")
    await guarded.applied(reverted)

    left = set(live(node))
    assert KILLED_AFTER < len(left) < COUNT, "it was killed too late to show anything"
    await polling.eventually(lambda: set(guarded.inventory()) == left)
    states = {name: entry.state.value for name, entry in guarded.inventory().items()}
    assert states == dict.fromkeys(left, "Orphaned") | {"conf": "Synced"}

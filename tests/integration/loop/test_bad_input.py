"""Bad input is a condition and an event that names the place; the rest goes on."""

import pytest
from support import polling

from guard.sources import errors as source_errors

pytestmark = pytest.mark.integration

GOOD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\ndata: {x: '1'}\n"
ALSO_GOOD = GOOD.replace("good", "also-good")


async def events(bench, reason):
    """Wait for Events on the Guard with this reason; gives their messages."""

    async def probe():
        found = await bench.get("events")
        return [
            event["message"]
            for event in found["items"]
            if event["reason"] == reason and event["involvedObject"]["kind"] == "Guard"
        ]

    return await polling.eventually(probe)


@pytest.mark.parametrize(
    ("fault", "reason", "stalled"),
    [
        (source_errors.Unreachable("git.example does not answer"), "SourceUnreachable", "False"),
        (source_errors.Unauthorized("git.example wants credentials"), "SourceUnauthorized", "True"),
        (source_errors.UnknownRef("there is no branch main"), "SourceUnknownRef", "True"),
        (source_errors.EmptyPath("apps holds nothing at 3f2c1d9"), "SourceEmptyPath", "True"),
    ],
)
async def test_a_source_that_cannot_be_read_is_named_and_the_old_state_is_kept(
    bench, fault, reason, stalled
):
    await bench.guard()
    revision = bench.source.commit({"good.yaml": GOOD})
    await bench.start()
    await bench.synced(revision)

    bench.source.fault = fault

    ready = await bench.condition("Ready", "False")
    assert (ready["reason"], ready["message"]) == (reason, str(fault))
    await bench.condition("Stalled", stalled)
    assert await events(bench, reason) == [str(fault)]
    await bench.run("patch", "configmap", "good", "--patch", '{"data": {"x": "7"}}')
    await polling.eventually(lambda: bench.records)
    assert (await bench.get("configmaps/good"))["data"] == {"x": "1"}

    bench.source.fault = None

    await bench.condition("Ready", "True")


@pytest.mark.parametrize(
    ("text", "reason", "sentence"),
    [
        ("apiVersion: v1\nkind: ConfigMap\n  data: [\n", "RenderFailed", "bad.yaml:3"),
        ("apiVersion: v1\nkind: ConfigMap\n", "RenderFailed", "bad.yaml:1"),
        (
            "\napiVersion: example.org/v1\nkind: Unheard\nmetadata: {name: of}\n",
            "NotServed",
            "Unheard of (bad.yaml:2): the API server serves no example.org/v1/Unheard",
        ),
        (GOOD, "RenderFailed", "good.yaml:1"),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {port: 8080}\n",
            "Unsendable",
            "(bad.yaml:1)",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: kube-system}\n",
            "Misplaced",
            "ConfigMap kube-system/x (bad.yaml:1)",
        ),
    ],
    ids=[
        "broken-yaml",
        "no-name",
        "unknown-kind",
        "declared-twice",
        "number-in-secret",
        "misplaced",
    ],
)
async def test_a_bad_file_is_named_and_the_others_go_on(bench, text, reason, sentence):
    await bench.guard(target={"namespace": bench.namespace})
    first = bench.source.commit({"good.yaml": GOOD, "old.yaml": GOOD.replace("good", "old")})
    await bench.start()
    await bench.synced(first)

    # The new revision brings a bad file, a good one, and leaves old.yaml out.
    bench.source.commit({"good.yaml": GOOD, "bad.yaml": text, "also.yaml": ALSO_GOOD})

    ready = await bench.condition("Ready", "False")
    assert ready["reason"] == reason
    assert sentence in ready["message"]
    assert sentence in (await events(bench, reason))[0]
    assert (await bench.get("configmaps/also-good"))["data"] == {"x": "1"}
    assert (await bench.status())["orphaned"] == 0, "with a fault nobody knows what left"
    await bench.run("patch", "configmap", "old", "--patch", '{"data": {"x": "7"}}')
    await polling.eventually(lambda: bench.records)
    assert (await bench.get("configmaps/old"))["data"] == {"x": "1"}


async def test_a_revision_without_manifests_lets_go_of_nothing(bench):
    await bench.guard()
    first = bench.source.commit({"good.yaml": GOOD})
    await bench.start()
    await bench.synced(first)

    bench.source.commit({"README.md": "all gone"})

    ready = await bench.condition("Ready", "False")
    assert ready["reason"] == "NothingRendered"
    status = await bench.status()
    assert (status["objects"], status["orphaned"]) == (1, 0)


async def test_a_refused_apply_is_named_and_tried_again_without_a_new_commit(bench):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": bench.namespace},
        "spec": {"hard": {"services": "0"}},
    }
    await bench.apply(quota)
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"
    await bench.guard()
    revision = bench.source.commit({"good.yaml": GOOD, "web.yaml": service})
    await bench.start()

    ready = await bench.condition("Ready", "False")
    assert ready["reason"] == "ApplyFailed"
    assert f"Service {bench.namespace}/web (web.yaml:1): " in ready["message"]
    assert (
        f"Service {bench.namespace}/web (web.yaml:1): " in (await events(bench, "ApplyFailed"))[0]
    )
    status = await bench.status()
    assert (status["objects"], status["synced"], status["failed"]) == (2, 1, 1)

    await bench.run("delete", "resourcequota", "none")

    await bench.synced(revision)
    await bench.condition("Ready", "True")


async def test_a_refused_change_keeps_what_was_applied(bench):
    await bench.guard()
    first = bench.source.commit({"good.yaml": GOOD + "immutable: true\n"})
    await bench.start()
    await bench.synced(first)

    bench.source.commit({"good.yaml": GOOD.replace("'1'", "'2'") + "immutable: true\n"})

    ready = await bench.condition("Ready", "False")
    assert "good.yaml:1" in ready["message"]
    assert (await bench.status())["appliedRevision"] == first.short
    await bench.run("label", "configmap", "good", "holdfast.dev/guard-")
    await polling.eventually(lambda: bench.records)
    live = await bench.get("configmaps/good")
    assert "holdfast.dev/guard" in live["metadata"]["labels"]
    assert live["data"] == {"x": "1"}


async def test_another_guards_object_is_left_to_it(bench):
    await bench.guard()
    revision = bench.source.commit({"good.yaml": GOOD})
    await bench.start()
    await bench.synced(revision)
    taken = await bench.get("configmaps/good")

    await bench.apply(
        {
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "Guard",
            "metadata": {"name": "thief", "namespace": bench.namespace},
            "spec": {
                "source": {"git": {"url": f"https://git.example/{bench.namespace}.git"}},
            },
        }
    )

    async def conflict():
        guard = await bench.get("holdfast.dev/v1alpha1:guards/thief")
        conditions = (guard.get("status") or {}).get("conditions", [])
        return [one["message"] for one in conditions if one["reason"] == "ApplyFailed"]

    message = (await polling.eventually(conflict))[0]
    assert f"is guarded by Guard {bench.namespace}/shop already" in message
    assert await bench.get("configmaps/good") == taken

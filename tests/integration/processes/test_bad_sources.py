"""A real Git that cannot be read is named on the Guard; what was applied stays guarded."""

import json

import pytest
from support import gitserver, guard_alone, polling

pytestmark = pytest.mark.integration

GOOD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\ndata: {x: '1'}\n"
UNHEARD = "# a comment\napiVersion: a.example/v1\nkind: Unheard\nmetadata: {name: of}\n"
REFUSED = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: []}\n"
PASSWORD = "hunter2"  # noqa: S105 - of a server that lives for one test
OTHER = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {x: '1'}\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Give the guard process without the webhook: every edit passes."""
    with guard_alone.beside_own_plane(tmp_path_factory.mktemp("sources")) as running:
        yield running


@pytest.fixture
def own_git(tmp_path):
    """Give a Git server that the test may stop."""
    with gitserver.GitServer(tmp_path / "git") as server:
        yield server


def spec(shop, **changes):
    """Change fields of the Guard's source."""
    patch = json.dumps({"spec": {"source": {"git": changes}}})
    done = shop.kubectl(
        "patch", "guards.holdfast.dev", "shop-prod", "--type=merge", "--patch", patch, user="admin"
    )
    assert done.returncode == 0, done.stderr


def conditions(shop):
    """Give the Guard's conditions by type."""
    raw = shop.read("guards.holdfast.dev/shop-prod", ".status.conditions")
    return {one["type"]: one for one in json.loads(raw or "[]")}


async def told(shop, reason):
    """Wait until Ready is False for this reason, with an Event; gives both messages."""

    def probe():
        ready = conditions(shop).get("Ready", {})
        assert (ready.get("status"), ready.get("reason")) == ("False", reason), ready
        listed = shop.kubectl(
            "get", "events", f"--field-selector=reason={reason}", "--output=json", user="admin"
        )
        messages = [event["message"] for event in json.loads(listed.stdout)["items"]]
        return (ready["message"], messages) if messages else None

    return await polling.eventually(probe, within_seconds=20)


async def applied(shop, revision):
    """Wait until a commit is applied."""
    await polling.eventually(lambda: shop.applied() == f"main@{revision[:7]}", within_seconds=20)


async def still_guarded(shop):
    """Edit an object with the webhook away: it must come back."""
    shop.kubectl("patch", "configmap", "good", "--patch", '{"data":{"x":"7"}}')
    await polling.eventually(lambda: shop.read("configmap/good", ".data.x") == "1")


async def test_a_git_that_nobody_serves_is_named_and_found_again(shop, own_git):
    shop.repository, shop.url = own_git.create("shop"), own_git.url("shop")
    first = shop.repository.commit({"apps/good.yaml": GOOD}, "first")
    shop.guard()
    await applied(shop, first)

    own_git.stop()

    message, events = await told(shop, "SourceUnreachable")
    assert shop.url in message
    assert events == [message]
    assert conditions(shop)["Stalled"]["status"] == "False", "it may pass by itself"
    await still_guarded(shop)
    own_git.start()
    await polling.eventually(
        lambda: conditions(shop)["Ready"]["status"] == "True", within_seconds=20
    )


async def test_a_git_that_wants_a_password_is_named_without_it(shop, tmp_path):
    with gitserver.GitServer(tmp_path / "git", user="robot", password=PASSWORD) as server:
        shop.repository = server.create("shop")
        right = server.url("shop").replace("://", f"://robot:{PASSWORD}@")
        wrong = right.replace(PASSWORD, "wr0ngpass")
        first = shop.repository.commit({"apps/good.yaml": GOOD}, "first")
        shop.url = right
        shop.guard()
        await applied(shop, first)

        spec(shop, url=wrong)

        message, events = await told(shop, "SourceUnauthorized")
        for text in (message, *events, (shop.running.folder / "guard.log").read_text()):
            assert "wr0ngpass" not in text
            assert PASSWORD not in text
        assert conditions(shop)["Stalled"]["status"] == "True"
        await still_guarded(shop)

        spec(shop, url=right)

        await polling.eventually(
            lambda: conditions(shop)["Ready"]["status"] == "True", within_seconds=20
        )


@pytest.mark.parametrize(
    ("change", "reason", "word"),
    [
        ({"ref": "nowhere"}, "SourceUnknownRef", "nowhere"),
        ({"path": "nothing/here"}, "SourceEmptyPath", "nothing/here"),
        ({"path": "docs"}, "SourceEmptyPath", "docs"),
        ({"url": "http://127.0.0.1:1/shop.git"}, "SourceUnreachable", "127.0.0.1:1/shop.git"),
        ({"url": "ext::sh -c true"}, "SourceRefusedUrl", "ext"),
    ],
    ids=["ref", "no-path", "no-manifests", "port", "scheme"],
)
async def test_a_wrong_word_in_the_spec_is_named_and_mended(shop, change, reason, word):
    files = {"apps/good.yaml": GOOD, "docs/README.md": "text"}
    first = shop.repository.commit(files, "first")
    shop.guard()
    await applied(shop, first)

    patch = json.dumps({"spec": {"source": {"git": change}}})
    done = shop.kubectl(
        "patch", "guards.holdfast.dev", "shop-prod", "--type=merge", "--patch", patch, user="admin"
    )
    if done.returncode != 0:  # the API server itself does not take it
        assert "spec.source.git" in done.stderr
        return
    message, events = await told(shop, reason)
    assert word in message
    assert message in events
    await still_guarded(shop)
    shop.guard()
    await polling.eventually(
        lambda: conditions(shop)["Ready"]["status"] == "True", within_seconds=20
    )
    assert shop.read("guards.holdfast.dev/shop-prod", ".status.orphaned") == "0"


async def test_bad_files_of_a_commit_are_named_with_line_and_object(shop):
    first = shop.repository.commit({"apps/good.yaml": GOOD, "apps/other.yaml": OTHER}, "first")
    shop.guard()
    await applied(shop, first)
    bad = {
        "apps/other.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: [\n",
        "apps/kind.yaml": UNHEARD,
        "apps/refused.yaml": REFUSED,
        "apps/good.yaml": GOOD.replace("'1'", "'2'"),
    }
    shop.repository.commit(bad, "second")

    message, events = await told(shop, "RenderFailed")
    assert "apps/other.yaml:" in message
    assert "Unheard of (apps/kind.yaml:2): the API server serves no a.example/v1" in message
    assert any("apps/other.yaml:" in event for event in events)
    refusals = await polling.eventually(lambda: _failed(shop))
    assert f"Service {shop.namespace}/web (apps/refused.yaml:1): " in refusals[0]
    await polling.eventually(lambda: shop.read("configmap/good", ".data.x") == "2")
    assert shop.read("configmap/other", ".data.x") == "1", "nothing is deleted"
    shop.kubectl("patch", "configmap", "other", "--patch", '{"data":{"x":"7"}}')
    await polling.eventually(lambda: shop.read("configmap/other", ".data.x") == "1")
    # Neither is a restart a reason to let go.
    shop.running.stop_guard(kill=True)
    shop.kubectl("patch", "configmap", "other", "--patch", '{"data":{"x":"8"}}')
    shop.running.start_guard()
    await polling.eventually(
        lambda: shop.read("configmap/other", ".data.x") == "1", within_seconds=20
    )


def _failed(shop):
    listed = shop.kubectl(
        "get", "events", "--field-selector=reason=ApplyFailed", "--output=json", user="admin"
    )
    return [event["message"] for event in json.loads(listed.stdout)["items"]]


async def test_a_changed_path_ref_or_url_is_applied_without_a_new_commit(shop, own_git):
    files = {"apps/good.yaml": GOOD, "stage/good.yaml": GOOD.replace("'1'", "'2'")}
    commit = shop.repository.commit(files, "first")
    shop.repository.tag("v1", commit)
    shop.guard()
    await applied(shop, commit)

    spec(shop, path="stage")
    await polling.eventually(lambda: shop.read("configmap/good", ".data.x") == "2")
    spec(shop, ref="v1")
    await polling.eventually(lambda: shop.applied() == f"v1@{commit[:7]}")
    own_git.create("elsewhere").commit({"stage/good.yaml": GOOD.replace("'1'", "'3'")}, "first")
    spec(shop, ref="main", url=own_git.url("elsewhere"))
    await polling.eventually(lambda: shop.read("configmap/good", ".data.x") == "3")

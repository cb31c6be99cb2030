"""`holdfast audit` and `status` without a state folder: the records come from the guard pod."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from support import fakenode

from guard.audit import reading, record, serving, store, wire
from guard.cli import archive, audit, main, status

NOW_NS = 1_789_000_000_000_000_000


class Said(NamedTuple):
    """What a command wrote, and its exit status."""

    status: int
    out: str
    err: str


Run = Callable[..., "asyncio.Future[Said]"]


def written(number: int, **content: str) -> record.Record:
    """Give a record; they are a second apart."""
    at_ns = NOW_NS + number * 1_000_000_000
    given = {"verdict": "Denied", "user": "alice", "guard": "shop/shop-prod"}
    return record.Record(
        id=record.new_id(at_ns, bytes(8)),
        time=record.timestamp(at_ns),
        object=record.ObjectRef(group="apps", kind="Deployment", namespace="shop", name="web"),
        **{**given, **content},
    )


RECORDS = [written(1), written(2, user="bob"), written(3, verdict="Flagged")]


GUARDS = "/apis/holdfast.dev/v1alpha1/guards"
GUARD = {"metadata": {"name": "shop-prod", "namespace": "shop"}, "spec": {}}


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[store.Store]:
    """Give the store of the guard pod, with three records."""
    async with await store.Store.open(tmp_path / "pod" / "audit.db") as made:
        await made.insert(RECORDS)
        yield made


@pytest.fixture
async def node(opened: store.Store) -> AsyncIterator[fakenode.FakeNode]:
    """Give an API server with a guard pod."""
    async with (
        serving.serving(reading.make_app(opened), host="127.0.0.1", port=0) as port,
        fakenode.FakeNode() as made,
    ):
        made.pods = [fakenode.pod("guard-0"), fakenode.pod("webhook-0", component="webhook")]
        made.ports["guard-0", wire.READING_PORT] = port
        yield made


@pytest.fixture
def run(
    node: fakenode.FakeNode,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Give the program, as a person runs it whose machine has no state folder."""
    kubeconfig = str(node.kubeconfig(tmp_path))
    for command in (audit.audit_command, status.status_command):
        (folder,) = [one for one in command.params if one.name == "state"]
        monkeypatch.setattr(folder, "default", tmp_path / "nowhere")
    for name in ("HOLDFAST_STATE", "HOLDFAST_NAMESPACE", "HOLDFAST_RELEASE"):
        monkeypatch.delenv(name, raising=False)

    async def call(*args: str) -> Said:
        arguments = [*args, "--kubeconfig", kubeconfig]
        status = await asyncio.to_thread(main.main, arguments, "holdfast")
        return Said(status, *capsys.readouterr())

    return call


async def test_the_log_is_read_from_the_guard_pod(node: fakenode.FakeNode, run: Run) -> None:
    """Whole records, oldest first, by the rights of whoever asks."""
    said = await run("audit", "-o", "json")

    assert json.loads(said.out) == [json.loads(record.encode(one)) for one in RECORDS]
    assert (said.status, said.err) == (0, "")
    assert [request.headers["Authorization"] for request in node.requests] == ["Bearer t0ken"] * 2


@pytest.mark.parametrize(
    ("args", "numbers"),
    [
        (["--user", "bob"], [2]),
        (["--verdict", "denied", "--limit", "1"], [2]),
        (["--limit", "0"], [1, 2, 3]),
        (["--since", "2026-09-10T00:26:42Z", "--until", "2026-09-10T00:26:43Z"], [2]),
        (["--object", "deploy/web", "-n", "shop", "--guard", "shop/shop-prod"], [1, 2, 3]),
        (["-n", "bank"], []),
    ],
)
async def test_the_pod_filters_as_the_file_does(
    run: Run, tmp_path: Path, args: list[str], numbers: list[int]
) -> None:
    """Every option chooses the same, from here and from the folder itself."""
    through = await run("audit", "-o", "json", *args)
    beside = await run("audit", "-o", "json", *args, "--state", str(tmp_path / "pod"))

    assert json.loads(through.out) == json.loads(beside.out)
    assert json.loads(through.out) == [json.loads(record.encode(RECORDS[n - 1])) for n in numbers]


@pytest.mark.parametrize(
    ("pods", "args", "sentence"),
    [
        ([], [], "The namespace holdfast-system has no guard pod of the release holdfast"),
        (
            [fakenode.pod("guard-0")],
            ["--release", "other", "--holdfast-namespace", "tools"],
            "The namespace tools has no guard pod of the release other",
        ),
        (
            [fakenode.pod("guard-0", ready=False)],
            [],
            "The guard pod guard-0 in the namespace holdfast-system is not ready",
        ),
    ],
)
async def test_no_guard_pod_is_said_with_where_it_was_looked_for(
    node: fakenode.FakeNode, run: Run, pods: list[dict[str, object]], args: list[str], sentence: str
) -> None:
    """The sentence names the options that look elsewhere."""
    node.pods = pods

    said = await run("audit", *args)

    assert said.status == 2
    assert said.err.startswith(f"Error: {sentence}")
    assert "--holdfast-namespace" in said.err
    assert said.out == ""


async def test_a_caller_who_may_not_forward_is_told_the_right(
    node: fakenode.FakeNode, run: Run
) -> None:
    """So that an administrator knows what to grant."""
    node.may_forward = False

    said = await run("audit")

    assert (said.status, said.out) == (2, "")
    assert said.err == (
        "Error: Reading the audit records through the cluster takes the right get and create on"
        " pods/portforward in the namespace holdfast-system, which you do not have.\n"
    )


async def test_a_caller_who_may_not_list_pods_is_told_the_right(
    node: fakenode.FakeNode, run: Run
) -> None:
    """Likewise."""
    node.may_list = False

    said = await run("audit")

    assert said.status == 2
    assert "takes the right list on pods in the namespace holdfast-system" in said.err


async def test_a_guard_pod_that_does_not_listen_is_an_error(
    node: fakenode.FakeNode, run: Run
) -> None:
    """An older one, for instance; the words are those of the node."""
    node.ports.clear()

    said = await run("audit")

    assert said.status == 2
    assert "port 9444 of the pod guard-0 broke: error forwarding port" in said.err


async def test_of_several_pods_the_newest_ready_one_is_asked(
    node: fakenode.FakeNode, run: Run
) -> None:
    """Such as during an upgrade."""
    node.pods = [
        fakenode.pod("guard-old", created="2026-01-01T00:00:00Z"),
        fakenode.pod("guard-0"),
        fakenode.pod("guard-new", ready=False, created="2026-12-01T00:00:00Z"),
    ]

    assert (await run("audit")).status == 0
    assert node.requests[-1].match_info["name"] == "guard-0"


async def test_a_folder_that_was_chosen_is_the_only_place(
    node: fakenode.FakeNode, run: Run, tmp_path: Path
) -> None:
    """Whoever names a folder does not want to see what lies elsewhere."""
    said = await run("audit", "--state", str(tmp_path / "empty"))

    assert said.status == 2
    assert f"there is no audit store at {tmp_path / 'empty' / 'audit.db'}" in said.err
    assert node.requests == []


async def test_a_folder_that_is_there_needs_no_cluster(
    node: fakenode.FakeNode, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As inside of the guard pod, or where the processes run without pods."""
    monkeypatch.setenv("HOLDFAST_STATE", str(tmp_path / "pod"))

    said = await run("audit", "-o", "json")

    assert len(json.loads(said.out)) == 3
    assert node.requests == []


async def test_status_counts_what_the_pod_has(
    node: fakenode.FakeNode, run: Run, opened: store.Store
) -> None:
    """What was denied within a day is counted by the pod."""
    at_ns = time.time_ns()
    node.answers[GUARDS] = {"kind": "GuardList", "metadata": {}, "items": [GUARD]}
    await opened.insert(
        record.Record(
            id=record.new_id(at_ns + number * 1_000, bytes(8)),
            time=record.timestamp(at_ns + number * 1_000),
            object=record.ObjectRef(kind="Deployment", name="web"),
            verdict="Denied",
            guard="shop/shop-prod",
        )
        for number in range(7)
    )

    said = await run("status", "-o", "json")

    (shown,) = json.loads(said.out)
    assert (shown["restored24h"], shown["denied24h"], said.err) == (0, 7, "")


async def test_status_is_shown_without_counts_to_who_may_not_read_them(
    node: fakenode.FakeNode, run: Run
) -> None:
    """The table has all else, and a line beside it says what is missing and why."""
    node.answers[GUARDS] = {"kind": "GuardList", "metadata": {}, "items": [GUARD]}
    node.may_forward = False

    said = await run("status", "-o", "json")

    (shown,) = json.loads(said.out)
    assert (shown["name"], shown["denied24h"]) == ("shop-prod", None)
    assert said.err.startswith("Not counted: Reading the audit records through the cluster takes")


async def test_status_without_a_guard_pod_counts_nothing_and_says_nothing(
    node: fakenode.FakeNode, run: Run
) -> None:
    """Where the processes run without pods there is no more to say."""
    node.answers[GUARDS] = {"kind": "GuardList", "metadata": {}, "items": [GUARD]}
    node.pods = []

    said = await run("status", "-o", "json")

    assert json.loads(said.out)[0]["denied24h"] is None
    assert said.err == ""


def test_a_default_folder_counts_only_if_it_is_there(tmp_path: Path) -> None:
    """The default leads to the cluster, a choice never does."""
    place = archive.Place(
        state=tmp_path,
        is_state_given=False,
        namespace="holdfast-system",
        release="holdfast",
        kubeconfig=None,
        context=None,
    )
    assert not place.is_local
    (tmp_path / "audit.db").touch()
    assert place.is_local

"""Inventories are kept in the cluster: whole, small, and nothing is written without need."""

import asyncio
import base64
import dataclasses
import uuid
from typing import Any

import pytest
from support import polling

from guard.api import keys, names
from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.cluster import resources
from guard.fields.fieldset import FieldSet
from guard.inventory import errors, shards, store
from guard.inventory.entries import Entry, State

pytestmark = pytest.mark.integration

MAX_BYTES = 8_000  # about 100 entries

GUARDS = resources.Resource(
    group=names.GROUP, version=names.VERSION, kind="Guard", plural="guards", namespaced=True
)


def entry(number: int, *, state: State = State.SYNCED) -> Entry:
    """Give the entry of one ConfigMap; uid and digest do not compress."""
    name = f"conf-{number}"
    unlike = uuid.uuid5(uuid.NAMESPACE_DNS, name)
    return Entry(
        gvk=keys.GroupVersionKind("", "v1", "ConfigMap"),
        key=keys.ObjectKey("", "ConfigMap", "shop", name),
        resource="configmaps",
        uid=str(unlike),
        declared=FieldSet.from_v1({"f:data": {"f:a": {}}}),
        digest=unlike.hex * 2,
        replicas=None,
        state=state,
        file="conf.yaml",
    )


def entries(count: int) -> list[Entry]:
    """Give some entries."""
    return [entry(number) for number in range(count)]


@dataclasses.dataclass
class Kept:
    """A Guard in the cluster, and what makes stores for it."""

    client: clients.Client
    namespace: str
    guard: dict[str, Any]

    @property
    def hash(self) -> str:
        """Give the Guard's label value; of its own namespace, so that no test sees another's."""
        return names.guard_hash(names.DEFAULT_INSTALLATION, self.namespace, "prod")

    def store(self, *, client: Any = None, max_bytes: int = shards.MAX_BYTES) -> Any:
        """Give a store as a new process has it: it knows nothing yet."""
        return store.InventoryStore(
            client or self.client,
            namespace=self.namespace,
            guard="prod",
            guard_uid=self.guard["metadata"]["uid"],
            guard_hash=self.hash,
            max_bytes=max_bytes,
        )

    async def objects(self) -> dict[str, dict[str, Any]]:
        """Give the Inventory objects by name."""
        found = await verbs.list_all(self.client, store.RESOURCE, namespace=self.namespace)
        return {obj["metadata"]["name"]: obj for obj in found}


@pytest.fixture
async def kept(client: clients.Client, namespace: str, chart: object) -> Kept:
    """Make a Guard to keep an inventory for."""
    assert chart
    spec = {"source": {"git": {"url": "https://git.example/shop.git"}}}
    guard = await verbs.create(
        client,
        GUARDS,
        {
            "apiVersion": names.API_VERSION,
            "kind": "Guard",
            "metadata": {"name": "prod", "namespace": namespace},
            "spec": spec,
        },
        "test",
    )
    return Kept(client, namespace, guard)


async def test_what_is_saved_is_loaded_by_the_next_process(kept: Kept) -> None:
    """With counters that a person can read, and our own label, not that of guarded objects."""
    saved = [entry(0), entry(1, state=State.DRIFTED), entry(2, state=State.FAILED)]
    first = kept.store()
    assert await first.load() == {}

    assert await first.save(saved, revision="main@1") == 1

    assert await kept.store().load() == {one.key: one for one in saved}
    objects = await kept.objects()
    assert list(objects) == ["prod-0"]
    spec = objects["prod-0"]["spec"]
    assert (spec["guard"], spec["shard"], spec["shards"]) == ("prod", 0, 1)
    assert (spec["objects"], spec["drifted"], spec["failed"]) == (3, 1, 1)
    assert spec["revision"] == "main@1"
    assert objects["prod-0"]["metadata"]["labels"] == {names.LABEL_INVENTORY: kept.hash}


async def test_nothing_is_written_when_nothing_has_changed(kept: Kept) -> None:
    """Neither by the process that wrote it, nor by the next, nor for a new revision."""
    first = kept.store()
    await first.save(entries(5), revision="main@1")
    before = await kept.objects()

    assert await first.save(reversed(entries(5)), revision="main@2") == 0
    second = kept.store()
    await second.load()
    assert await second.save(entries(5), revision="main@2") == 0

    assert await kept.objects() == before


async def test_only_the_shard_that_has_changed_is_written(kept: Kept) -> None:
    """One drift among thousands is one small write."""
    keeping = kept.store(max_bytes=MAX_BYTES)
    saved = entries(400)
    await keeping.save(saved, revision="main@1")
    assert len(await kept.objects()) >= 4

    saved[7] = entry(7, state=State.DRIFTED)

    assert await keeping.save(saved, revision="main@2") == 1
    revisions = [obj["spec"]["revision"] for obj in (await kept.objects()).values()]
    assert revisions.count("main@2") == 1


async def test_a_conflict_is_retried_with_what_we_know(kept: Kept) -> None:
    """We are the only writer; whoever has touched a shard is overruled."""
    keeping = kept.store()
    await keeping.save(entries(1), revision="main@1")
    shard = (await kept.objects())["prod-0"]
    shard["spec"]["objects"] = 99
    await verbs.replace(kept.client, store.RESOURCE, shard, "alice")

    assert await keeping.save(entries(2), revision="main@2") == 1

    assert (await kept.objects())["prod-0"]["spec"]["objects"] == 2
    assert len(await kept.store().load()) == 2


async def test_a_shard_that_somebody_deleted_is_made_anew(kept: Kept) -> None:
    """As soon as there is something to write in it."""
    keeping = kept.store()
    await keeping.save(entries(1), revision="main@1")
    await verbs.delete(kept.client, store.RESOURCE, kept.namespace, "prod-0")

    await keeping.save(entries(2), revision="main@2")

    assert len(await kept.store().load()) == 2


async def test_a_shard_that_is_there_already_is_taken_over(kept: Kept) -> None:
    """By a process that never loaded it."""
    await kept.store().save(entries(3), revision="main@1")

    await kept.store().save(entries(2), revision="main@1")

    assert len(await kept.store().load()) == 2


class Broken(Exception):  # it is no error of the code under test
    """The process dies here."""


class DyingClient:
    """A client whose process dies after so many writes."""

    def __init__(self, client: clients.Client, writes: int) -> None:
        self._client = client
        self._writes = writes

    async def request(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Send a request, unless it is a write too many."""
        if method != "GET":
            if self._writes == 0:
                raise Broken
            self._writes -= 1
        return await self._client.request(method, *args, **kwargs)


@pytest.mark.parametrize(("before", "after"), [(150, 600), (600, 6), (300, 300)])
async def test_a_process_that_dies_while_it_cuts_shards_anew_loses_nothing(
    kept: Kept, before: int, after: int
) -> None:
    """Wherever it dies: what belongs to both is there, and nothing comes back for good."""
    old, new = entries(before), [entry(n, state=State.DRIFTED) for n in range(after)]
    stays = {one.key for one in old} & {one.key for one in new}
    for writes in range(20):
        await kept.store().delete_all()
        await kept.store(max_bytes=MAX_BYTES).save(old, revision="main@1")
        dying = kept.store(client=DyingClient(kept.client, writes), max_bytes=MAX_BYTES)
        await dying.load()
        try:
            await dying.save(new, revision="main@2")
        except Broken:
            is_whole = False
        else:
            is_whole = True

        heir = kept.store(max_bytes=MAX_BYTES)
        assert stays <= (await heir.load()).keys()

        await heir.save(new, revision="main@2")
        assert await kept.store().load() == {one.key: one for one in new}
        if is_whole:
            return
    pytest.fail("it never came to its end")


async def test_no_reader_ever_misses_an_entry_while_shards_are_cut_anew(kept: Kept) -> None:
    """The webhook watches; what it unites is complete after each single write."""
    keeping = kept.store(max_bytes=MAX_BYTES)
    await keeping.save(entries(30), revision="main@1")
    wanted = {one.key for one in entries(30)}
    seen = []

    class Watching:
        """A client that looks at what is stored after each write."""

        async def request(self, method: str, *args: Any, **kwargs: Any) -> Any:
            answer = await kept.client.request(method, *args, **kwargs)
            if method != "GET":
                found: set[keys.ObjectKey] = set()
                for obj in (await kept.objects()).values():
                    blob = base64.b64decode(obj["spec"]["data"])
                    found |= {one.key for one in shards.decode(blob)}
                seen.append(found)
            return answer

    watched = kept.store(client=Watching(), max_bytes=MAX_BYTES)
    await watched.load()
    assert await watched.save(entries(600), revision="main@2") > 3
    assert await watched.save(entries(30), revision="main@3") > 3

    assert all(wanted <= found for found in seen)
    assert len(await kept.objects()) <= 2


async def test_saves_at_the_same_time_wait_for_each_other(kept: Kept) -> None:
    """Else both would create the same shard."""
    keeping = kept.store()

    await asyncio.gather(*(keeping.save(entries(n), revision="main@1") for n in range(1, 5)))

    assert len(await kept.store().load()) == 4


async def test_a_shard_that_cannot_be_read_is_named(kept: Kept) -> None:
    """And is not taken for an empty one, which would orphan everything."""
    await kept.store().save(entries(1), revision="main@1")
    shard = (await kept.objects())["prod-0"]
    shard["spec"]["data"] = base64.b64encode(b"nonsense").decode()
    await verbs.replace(kept.client, store.RESOURCE, shard, "alice")

    with pytest.raises(errors.UnreadableInventory, match=f"{kept.namespace}/prod-0: .*damaged"):
        await kept.store().load()


async def test_all_shards_can_be_deleted(kept: Kept) -> None:
    """Those of another Guard stay."""
    keeping = kept.store(max_bytes=MAX_BYTES)
    await keeping.save(entries(300), revision="main@1")

    await keeping.delete_all()

    assert await kept.objects() == {}
    assert await keeping.save(entries(1), revision="main@2") == 1
    assert len(await kept.store().load()) == 1


async def test_the_inventory_goes_with_its_guard(kept: Kept) -> None:
    """The garbage collector removes what the Guard owned: it looks for new kinds twice a minute."""
    await kept.store().save(entries(1), revision="main@1")
    await verbs.delete(kept.client, GUARDS, kept.namespace, "prod")

    async def is_gone() -> bool:
        return not await kept.objects()

    assert await polling.eventually(is_gone, within_seconds=60.0)


async def test_somebody_who_never_stops_writing_is_an_error(kept: Kept) -> None:
    """After a few attempts; the loop tells, and tries again later."""

    class Fighting:
        """A client in front of which somebody else always writes first."""

        async def request(self, method: str, *args: Any, **kwargs: Any) -> Any:
            if method == "PUT":
                shard = (await kept.objects())["prod-0"]
                shard["spec"]["objects"] += 1
                await verbs.replace(kept.client, store.RESOURCE, shard, "alice")
            return await kept.client.request(method, *args, **kwargs)

    await kept.store().save(entries(1), revision="main@1")

    with pytest.raises(cluster_errors.Conflict):
        await kept.store(client=Fighting()).save(entries(2), revision="main@2")

"""An index over the shards of all Guards, for the webhook. Pure; filled by reflectors."""

import collections
from collections.abc import Iterable

from guard.api import keys
from guard.inventory import entries as entries_

_ShardId = tuple[str, str]


class InventoryIndex:
    """Finds the entry of an object, and its Guard, among all shards of a cluster.

    While shards are cut anew, an object is in an old and a new shard for a moment: it is found all
    the while. Two Guards that claim one object are an error that the loop reports; here the one
    whose shard was put last is found.
    """

    def __init__(self) -> None:
        self._shards: dict[_ShardId, dict[keys.ObjectKey, entries_.Entry]] = {}
        self._where: dict[keys.ObjectKey, _ShardId] = {}
        self._kinds: collections.defaultdict[tuple[str, str], collections.Counter[str]]
        self._kinds = collections.defaultdict(collections.Counter)

    def __len__(self) -> int:
        return len(self._where)

    def put_shard(self, guard_hash: str, name: str, entries: Iterable[entries_.Entry]) -> None:
        """Take the content of one shard, in place of what it held. ``name`` is unique."""
        shard_id = (guard_hash, name)
        before = self._shards.get(shard_id, {})
        shard = {entry.key: entry for entry in entries}
        self._shards[shard_id] = shard
        for entry in shard.values():
            self._where[entry.key] = shard_id
            self._kinds[entry.key.group, entry.resource][entry.key.kind] += 1
        self._forget(shard_id, before)

    def drop_shard(self, guard_hash: str, name: str) -> None:
        """Forget one shard; nothing happens if it is not known."""
        shard_id = (guard_hash, name)
        self._forget(shard_id, self._shards.pop(shard_id, {}))

    def _forget(self, shard_id: _ShardId, before: dict[keys.ObjectKey, entries_.Entry]) -> None:
        now = self._shards.get(shard_id, {})
        for key, entry in before.items():
            kinds = self._kinds[key.group, entry.resource]
            kinds[key.kind] -= 1
            if not kinds[key.kind]:
                del kinds[key.kind]
            if key not in now and self._where[key] == shard_id:
                other = self._elsewhere(key)
                if other is None:
                    del self._where[key]
                else:
                    self._where[key] = other

    def _elsewhere(self, key: keys.ObjectKey) -> _ShardId | None:
        return next((name for name, shard in self._shards.items() if key in shard), None)

    def get(self, key: keys.ObjectKey) -> tuple[str, entries_.Entry] | None:
        """Give the hash of the Guard that keeps an object, and the entry; None if nobody does."""
        shard_id = self._where.get(key)
        if shard_id is None:
            return None
        return shard_id[0], self._shards[shard_id][key]

    def by_resource(
        self, group: str, resource: str, namespace: str, name: str
    ) -> tuple[str, entries_.Entry] | None:
        """Find an object by the plural of its kind, as reviews of subresources name it."""
        for kind in self._kinds.get((group, resource), ()):
            found = self.get(keys.ObjectKey(group, kind, namespace, name))
            if found is not None:
                return found
        return None

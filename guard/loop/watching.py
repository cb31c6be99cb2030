"""The watches of one loop: one for each kind of which its Guard has objects."""

import asyncio
import functools

from guard.api import keys
from guard.cluster import client as clients
from guard.cluster import reflector, resources, tasks
from guard.loop import keeper


class Watches:
    """Starts a reflector for each kind, once, in ``group``; events go to the keeper."""

    def __init__(
        self,
        client: clients.Client,
        *,
        keeper_: keeper.Keeper,
        group: asyncio.TaskGroup,
        label_selector: str,
    ) -> None:
        self._client = client
        self._keeper = keeper_
        self._group = group
        self._label_selector = label_selector
        self._watched: set[str] = set()

    def watch(self, resource: resources.Resource, namespace: str) -> None:
        """Watch the guarded objects of a kind from now on; again is no harm.

        In one namespace, or in all if it is empty.
        """
        path = resource.collection(namespace)
        if path not in self._watched:
            self._watched.add(path)
            follow = functools.partial(self._follow, resource, namespace)
            self._group.create_task(tasks.guard(f"watch {path}", follow))

    async def _follow(self, resource: resources.Resource, namespace: str) -> None:
        seen = _Seen(self._keeper, resource)
        follower = reflector.Reflector(
            self._client,
            resource,
            on_event=seen.on_event,
            namespace=namespace if resource.namespaced else "",
            label_selector=self._label_selector,
        )
        await follower.run()


class _Seen:
    """Knows which objects a watch has shown, so that a missing one is noticed at each list."""

    def __init__(self, keeper_: keeper.Keeper, resource: resources.Resource) -> None:
        self._keeper = keeper_
        self._resource = resource
        self._keys: set[keys.ObjectKey] = set()

    def on_event(self, event: reflector.Event) -> None:
        if event.type is reflector.EventType.SYNCED:
            self._keeper.on_listed(self._keys, self._resource)
            return
        key = keys.ObjectKey.of(event.object)
        if event.type is reflector.EventType.DELETED:
            self._keys.discard(key)
        else:
            self._keys.add(key)
        self._keeper.on_event(event)

"""All loops of a guard process: one for each Guard that the API server holds."""

import asyncio
import functools

from guard.api import guards, keys, names, objects
from guard.cluster import reflector, resources, tasks
from guard.inventory import store as inventory_store
from guard.loop import guarding, publishing
from guard.loop import tools as tools_


class Fleet:
    """Runs a loop for each Guard; one that fails is started anew, and stops no other."""

    def __init__(self, tools: tools_.Tools) -> None:
        self._tools = tools
        self._loops: dict[keys.ObjectKey, guarding.GuardLoop] = {}
        self._tasks: dict[keys.ObjectKey, asyncio.Task[None]] = {}
        self.reflector: reflector.Reflector | None = None

    async def run(self) -> None:
        """Follow the Guards and run their loops until cancelled."""
        self._loops.clear()  # of a run that died, if there was one
        self._tasks.clear()
        async with asyncio.TaskGroup() as group:

            def on_event(event: reflector.Event) -> None:
                self._on_event(event, group)

            for resource in (inventory_store.RESOURCE, publishing.REPORTS):
                follow = functools.partial(self._follow_writings, resource)
                group.create_task(tasks.guard(f"watch {resource.plural}", follow))
            self.reflector = reflector.Reflector(
                self._tools.client, publishing.GUARDS, on_event=on_event
            )
            await self.reflector.run()

    def wake(self) -> None:
        """Ask every loop for a pass now: the off switch was turned."""
        for loop in self._loops.values():
            loop.trigger()

    def _on_event(self, event: reflector.Event, group: asyncio.TaskGroup) -> None:
        if event.type is reflector.EventType.SYNCED:
            return
        key = keys.ObjectKey.of(event.object)
        loop = self._loops.get(key)
        metadata = objects.metadata_of(event.object)
        # One that waits for finalizers guards no more: its inventory may be gone already.
        ends = event.type is reflector.EventType.DELETED or "deletionTimestamp" in metadata
        if ends or (loop and loop.owner.uid != metadata.get("uid")):
            self._end(key)
        if ends:
            return
        if key in self._loops:
            self._loops[key].update(event.object)
            return
        loop = self._loops[key] = guarding.GuardLoop(event.object, self._tools)
        self._tasks[key] = group.create_task(tasks.guard(str(loop.owner), loop.run))

    def _end(self, key: keys.ObjectKey) -> None:
        self._loops.pop(key, None)
        task = self._tasks.pop(key, None)
        if task is not None:
            # Its objects stay in the cluster as they are: deleting a Guard orphans them.
            task.cancel()

    async def _follow_writings(self, resource: resources.Resource) -> None:
        """Follow what only the loops write, so that they learn of what others do to it."""

        def on_event(event: reflector.Event) -> None:
            if event.type is reflector.EventType.SYNCED:
                return
            metadata = objects.metadata_of(event.object)
            name = guard_name = metadata["name"]
            if resource is inventory_store.RESOURCE:
                guard_name = name.rpartition("-")[0]
            key = keys.ObjectKey(names.GROUP, guards.KIND, metadata["namespace"], guard_name)
            loop = self._loops.get(key)
            if loop is not None:
                loop.saw(
                    publishing.Seen(
                        kind=resource.kind,
                        name=name,
                        uid=metadata.get("uid", ""),
                        resource_version=metadata.get("resourceVersion", ""),
                        deleted=event.type is reflector.EventType.DELETED,
                    )
                )

        await reflector.Reflector(self._tools.client, resource, on_event=on_event).run()

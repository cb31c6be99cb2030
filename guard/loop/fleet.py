"""All loops of a guard process: one for each Guard that the API server holds."""

import asyncio

from guard.api import keys, objects
from guard.cluster import reflector, tasks
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
        async with asyncio.TaskGroup() as group:

            def on_event(event: reflector.Event) -> None:
                self._on_event(event, group)

            self.reflector = reflector.Reflector(
                self._tools.client, publishing.GUARDS, on_event=on_event
            )
            await self.reflector.run()

    def _on_event(self, event: reflector.Event, group: asyncio.TaskGroup) -> None:
        if event.type is reflector.EventType.SYNCED:
            return
        key = keys.ObjectKey.of(event.object)
        loop = self._loops.get(key)
        uid = objects.metadata_of(event.object).get("uid")
        if event.type is reflector.EventType.DELETED or (loop and loop.owner.uid != uid):
            self._end(key)
        if event.type is reflector.EventType.DELETED:
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

"""A guard process as far as records go: drains a spool into a store until it is killed.

Started by the tests of this folder as ``drainer.py ROOT DATABASE``.
"""

import asyncio
import sys
from pathlib import Path

from guard.audit import intake, store


async def _main() -> None:
    root, database = sys.argv[1:]
    async with await store.Store.open(Path(database)) as target:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await intake.Intake(Path(root), target, poll_seconds=0.001).run()


if __name__ == "__main__":
    asyncio.run(_main())

"""The control group that holds the node's pods, in version 1 and 2 of the kernel's interface."""

import contextlib
import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
NAME = "holdfast-e2e"

_REMOVE_SECONDS = 5.0
_POLL_SECONDS = 0.05


def make() -> None:
    """Make the group, in each hierarchy of version 1 or in the one of version 2."""
    if (ROOT / "cgroup.controllers").exists():
        for controller in (ROOT / "cgroup.controllers").read_text().split():
            # One that the machine keeps for itself: the kubelet says what it lacks.
            with contextlib.suppress(OSError):
                (ROOT / "cgroup.subtree_control").write_text(f"+{controller}")
    for hierarchy in _hierarchies():
        group = hierarchy / NAME
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            # In version 1 a group without processors of its own cannot hold a process.
            if (group / file).exists() and not (ROOT / "cgroup.controllers").exists():
                (group / file).write_text((hierarchy / file).read_text())


def remove() -> None:
    """Remove the group and all groups below it, once the processes in them have ended."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    # containerd makes some in the version 2 that lies beside version 1.
    for hierarchy in [*_hierarchies(), ROOT / "unified"]:
        while (hierarchy / NAME).exists():
            for folder, _, _ in os.walk(hierarchy / NAME, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS if (hierarchy / NAME).exists() else 0)


def _hierarchies() -> list[Path]:
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return [
        path
        for path in sorted(ROOT.iterdir())
        # Some have version 2 beside version 1, without controllers.
        if path.is_dir() and not path.is_symlink() and path.name != "unified"
    ]

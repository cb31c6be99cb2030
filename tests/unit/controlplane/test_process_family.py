"""Children end with the program that started them, however it ends."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from controlplane import process
from support import polling

SLEEPER = ["sh", "-c", "sleep 600 & echo ready $!; wait"]


def wait_for(probe: Callable[[], bool]) -> bool:
    """Wait for it outside of any event loop, where processes may be started as usual."""
    return asyncio.run(polling.eventually(probe))


def gone(pid: int) -> bool:
    """Whether there is no such process; one that only waits to be reaped counts as gone."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def grandchild(log: Path) -> int:
    """Give the id of the sleep that the sleeper started."""
    wait_for(lambda: "ready" in log.read_text())
    return int(log.read_text().split()[1])


def test_a_stopped_child_takes_its_own_children_along(tmp_path: Path) -> None:
    """A whole process group ends, so that no server is left on its port."""
    with process.Family() as family:
        child = family.start(SLEEPER, name="sleeper", log=tmp_path / "log")
        sleep = grandchild(tmp_path / "log")

        family.stop(child)

        assert not child.running()
        assert wait_for(lambda: gone(sleep))


def test_closing_a_family_stops_all_children(tmp_path: Path) -> None:
    """The end of the with-block is the end of them."""
    with process.Family() as family:
        children = [
            family.start(SLEEPER, name=name, log=tmp_path / name) for name in ("one", "two")
        ]

    assert [child.running() for child in children] == [False, False]


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """A kill -9 runs no handler; the warden sees the pipe close."""
    log = tmp_path / "log"
    program = (
        "import pathlib, time; from controlplane import process; "
        f"process.Family().start({SLEEPER!r}, name='s', log=pathlib.Path({str(log)!r})); "
        "time.sleep(600)"
    )
    tests = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(tests)}
    ) as parent:
        wait_for(log.exists)
        sleep = grandchild(log)
        parent.send_signal(signal.SIGKILL)

    assert wait_for(lambda: gone(sleep))


def test_a_child_is_given_time_to_end_by_itself_when_asked(tmp_path: Path) -> None:
    """With grace, a program that handles SIGTERM ends with its own status."""
    log = tmp_path / "log"
    script = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done"
    with process.Family() as family:
        child = family.start(["sh", "-c", script], name="polite", log=log)
        wait_for(lambda: "ready" in child.log_text())

        family.stop(child, grace_seconds=10)

    assert child.popen.returncode == 7
    assert "bye" in child.log_text()


def test_a_childs_story_ends_with_its_last_lines(tmp_path: Path) -> None:
    """A failed start is understood from its error alone."""
    with process.Family() as family:
        child = family.start(
            ["sh", "-c", "echo no such file; exit 4"], name="etcd", log=tmp_path / "log"
        )
        child.popen.wait(10)

        assert "etcd ended with 4" in child.story()
        assert child.story().endswith("    no such file")

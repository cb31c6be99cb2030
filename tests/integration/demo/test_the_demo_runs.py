"""`make demo` shows the main job, on real programs, and leaves nothing behind."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
INVITATION = "everything is removed"

PLAY = """
kubectl auth whoami -o jsonpath='{.status.userInfo.username}{"\\n"}'
holdfast status
kubectl -n shop scale deployment web --replicas=9
"""

PROMISED = {
    "the Guards are in sync": r"shop/shop-prod +main@[0-9a-f]{7} +Synced +9 ",
    "an edit is refused": r"\$ EDITOR=.* edit deployment web\nerror: .* denied the request",
    "the denial shows both values": r"Git registry\.example/web:1\.4\.2 +yours registry",
    "scaling is refused": r"--replicas=5\nError from server \(Forbidden\): .*scale\.holdfast\.dev",
    "a new image is refused": r"\$ kubectl .* set image .*\nerror: .* denied the request",
    "a label is refused": r"metadata\.labels\.tier +Git frontend +yours gold",
    "a deletion is refused": r"deleting it is refused",
    "an apply is refused": r"\| kubectl -n shop apply -f -\n(?:.*\n)+?  data\.LEVEL +Git info",
    "a custom resource is guarded": r"spec\.percent +Git 20 +yours 80",
    "a secret is named by a hash": r"data\.password +Git hash:\w{12} +yours hash:\w{12}",
    "what is alice's own passes": r"configmap/notes edited",
    "Flag lets an edit through": r"Warning: shop/conf is managed from Git .* will be undone\n",
    "a flagged edit is undone": r"conf -o jsonpath='\{\.data\.LEVEL\}'\ninfo\n",
    "drift can be left": r"shop/shop-config +main@\w+ +Drifted +2 +1 ",
    "diff shows it": r"  data\.LEVEL\n    - info\n    \+ debug\n",
    "explain shows the owner": r"data\.LEVEL +debug +kubectl-edit +info",
    "a restored field": r"Restored .* ConfigMap shop/conf .* back to info in (?:<1|\d+) ms",
    "a restored deletion": r"Restored .* Service shop/web +deleted, created again in (?:<1|\d+) ms",
    "a restored secret": r"Restored .* Secret shop/db +data\.password hash:\w{12} -> hash:",
    "a commit is applied": r"\nweb +4 +registry\.example/web:1\.5\.0\n",
    "the log names alice": r"\d\d  Denied +alice +Deployment shop/web +spec\.replicas 3 -> 5",
}
"""What the output must show, as patterns."""


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Give the folder that the demo takes for the temporary one."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


@contextlib.contextmanager
def demo(temporary: Path, output: Path, *, keep: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Run the demo as `make demo` does, its output going to a file."""
    environment = {
        **os.environ,
        "KEEP": keep,
        "PYTHONPATH": str(ROOT / "tests"),
        "TMPDIR": str(temporary),
    }
    with (
        output.open("wb") as file,
        subprocess.Popen(
            [sys.executable, ROOT / "examples" / "demo.py"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        ) as running,
    ):
        try:
            yield running
        finally:
            running.kill()  # the warden of its control plane ends the rest


def wait_for(text: str, output: Path, running: subprocess.Popen[bytes]) -> str:
    """Wait until the output has a text; gives the whole of it."""
    deadline = time.monotonic() + 240
    while text not in (shown := output.read_text()):
        assert running.poll() is None, shown
        assert time.monotonic() < deadline, shown
        time.sleep(0.2)
    return shown


def processes_below(folder: Path) -> list[str]:
    """Give the command lines that name a folder; those are what the demo has started there."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in line:
                found.append(line)
    return found


def test_the_demo_shows_all_that_it_promises_and_ends_well(tmp_path, temporary):
    """Expect exit status 0, every promise in the output, no secret, no colour, nothing left."""
    output = tmp_path / "output"

    with demo(temporary, output) as running:
        status = running.wait(timeout=300)

    shown = output.read_text()
    assert status == 0, shown
    missing = {promise for promise, pattern in PROMISED.items() if not re.search(pattern, shown)}
    assert missing == set(), shown
    assert "correct-horse" not in shown
    assert "\x1b" not in shown
    assert list(temporary.iterdir()) == []
    assert processes_below(temporary) == []


def test_a_kept_demo_can_be_played_with_until_it_is_interrupted(tmp_path, temporary):
    """Expect a shell that sources the printed file to be alice's, and Ctrl-C to remove all."""
    output = tmp_path / "output"

    with demo(temporary, output, keep="1") as running:
        shown = wait_for(INVITATION, output, running)
        sourced = re.search(r"^  (\. \S+/shop\.env)$", shown, re.MULTILINE)
        assert sourced is not None, shown
        played = subprocess.run(
            ["sh", "-c", f"{sourced[1]}; {PLAY}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        running.send_signal(signal.SIGINT)
        status = running.wait(timeout=30)

    assert played.stdout.startswith("alice\n"), played.stdout
    assert "Synced" in played.stdout
    assert "yours 9" in played.stdout
    assert status == 0, output.read_text()
    assert list(temporary.iterdir()) == []
    assert processes_below(temporary) == []


def test_an_interrupted_demo_leaves_nothing(tmp_path, temporary):
    """Expect a Ctrl-C in the middle to be the end of all that was started."""
    output = tmp_path / "output"

    with demo(temporary, output) as running:
        wait_for("== 2. ", output, running)
        running.send_signal(signal.SIGINT)
        status = running.wait(timeout=30)

    assert status == 130
    assert output.read_text().endswith("Stopped; everything is removed.\n")
    assert list(temporary.iterdir()) == []
    assert processes_below(temporary) == []

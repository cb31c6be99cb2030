"""How long drift lasts: from the watch event of a bad edit to that of the restored object.

1,000 guarded ConfigMaps of about 1 KB, beside 1,000 that a bare client keeps (benchmarks.bare). One
watch sees both. Edits alternate between the two, so that a noisy moment meets both alike.
"""

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from controlplane import binaries, installation, plane, progress

from benchmarks import bare, figures, wire

COUNT = 1000
EDITS = 200
RUNS = 5
_FILES = 10
_OURS, _FLOOR = "bench-ours", "bench-floor"
_WITHIN_SECONDS = 30.0
_READY_SECONDS = 120.0


def measure(tell: Callable[[str], None]) -> list[figures.Figure]:
    """Run the benchmark; ``tell`` gets a line for each step."""
    binaries.ensure(tell=progress.Progress(sys.stderr))
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name:
        folder = Path(name)
        tell("Starting a control plane ...")
        with plane.ControlPlane(folder / "plane") as control_plane:
            return _measure(control_plane, folder, tell)


def _measure(
    control_plane: plane.ControlPlane, folder: Path, tell: Callable[[str], None]
) -> list[figures.Figure]:
    admin = control_plane.kubeconfig("admin")
    for namespace in (_OURS, _FLOOR):
        control_plane.api.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
    tell(f"Letting Holdfast and the bare client apply {COUNT} ConfigMaps each ...")
    with installation.Installation(
        control_plane, folder / "holdfast", values={"webhook": {"enabled": False}}
    ) as holdfast:
        holdfast.start_guard()
        _make_guard(control_plane, _repository(folder / "repository"))
        with _bare_client(admin):
            watcher = _Watcher(admin)
            editor = wire.Connection(admin)
            ours: list[list[float]] = []
            floor: list[list[float]] = []
            for run in range(RUNS):
                tell(f"Run {run + 1} of {RUNS}: {EDITS} edits of each ...")
                ours.append([])
                floor.append([])
                for edit in range(EDITS):
                    number = (run * EDITS + edit) % COUNT
                    ours[-1].append(watcher.restore_ms(editor, _OURS, number))
                    floor[-1].append(watcher.restore_ms(editor, _FLOOR, number))
    return figures.beside("restore", "ms", ours, floor)


def _repository(folder: Path) -> str:
    """Make a Git repository with the objects; gives its URL."""
    folder.mkdir()
    for number in range(_FILES):
        share = range(number, COUNT, _FILES)
        texts = [json.dumps(bare.config_map(_OURS, one)) for one in share]
        (folder / f"conf-{number}.yaml").write_text("\n---\n".join(texts) + "\n")
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "."),
        ("-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "--quiet", "-mx"),
    ):
        subprocess.run(["git", "-C", folder, *command], check=True)
    return folder.as_uri()


def _make_guard(control_plane: plane.ControlPlane, url: str) -> None:
    guard = {
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "Guard",
        "metadata": {"name": "bench", "namespace": _OURS},
        "spec": {"source": {"git": {"url": url, "ref": "main"}}},
    }
    control_plane.kubectl("apply", "--filename=-", stdin=json.dumps(guard))
    control_plane.kubectl(
        "wait",
        f"--namespace={_OURS}",
        "--for=condition=Ready",
        f"--timeout={_READY_SECONDS:.0f}s",
        "guard/bench",
        timeout_seconds=_READY_SECONDS + 10,
    )


class _bare_client:  # noqa: N801 - used as a with statement
    """Runs the floor as a process of its own, as ours is."""

    def __init__(self, kubeconfig: Path) -> None:
        self._argv = [sys.executable, "-m", "benchmarks.bare", str(kubeconfig), _FLOOR, str(COUNT)]

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            message = "The bare client did not start."
            raise RuntimeError(message)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class _Watcher:
    """One watch over both namespaces, in a thread, that stamps each event as it arrives."""

    def __init__(self, kubeconfig: Path) -> None:
        self._events: queue.SimpleQueue[tuple[float, str, str, str]] = queue.SimpleQueue()
        path = "/api/v1/configmaps?labelSelector=bench%3Drestore"
        listed = wire.Connection(kubeconfig).call("GET", f"{path}&limit=1")
        version = listed["metadata"]["resourceVersion"]
        stream = wire.Connection(kubeconfig).watch(f"{path}&watch=1&resourceVersion={version}")
        threading.Thread(target=self._follow, args=(stream,), daemon=True).start()

    def _follow(self, stream: object) -> None:
        for event in stream:  # type: ignore[attr-defined]
            seen = time.perf_counter()
            obj = event["object"]
            metadata = obj["metadata"]
            level = obj["data"]["level"]
            self._events.put((seen, metadata["namespace"], metadata["name"], level))

    def restore_ms(self, editor: wire.Connection, namespace: str, number: int) -> float:
        """Edit one object and wait until it is restored; gives the time in between, in ms."""
        name = f"conf-{number:04}"
        editor.call(
            "PATCH",
            f"/api/v1/namespaces/{namespace}/configmaps/{name}?fieldManager=kubectl-edit",
            b'{"data": {"level": "debug"}}',
            content_type="application/merge-patch+json",
        )
        edited = self._wait(namespace, name, "debug")
        return (self._wait(namespace, name, "info") - edited) * 1000

    def _wait(self, namespace: str, name: str, level: str) -> float:
        while True:
            seen, *what = self._events.get(timeout=_WITHIN_SECONDS)
            if what == [namespace, name, level]:
                return seen

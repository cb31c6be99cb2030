"""The real processes beside a control plane of their own, with a real Git server."""

import contextlib
import json
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from controlplane import installation, plane
from support import gitserver

CONF = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data:
  level: info
  color: blue
"""
WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "nginx:1.29"}]
"""


class Shop:
    """One guarded namespace of an installation, with its repository."""

    def __init__(
        self, running: installation.Installation, server: gitserver.GitServer, namespace: str
    ) -> None:
        self.running = running
        self.namespace = namespace
        self.repository = server.create(f"{namespace}.git")
        self.url = server.url(f"{namespace}.git")

    def kubectl(self, *args: str, user: str = "alice", **options: Any) -> Any:
        """Run kubectl in the namespace as alice; a refusal is an answer, not an error."""
        return self.running.plane.kubectl(
            f"--namespace={self.namespace}", *args, user=user, check=False, **options
        )

    def guard(self, mode: str = "Deny") -> None:
        """Make or change the Guard ``shop-prod``."""
        guard = {
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "Guard",
            "metadata": {"name": "shop-prod", "namespace": self.namespace},
            "spec": {
                "source": {
                    "git": {"url": self.url, "ref": "main", "path": "apps", "interval": "1s"}
                },
                "target": {"namespace": self.namespace},
                "admission": {"mode": mode},
            },
        }
        applied = self.kubectl("apply", "--filename=-", user="admin", stdin=json.dumps(guard))
        assert applied.returncode == 0, applied.stderr

    def read(self, what: str, path: str) -> str:
        """Read a JSON path of an object."""
        return str(self.kubectl("get", what, f"--output=jsonpath={{{path}}}", user="admin").stdout)

    def applied(self) -> str:
        """Give the applied revision of the Guard, empty before the first."""
        return self.read("guard/shop-prod", ".status.appliedRevision")

    def records(self) -> list[dict[str, Any]]:
        """Give the stored records of the namespace, the oldest first."""
        path = self.running.state / "audit.db"
        if not path.exists():
            return []
        answer = self.running.holdfast("audit", "--namespace", self.namespace, "-o", "json")
        found: list[dict[str, Any]] = json.loads(answer.stdout)
        return found


@pytest.fixture(scope="session")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gitserver.GitServer]:
    """Give a Git server on loopback."""
    with gitserver.GitServer(tmp_path_factory.mktemp("git")) as server:
        yield server


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[installation.Installation]:
    """Start webhook and guard process beside a control plane of their own."""
    folder = tmp_path_factory.mktemp("installation")
    with (
        plane.ControlPlane(folder / "plane") as control_plane,
        installation.Installation(control_plane, folder / "holdfast") as running,
    ):
        running.start()
        yield running


@pytest.fixture
def shop(running: installation.Installation, git_server: gitserver.GitServer) -> Iterator[Shop]:
    """Give a guarded shop; whatever the test stopped is started again after it."""
    namespace = f"shop-{uuid.uuid4().hex[:8]}"
    running.plane.api.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
    yield Shop(running, git_server, namespace)
    if running.guard is None:
        running.start_guard()
    if running.webhook is None:
        running.start_webhook()


@pytest.fixture
def shop_files() -> dict[str, str]:
    """Give the files of the shop's first commit."""
    return {"apps/conf.yaml": CONF, "apps/web.yaml": WEB, "README.md": "no manifest"}


@pytest.fixture
def lock_store(
    running: installation.Installation,
) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Give a context manager that locks the store as another process would."""

    @contextlib.contextmanager
    def lock() -> Iterator[None]:
        connection = sqlite3.connect(running.state / "audit.db", isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.close()

    return lock

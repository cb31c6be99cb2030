"""A small Git server, on loopback unless told: bare repositories, served by git's http-backend.

with gitserver.GitServer(tmp_path) as server:
    shop = server.create("shop")
    commit = shop.commit({"apps/web.yaml": "..."}, "first")
    url = server.url("shop")  # http://127.0.0.1:PORT/shop.git
"""

import base64
import dataclasses
import http.server
import os
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Mona",
    "GIT_AUTHOR_EMAIL": "mona@example.org",
    "GIT_COMMITTER_NAME": "Mona",
    "GIT_COMMITTER_EMAIL": "mona@example.org",
}


@dataclasses.dataclass(frozen=True)
class Link:
    """A symbolic link as a file of a commit."""

    target: str


@dataclasses.dataclass(frozen=True)
class Submodule:
    """A commit of another repository as a file of a commit."""

    commit: str


Content = str | bytes | Link | Submodule | None


class Repository:
    """A bare repository that is written without a work tree. Made when it is first used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / "HEAD").exists():
            path.mkdir(parents=True, exist_ok=True)
            self._git("init", "--quiet", "--bare", "--initial-branch=main")
            self._git("config", "http.receivepack", "true")

    def commit(
        self,
        files: Mapping[str, Content],
        message: str,
        *,
        branch: str = "main",
        parent: str | None = None,
        orphan: bool = False,
    ) -> str:
        """Change files (None deletes one) on a branch, and give the new commit's id.

        The parent is the branch's tip, or ``parent``; with ``orphan`` there is none: the branch is
        then another history, as after a forced push.
        """
        if parent is None and not orphan:
            parent = self.tip(branch)
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            if parent is not None:
                self._git("read-tree", parent, env=index)
            lines = [self._index_line(name, content) for name, content in files.items()]
            self._git("update-index", "--index-info", env=index, stdin="".join(lines).encode())
            tree = self._git("write-tree", env=index)
        parents = () if parent is None else ("-p", parent)
        commit = self._git("commit-tree", *parents, "-m", message, tree)
        self.reset(branch, commit)
        return commit

    def commit_folder(self, folder: Path, message: str, *, branch: str = "main") -> str:
        """Commit every file below a folder, on top of what the branch has."""
        files: dict[str, Content] = {
            file.relative_to(folder).as_posix(): file.read_bytes()
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }
        return self.commit(files, message, branch=branch)

    def tip(self, branch: str = "main") -> str | None:
        """Give the commit of a branch, or None if there is no such branch."""
        ref = f"refs/heads/{branch}"
        return self._git("rev-parse", "--verify", "--quiet", ref, check=False) or None

    def reset(self, branch: str, commit: str) -> None:
        """Let a branch name another commit, whatever its history."""
        self._git("update-ref", f"refs/heads/{branch}", commit)

    def delete(self, branch: str) -> None:
        """Delete a branch."""
        self._git("update-ref", "-d", f"refs/heads/{branch}")

    def tag(self, name: str, commit: str, *, annotated: bool = False) -> None:
        """Tag a commit, with a tag object of its own if annotated."""
        options = ("-a", "-m", name) if annotated else ()
        self._git("tag", *options, name, commit)

    def collect_garbage(self) -> None:
        """Forget all commits that no ref names."""
        self._git("reflog", "expire", "--expire=now", "--all")
        self._git("gc", "--quiet", "--prune=now")

    def _index_line(self, name: str, content: Content) -> str:
        if content is None:
            return f"0 {'0' * 40}\t{name}\n"
        if isinstance(content, Submodule):
            return f"160000 {content.commit}\t{name}\n"
        mode = "120000" if isinstance(content, Link) else "100644"
        text = content.target if isinstance(content, Link) else content
        data = text.encode() if isinstance(text, str) else text
        blob = self._git("hash-object", "-w", "--stdin", stdin=data)
        return f"{mode} {blob}\t{name}\n"

    def _git(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        check: bool = True,
    ) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        result = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env={**clean, **_ENVIRONMENT, **(env or {})},
            input=stdin,
            capture_output=True,
            check=False,
        )
        if check and result.returncode != 0:
            message = f"git {' '.join(arguments)} failed: {result.stderr.decode()}"
            raise RuntimeError(message)
        return result.stdout.decode().strip()


class GitServer:
    """Serves the bare repositories below ``root`` over HTTP on a free port of ``host``.

    ``user`` and ``password`` ask for basic authentication. Without ``protocol_v2`` the server is
    like an old one, that gives only the tips of its refs. With ``tls`` it speaks https.
    """

    def __init__(
        self,
        root: Path,
        *,
        user: str = "",
        password: str = "",
        protocol_v2: bool = True,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        self.root = root
        self.host = host
        self.requests: list[str] = []
        self._user = user
        self._password = password
        self._protocol_v2 = protocol_v2
        self._tls = tls
        self._port = port
        self._server: _HttpServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port; the same again after a stop and a start."""
        return self._port

    def url(self, name: str) -> str:
        """Give the URL of a repository, without credentials."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{self.host}:{self._port}/{name}.git"

    def create(self, name: str) -> Repository:
        """Give the repository of that name, an empty one if it is new."""
        return Repository(self.root / f"{name}.git")

    def start(self) -> None:
        """Begin to serve."""
        self._server = _HttpServer(self, self._port)
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the serving; whoever asks then finds nobody."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = None

    def allows(self, header: str | None) -> bool:
        """Tell if an Authorization header is the right one."""
        if not self._user:
            return True
        expected = base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
        return header == f"Basic {expected}"

    def environment(self, handler: http.server.BaseHTTPRequestHandler) -> dict[str, str]:
        """Give what http-backend wants to know (RFC 3875)."""
        path, _, query = handler.path.partition("?")
        headers = handler.headers
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            **_ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": handler.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
            "REMOTE_USER": self._user or "anonymous",
            "REMOTE_ADDR": handler.client_address[0],
        }
        if self._protocol_v2 and "Git-Protocol" in headers:
            environment["GIT_PROTOCOL"] = headers["Git-Protocol"]
        return environment


class _HttpServer(http.server.ThreadingHTTPServer):
    def __init__(self, owner: GitServer, port: int) -> None:
        super().__init__((owner.host, port), _Handler)
        self.owner = owner

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up: some tests are about just that."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _HttpServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: what was asked for stands in ``requests``."""

    def _serve(self) -> None:
        owner = self.server.owner
        owner.requests.append(f"{self.command} {self.path}")
        body = self._body()
        if not owner.allows(self.headers.get("Authorization")):
            self._answer(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
            return
        result = subprocess.run(
            ["git", "http-backend"],
            env=owner.environment(self),
            input=body,
            capture_output=True,
            check=False,
        )
        head, _, content = result.stdout.partition(b"\r\n\r\n")
        pairs = [line.partition(": ")[::2] for line in head.decode().splitlines()]
        status = next((int(value.split()[0]) for name, value in pairs if name == "Status"), 200)
        self._answer(status, [pair for pair in pairs if pair[0] != "Status"], content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

"""A small webhook that stands for several replicas, and refuses probes as they do."""

import contextlib
import datetime as dt
import http.server
import itertools
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controlplane import pki

from guard.api import probes


class Replicas:
    """Who answers, in turn; one in ``passing`` lets everything through."""

    def __init__(self, url: str, ca_pem: bytes, names: list[str]) -> None:
        self.url = url
        self.ca_pem = ca_pem
        self.passing: set[str] = set()
        self._turns = itertools.cycle(names)
        self._lock = threading.Lock()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one review; called from the server's threads."""
        with self._lock:
            replica = next(self._turns)
        labels = ((request.get("object") or {}).get("metadata") or {}).get("labels") or {}
        nonce = labels.get(probes.LABEL)
        if nonce is None or not request.get("dryRun") or replica in self.passing:
            return {"uid": request["uid"], "allowed": True}
        status = {"code": 403, "reason": "Forbidden", "message": probes.denial(nonce, replica)}
        return {"uid": request["uid"], "allowed": False, "status": status}


@contextlib.contextmanager
def running(folder: Path, names: list[str]) -> Iterator[Replicas]:
    """Serve on a free port of 127.0.0.1 over TLS, with an authority made in ``folder``."""
    now = dt.datetime.now(dt.UTC)
    authority = pki.Authority.create(folder, now=now)
    leaf = authority.serving("replicas", ["127.0.0.1"], now=now)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(leaf.certificate, leaf.key)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        # HTTP/1.0: one connection a review, as the real webhook asks for after a probe.
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        url = f"https://127.0.0.1:{server.server_port}/validate"
        server.replicas = Replicas(url, authority.pair.certificate.read_bytes(), names)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.replicas
        finally:
            server.shutdown()
            thread.join()


class _Server(http.server.ThreadingHTTPServer):
    """A server that knows for whom it answers."""

    replicas: Replicas


class _Handler(http.server.BaseHTTPRequestHandler):
    """Read a review, write its answer."""

    server: _Server

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        response = self.server.replicas.answer(review["request"])
        answer = {key: review[key] for key in ("apiVersion", "kind")} | {"response": response}
        content = json.dumps(answer).encode()
        self.send_response(http.HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing: pytest shows what a failing test needs."""

"""A tiny admission webhook that allows everything and remembers what it was asked."""

import contextlib
import datetime as dt
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controlplane import pki


class Receiver:
    """The reviews that arrived: the ``request`` of each, in order."""

    def __init__(self, url: str, ca_pem: bytes) -> None:
        self.url = url
        self.ca_pem = ca_pem
        self._requests: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def remember(self, request: dict[str, Any]) -> None:
        """Add one; called from the server's threads."""
        with self._lock:
            self._requests.append(request)

    def take(self) -> list[dict[str, Any]]:
        """Give what arrived since the last call, and forget it."""
        with self._lock:
            taken, self._requests = self._requests, []
        return taken


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Receiver]:
    """Serve on a free port of 127.0.0.1 over TLS, with an authority made in ``folder``."""
    now = dt.datetime.now(dt.UTC)
    authority = pki.Authority.create(folder, now=now)
    leaf = authority.serving("receiver", ["127.0.0.1"], now=now)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(leaf.certificate, leaf.key)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        # One connection a review (HTTP/1.0), so that none is left open at the end.
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        url = f"https://127.0.0.1:{server.server_port}/validate"
        server.receiver = Receiver(url, authority.pair.certificate.read_bytes())
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.receiver
        finally:
            server.shutdown()
            thread.join()


class _Server(http.server.ThreadingHTTPServer):
    """A server that knows who remembers."""

    receiver: Receiver


class _Handler(http.server.BaseHTTPRequestHandler):
    """Allow, and remember."""

    server: _Server

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.receiver.remember(review["request"])
        answer = {
            "apiVersion": review["apiVersion"],
            "kind": review["kind"],
            "response": {"uid": review["request"]["uid"], "allowed": True},
        }
        content = json.dumps(answer).encode()
        self.send_response(http.HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing: pytest shows what a failing test needs."""

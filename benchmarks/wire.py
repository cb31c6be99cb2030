"""A plain connection to an API server: the standard library, one request at a time, no comfort."""

import base64
import http.client
import json
import ssl
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


class Connection:
    """One kept-alive HTTPS connection with the credentials of a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        user = config["users"][0]["user"]
        context = ssl.create_default_context(
            cafile=cluster.get("certificate-authority"),
            cadata=_decoded(cluster, "certificate-authority-data"),
        )
        if "token" in user:
            self._headers = {"Authorization": f"Bearer {user['token']}"}
        else:
            self._headers = {}
            _load_client_certificate(context, user)
        server = urllib.parse.urlsplit(cluster["server"])
        self._http = http.client.HTTPSConnection(
            server.hostname or "", server.port, context=context, timeout=600
        )

    def call(
        self, method: str, path: str, body: bytes = b"", *, content_type: str = "application/json"
    ) -> Any:
        """Send one request and give the parsed answer. Raises RuntimeError on an error status."""
        answer = self._send(method, path, body, content_type)
        data = answer.read()
        if answer.status >= 300:
            message = f"{method} {path}: {answer.status} {data[:300]!r}"
            raise RuntimeError(message)
        return json.loads(data)

    def watch(self, path: str) -> Iterator[dict[str, Any]]:
        """Give the events of a watch until the server ends it."""
        answer = self._send("GET", path, b"", "application/json")
        while line := answer.readline():
            yield json.loads(line)

    def _send(
        self, method: str, path: str, body: bytes, content_type: str
    ) -> http.client.HTTPResponse:
        headers = {**self._headers, "Content-Type": content_type}
        self._http.request(method, path, body or None, headers)
        return self._http.getresponse()


def _decoded(section: dict[str, str], key: str) -> str | None:
    return base64.b64decode(section[key]).decode() if key in section else None


def _load_client_certificate(context: ssl.SSLContext, user: dict[str, str]) -> None:
    """Load key and certificate, which may lie in files or stand in the kubeconfig itself."""
    if "client-certificate" in user:
        context.load_cert_chain(user["client-certificate"], user["client-key"])
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
        pem.write(_decoded(user, "client-certificate-data") or "")
        pem.write(_decoded(user, "client-key-data") or "")
        pem.flush()
        context.load_cert_chain(pem.name)

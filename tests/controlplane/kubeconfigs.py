"""Kubeconfig files, self-contained: keys and certificates are inside.

They are written as JSON, which is YAML too and leaves no question of quoting.
"""

import base64
import json
from pathlib import Path

from controlplane import pki


def certificate(certificate_pem: str, key_pem: str) -> dict[str, str]:
    """Give the ``user`` of a kubeconfig that logs in with a client certificate."""
    return {
        "client-certificate-data": _base64(certificate_pem),
        "client-key-data": _base64(key_pem),
    }


def token(bearer: str) -> dict[str, str]:
    """Give the ``user`` of a kubeconfig that logs in with a bearer token."""
    return {"token": bearer}


def write(
    path: Path,
    *,
    user: str,
    server: str,
    ca_pem: str,
    credentials: dict[str, str],
) -> Path:
    """Write a kubeconfig with one context and give its path; only its owner may read it."""
    cluster = {"server": server, "certificate-authority-data": _base64(ca_pem)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "holdfast-test", "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [
            {"name": "holdfast-test", "context": {"cluster": "holdfast-test", "user": user}}
        ],
        "current-context": "holdfast-test",
    }
    pki.write_private(path, json.dumps(content, indent=2).encode())
    return path


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()

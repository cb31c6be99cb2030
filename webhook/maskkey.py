"""The key under which secret values are hashed: one for an installation, made once.

Guard process and webhook must hash alike, since hashes from reports are compared with hashes of
live values; so whoever comes first makes the key, and the other reads it.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final

from guard.cluster import client as clients
from guard.cluster import errors as cluster_errors
from guard.cluster import objects as verbs
from guard.cluster import resources
from webhook import errors

SECRETS: Final = resources.Resource("", "v1", "Secret", "secrets", namespaced=True)

KEY_BYTES: Final = 32

_FIELD: Final = "key"
_MANAGER: Final = "holdfast"


async def ensure(
    client: clients.Client, *, namespace: str, name: str, entropy: Callable[[int], bytes]
) -> bytes:
    """Read the masking key from its Secret, which is created if it is missing.

    ``entropy`` gives that many random bytes. Raises MaskKeyUnreadable for a Secret without a key,
    and ClusterError.
    """
    try:
        return _key(await verbs.get(client, SECRETS, namespace, name), name)
    except cluster_errors.NotFound:
        pass
    fresh = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": {_FIELD: base64.b64encode(entropy(KEY_BYTES)).decode()},
    }
    try:
        return _key(await verbs.create(client, SECRETS, fresh, _MANAGER), name)
    except cluster_errors.Conflict:  # the other process was quicker
        return _key(await verbs.get(client, SECRETS, namespace, name), name)


def _key(secret: dict[str, Any], name: str) -> bytes:
    try:
        key = base64.b64decode((secret.get("data") or {}).get(_FIELD) or "", validate=True)
    except binascii.Error as error:
        message = f"Secret {name} holds no base64 in {_FIELD}"
        raise errors.MaskKeyUnreadable(message) from error
    if len(key) < KEY_BYTES:
        message = f"Secret {name} holds no key of {KEY_BYTES} bytes in {_FIELD}"
        raise errors.MaskKeyUnreadable(message)
    return key

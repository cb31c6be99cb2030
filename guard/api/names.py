"""Names that Holdfast writes into a cluster. They are an upgrade contract (docs/decisions)."""

import hashlib
from typing import Final

GROUP: Final = "holdfast.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

LABEL_GUARD: Final = "holdfast.dev/guard"
"""On guarded objects: the short hash of their Guard. Selectors and watches use it."""

ANNOTATION_ORIGIN: Final = "holdfast.dev/origin"
"""On guarded objects: who guards them, which object it is, from which file."""

LABEL_INVENTORY: Final = "holdfast.dev/inventory"
"""On Inventory shards and DriftReports: the short hash of their Guard."""

ANNOTATION_IDENTITY: Final = "holdfast.dev/guard-identity"
"""On the ValidatingWebhookConfiguration: ``{"username", "uid"}`` of the guard process."""

DEFAULT_NAMESPACE: Final = "holdfast-system"
DEFAULT_INSTALLATION: Final = "holdfast-system/holdfast"

WEBHOOK_OBJECTS: Final = "objects.holdfast.dev"
WEBHOOK_SCALE: Final = "scale.holdfast.dev"

_HASH_HEX_DIGITS: Final = 16  # 64 bits: no collision among a cluster's Guards, short in a label


def guard_hash(installation: str, namespace: str, name: str) -> str:
    """Give the label value of a Guard: 16 hex digits of sha256(installation/namespace/name).

    ``installation`` is ``namespace/release`` of the Helm install.
    """
    text = f"{installation}/{namespace}/{name}"
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_HEX_DIGITS]


def field_manager(guard_hash_: str) -> str:
    """Give the field manager under which a Guard applies: ``holdfast-`` and its hash.

    One manager per Guard: under a shared one, two Guards delete each other's fields in silence.
    """
    return f"holdfast-{guard_hash_}"

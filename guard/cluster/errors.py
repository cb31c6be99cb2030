"""What can go wrong between us and an API server.

The tree is our own, because aiohttp's and kubernetes_asyncio's errors carry request headers (with
the token) and whole response bodies (with the values of a Secret). Ours keep a truncated message::

    ClusterError
    ├── Unreachable            refused, reset, or no such host
    │   ├── Silent             nothing came for as long as we were willing to wait
    │   └── Unintelligible     something answered, but not an API server (a proxy's HTML)
    ├── ApiStatusError         the server answered with an error status
    │   ├── BadRequest         400
    │   ├── Unauthorized       401
    │   ├── Forbidden          403, a denial by an admission webhook included
    │   ├── NotFound           404: the object (or its namespace) is not there
    │   │   └── NotServed      404: the kind itself is not served here
    │   ├── Conflict           409: a lock, another field manager, or a name that is taken
    │   ├── Gone               410: the resourceVersion or continue token is too old
    │   ├── Invalid            422, or a field unknown to the schema or of another type: permanent
    │   ├── TooManyRequests    429
    │   └── ServerFault        5xx: may pass by itself
    ├── UnknownKind            no such kind on this server
    │   └── GroupUnavailable   nobody knows: the server behind its API group does not answer
    ├── ForwardBroken          the connection to a pod's port broke; the API server itself is there
    ├── NamespaceMissing       a namespaced object without a namespace
    └── BadConfiguration       no usable kubeconfig or in-cluster account
"""

import dataclasses
import http
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from guard import errors

_MAX_MESSAGE_CHARS: Final = 1024  # a denial with 25 fields fits; a pasted object does not
_MAX_CAUSE_CHARS: Final = 256
_MAX_CAUSES: Final = 32

_NAME: Final = r"[A-Za-z0-9:@._/-]*"
_NAMES_ONLY: Final = re.compile(
    rf'{_NAME} "{_NAME}" not found'
    rf'|{_NAME}( "{_NAME}")? is forbidden: User "{_NAME}" cannot [a-z]+ resource "{_NAME}"'
    rf' in API group "{_NAME}"( in the namespace "{_NAME}"| at the cluster scope)'
)

_WITHHELD: Final = "the server's text is withheld, since it may quote a Secret"

_PERMANENT_FAULTS: Final = ("field not declared in schema", "failed to create typed patch object")
"""Server-side apply reports an unknown field or a wrong type as HTTP 500: it never passes."""


class ClusterError(errors.HoldfastError):
    """Talking to an API server failed."""


class Unreachable(ClusterError):
    """No usable answer: refused, reset, no such host, silent. May pass by itself."""


class Silent(Unreachable):
    """Nothing came for as long as we were willing to wait: slow, or a connection that is dead."""


class Unintelligible(Unreachable):
    """Something answered, but it does not speak the Kubernetes API: a proxy, a half-dead server."""


class BadConfiguration(ClusterError):
    """There is no usable kubeconfig and no service account of a pod."""


class ForwardBroken(ClusterError):
    """A connection that is forwarded to a pod's port was refused by the pod, or broke."""

    def __init__(self, pod: str, port: int, why: str) -> None:
        super().__init__(f"The connection to port {port} of the pod {pod} broke: {why}.")


class NamespaceMissing(ClusterError):
    """A namespaced object is addressed without a namespace."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name} lives in a namespace, but none is given.")


class UnknownKind(ClusterError):
    """The server serves no such kind (in that version)."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"The API server serves no kind {kind}.")
        self.kind = kind


class GroupUnavailable(UnknownKind):
    """The kind cannot be looked up, because the server behind its API group does not answer."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.args = (f"The API group of {kind} does not answer, so the kind cannot be looked up.",)


@dataclasses.dataclass(frozen=True, slots=True)
class Cause:
    """One entry of ``details.causes`` of a Status. Empty strings where the server says nothing."""

    reason: str
    message: str
    field: str


class ApiStatusError(ClusterError):
    """The API server answered with an error status.

    ``reason`` is the machine-readable one (``Conflict``, ``FieldManagerConflict`` stands in the
    causes). ``message`` and each cause's message are empty where they may quote a Secret.
    """

    def __init__(
        self,
        status: int,
        *,
        reason: str = "",
        message: str = "",
        causes: tuple[Cause, ...] = (),
        retry_after_seconds: float | None = None,
        request: str = "",
    ) -> None:
        title = f"{status} {reason}".strip()
        asked = f" to {request}" if request else ""
        told = f": {message}" if message else "."
        super().__init__(f"The API server answered {title}{asked}{told}")
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after_seconds = retry_after_seconds


class BadRequest(ApiStatusError):
    """400: the server cannot read the request."""


class Unauthorized(ApiStatusError):
    """401: the server does not know who we are."""


class Forbidden(ApiStatusError):
    """403: RBAC or an admission webhook refuses."""


class NotFound(ApiStatusError):
    """404: the object, or the namespace it should be in, is not there."""


class NotServed(NotFound):
    """404: the kind itself is not served, for instance because its definition is gone."""


class Conflict(ApiStatusError):
    """409: a stale lock, a field owned by another manager, or a name that is taken."""


class Gone(ApiStatusError):
    """410: the resourceVersion or continue token is too old. List again."""


class Invalid(ApiStatusError):
    """422, or a field that the schema does not know or types otherwise: the same never passes."""


class TooManyRequests(ApiStatusError):
    """429: the server is busy; see ``retry_after_seconds``."""


class ServerFault(ApiStatusError):
    """5xx: a fault of the server, or of a webhook or extension behind it. May pass by itself."""


_BY_STATUS: Final[dict[int, type[ApiStatusError]]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def from_status(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    sensitive: bool,
    request: str = "",
) -> ApiStatusError:
    """Give the error of an HTTP answer.

    Only a body that is a Kubernetes ``Status`` is quoted: what a proxy writes may be anything.
    ``sensitive`` withholds the server's text and keeps reasons and field names: the server quotes
    whole Secrets when one of their values has the wrong type. ``request`` names method and path.
    """
    return from_raw_status(
        status,
        _parse_status(body),
        sensitive=sensitive,
        request=request,
        retry_after_seconds=seconds(headers.get("Retry-After")),
    )


def from_raw_status(
    status: int,
    raw: Mapping[str, Any],
    *,
    sensitive: bool,
    request: str = "",
    retry_after_seconds: float | None = None,
) -> ApiStatusError:
    """Give the error of a parsed ``Status``, as it also arrives in an ERROR event of a watch."""
    details = raw.get("details")
    details = details if isinstance(details, dict) else {}
    told = str(raw.get("message") or "")
    if retry_after_seconds is None:
        retry_after_seconds = seconds(details.get("retryAfterSeconds"))
    return _class_of(status, details, told)(
        status,
        reason=str(raw.get("reason") or "") or _phrase(status),
        message=_withheld(told) if sensitive else _cut(told, _MAX_MESSAGE_CHARS),
        causes=_causes(details, sensitive=sensitive),
        retry_after_seconds=retry_after_seconds,
        request=request,
    )


def _class_of(status: int, details: Mapping[str, Any], told: str) -> type[ApiStatusError]:
    if status == http.HTTPStatus.NOT_FOUND and not details.get("name"):
        # The server names the missing object; a path that it does not route has no name.
        return NotServed
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        permanent = any(text in told for text in _PERMANENT_FAULTS)
        return Invalid if permanent else ServerFault
    return _BY_STATUS.get(status, ApiStatusError)


def _withheld(told: str) -> str:
    """Withhold a text, unless it is one that holds names only: what RBAC refuses, what is missing.

    The shapes are those of apimachinery's errors.NewForbidden and NewNotFound; an admission
    webhook's denial is a Forbidden too, yet never says `User "..." cannot`.
    """
    if not told or _NAMES_ONLY.fullmatch(told):
        return _cut(told, _MAX_MESSAGE_CHARS)
    return _WITHHELD


def _parse_status(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) and parsed.get("kind") == "Status" else {}


def _causes(details: Mapping[str, Any], *, sensitive: bool) -> tuple[Cause, ...]:
    raw_causes = details.get("causes")
    if not isinstance(raw_causes, list):
        return ()
    return tuple(
        Cause(
            reason=str(raw.get("reason") or ""),
            message="" if sensitive else _cut(str(raw.get("message") or ""), _MAX_CAUSE_CHARS),
            field=_cut(str(raw.get("field") or ""), _MAX_CAUSE_CHARS),
        )
        for raw in raw_causes[:_MAX_CAUSES]
        if isinstance(raw, dict)
    )


def seconds(text: object) -> float | None:
    """Read seconds. A Retry-After that is an HTTP date is not read: API servers send numbers."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"

"""Reading an AdmissionReview and writing its answer (admission.k8s.io/v1).

The envelope is decoded strictly; object and oldObject stay unparsed until somebody asks, since
most reviews are settled by who is calling. Keys that a later API server adds are ignored.
"""

from typing import Any, Final, overload

import msgspec
import orjson

from guard.api import objects
from webhook import errors

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"

_FORBIDDEN: Final = 403
_NULL: Final = msgspec.Raw(b"null")


class GroupVersionKind(msgspec.Struct, frozen=True):
    """``request.kind``."""

    group: str
    version: str
    kind: str


class GroupVersionResource(msgspec.Struct, frozen=True):
    """``request.resource``."""

    group: str
    version: str
    resource: str


class UserInfo(msgspec.Struct, frozen=True):
    """``request.userInfo``. What does not apply to a user is left out by the server."""

    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] | None = None
    extra: dict[str, tuple[str, ...]] | None = None


class Options(msgspec.Struct, frozen=True, rename="camel"):
    """The part of ``request.options`` that is recorded; null for CONNECT."""

    field_manager: str = ""


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """``request``. A collection delete has no name, a cluster-scoped object no namespace."""

    uid: str
    kind: GroupVersionKind
    resource: GroupVersionResource
    operation: str
    user_info: UserInfo
    sub_resource: str = ""
    name: str = ""
    namespace: str = ""
    dry_run: bool | None = None
    options: Options | None = None
    object: msgspec.Raw = _NULL
    old_object: msgspec.Raw = _NULL

    def both(self) -> tuple[objects.RawObject | None, objects.RawObject | None]:
        """Parse the object as it is and as it would be. Raises ReviewError.

        The first is None on CREATE and CONNECT, the second on DELETE. A top-level field whose bytes
        are the same in both is parsed once and is one value in both: most edits touch one field.
        """
        old = _fields(self.old_object, "oldObject")
        new = _fields(self.object, "object")
        if old is None or new is None:
            return _parse(old, "oldObject"), _parse(new, "object")
        before = _parse(old, "oldObject")
        shared = {name: before[name] for name, raw in new.items() if old.get(name) == raw}
        rest = {name: raw for name, raw in new.items() if name not in shared}
        return before, {**shared, **_parse(rest, "object")}


class Review(msgspec.Struct, frozen=True, rename="camel"):
    """The whole body."""

    api_version: str
    kind: str
    request: Request


_Fields = dict[str, msgspec.Raw]

_FIELDS: Final[msgspec.json.Decoder[_Fields | None]] = msgspec.json.Decoder(_Fields | None)
_DECODER: Final = msgspec.json.Decoder(Review)


def decode(body: bytes) -> Request:
    """Read a review's request. Raises ReviewError, whose text quotes nothing of the body."""
    try:
        review = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        # Its text names types and the place, never a value.
        message = f"the body is no {KIND}: {error}"
        raise errors.ReviewError(message) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = "the body is no JSON"
        raise errors.ReviewError(message) from error
    if review.api_version != API_VERSION or review.kind != KIND:
        message = f"the body is no {KIND} of {API_VERSION}"
        raise errors.ReviewError(message)
    if not review.request.uid:
        message = "request.uid is empty"
        raise errors.ReviewError(message)
    return review.request


def answer(
    uid: str,
    *,
    denial: str | None = None,
    warnings: tuple[str, ...] = (),
    annotations: dict[str, str] | None = None,
) -> bytes:
    """Write the answer: allowed unless there is a ``denial``, which kubectl prints whole.

    403 Forbidden with lines in the message is the one form that every kubectl command shows as it
    is. ``annotations`` go to the API server's own audit log, prefixed with the entry's name.
    """
    response: dict[str, Any] = {"uid": uid, "allowed": denial is None}
    if denial is not None:
        response["status"] = {
            "status": "Failure",
            "code": _FORBIDDEN,
            "reason": "Forbidden",
            "message": denial,
        }
    if warnings:
        response["warnings"] = warnings
    if annotations:
        response["auditAnnotations"] = annotations
    return orjson.dumps({"apiVersion": API_VERSION, "kind": KIND, "response": response})


def _fields(raw: msgspec.Raw, name: str) -> _Fields | None:
    """Cut an object into its top-level fields; None for null."""
    try:
        return _FIELDS.decode(raw)
    except msgspec.ValidationError as error:
        message = f"request.{name} is no object"
        raise errors.ReviewError(message) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"request.{name} is no JSON"
        raise errors.ReviewError(message) from error


@overload
def _parse(fields: None, name: str) -> None: ...
@overload
def _parse(fields: _Fields, name: str) -> objects.RawObject: ...
def _parse(fields: _Fields | None, name: str) -> objects.RawObject | None:
    if fields is None:
        return None
    try:
        parsed = {field: orjson.loads(memoryview(raw)) for field, raw in fields.items()}
    except orjson.JSONDecodeError as error:
        message = f"request.{name} is no JSON"
        raise errors.ReviewError(message) from error
    if not isinstance(parsed.get("metadata", {}), dict | None):
        message = f"request.{name}.metadata is no object"
        raise errors.ReviewError(message)
    return parsed

"""An error answer becomes one error of ours, with a sentence and without secrets."""

import orjson
import pytest

from guard.cluster import errors


def status(**fields: object) -> bytes:
    """Give the body of a Kubernetes Status."""
    return orjson.dumps({"kind": "Status", **fields})


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (400, status(reason="BadRequest"), errors.BadRequest),
        (401, status(reason="Unauthorized"), errors.Unauthorized),
        (403, status(reason="Forbidden"), errors.Forbidden),
        (404, status(reason="NotFound", details={"name": "web"}), errors.NotFound),
        (404, status(reason="NotFound", details={}), errors.NotServed),
        (404, b"404 page not found\n", errors.NotServed),
        (405, status(reason="MethodNotAllowed"), errors.ApiStatusError),
        (409, status(reason="Conflict"), errors.Conflict),
        (410, status(reason="Expired"), errors.Gone),
        (422, status(reason="Invalid"), errors.Invalid),
        (429, status(reason="TooManyRequests"), errors.TooManyRequests),
        (500, status(reason="InternalError"), errors.ServerFault),
        (500, status(message=".foo: field not declared in schema"), errors.Invalid),
        (500, status(message="failed to create typed patch object (a/b): x"), errors.Invalid),
        (503, b"no healthy upstream", errors.ServerFault),
        (504, b"", errors.ServerFault),
    ],
)
def test_each_status_has_its_class(
    code: int, body: bytes, expected: type[errors.ApiStatusError]
) -> None:
    """The class follows from the status, and from what cannot pass by itself."""
    error = errors.from_status(code, {}, body, sensitive=False)

    assert type(error) is expected
    assert error.status == code


def test_the_sentence_names_request_and_message() -> None:
    """A person reads what was asked and what the server said."""
    body = status(reason="Forbidden", message='configmaps "x" is forbidden')
    error = errors.from_status(403, {}, body, sensitive=False, request="GET /api/v1/x")

    assert str(error) == (
        'The API server answered 403 Forbidden to GET /api/v1/x: configmaps "x" is forbidden'
    )


def test_what_is_no_status_is_never_quoted() -> None:
    """A proxy may answer anything, even the request that it got."""
    error = errors.from_status(502, {}, b"you sent: Bearer s3cret", sensitive=False)

    assert str(error) == "The API server answered 502 Bad Gateway."


@pytest.mark.parametrize("code", [400, 403, 409, 422, 500])
def test_texts_about_secrets_are_withheld(code: int) -> None:
    """The server quotes values of a Secret whose types are wrong (argo-cd#16193)."""
    body = status(
        reason="Invalid",
        message="stringData.a: MARKER",
        details={
            "name": "db",
            "causes": [{"reason": "FieldValueInvalid", "message": "MARKER", "field": "data.a"}],
        },
    )
    error = errors.from_status(code, {}, body, sensitive=True)

    assert "MARKER" not in f"{error!s} {error!r} {error.message} {error.causes}"
    assert error.reason == "Invalid"
    assert error.causes == (errors.Cause("FieldValueInvalid", "", "data.a"),)


WHAT = 'resource "secrets" in API group ""'


@pytest.mark.parametrize(
    "text",
    [
        'secrets "db" not found',
        f'secrets "db" is forbidden: User "a:b" cannot patch {WHAT} in the namespace "shop"',
        f'secrets is forbidden: User "alice" cannot list {WHAT} at the cluster scope',
    ],
)
def test_texts_about_secrets_that_hold_names_only_are_kept(text: str) -> None:
    """Whoever has to grant a right needs to know which."""
    assert errors.from_status(403, {}, status(message=text), sensitive=True).message == text


def test_a_webhook_cannot_pass_a_value_as_a_name() -> None:
    """A denial that looks like RBAC's but says more is withheld."""
    text = 'secrets "db" is forbidden: User "alice" cannot patch resource "MARKER value"'
    error = errors.from_status(403, {}, status(message=text), sensitive=True)

    assert "MARKER" not in str(error)


def test_an_unknown_field_of_a_secret_stays_permanent() -> None:
    """Withholding the text must not turn a mistake in a manifest into a fault to retry."""
    body = status(message=".foo: field not declared in schema")

    assert type(errors.from_status(500, {}, body, sensitive=True)) is errors.Invalid


def test_long_texts_are_cut() -> None:
    """A message that pastes an object does not fill logs and conditions."""
    causes = [{"reason": "r", "message": "m" * 9999, "field": "f" * 9999}] * 99
    body = status(message="x" * 9999, details={"causes": causes})
    error = errors.from_status(422, {}, body, sensitive=False)

    assert len(error.message) == 1024
    assert error.message.endswith("…")
    assert len(error.causes) == 32
    assert len(error.causes[0].message) == len(error.causes[0].field) == 256


@pytest.mark.parametrize(
    ("header", "details", "expected"),
    [
        ("7", {}, 7.0),
        (None, {"retryAfterSeconds": 3}, 3.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", {}, None),
        ("nan", {}, None),
        ("-1", {}, None),
        (None, {}, None),
    ],
)
def test_the_wait_that_the_server_asks_for_is_read(
    header: str | None, details: dict[str, int], expected: float | None
) -> None:
    """From the header, else from the details; what is no sane number is none."""
    headers = {"Retry-After": header} if header else {}
    error = errors.from_status(429, headers, status(details=details), sensitive=False)

    assert error.retry_after_seconds == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        status(details=[]),
        status(details={"causes": {}}),
        status(details={"causes": [1, None]}),
        status(message=None, reason=None),
        b'{"kind":"Status","message":{"a":1}}',
    ],
)
def test_a_malformed_status_is_an_error_like_others(body: bytes) -> None:
    """Nothing that a server sends makes the reading itself fail."""
    assert isinstance(errors.from_status(409, {}, body, sensitive=False), errors.Conflict)

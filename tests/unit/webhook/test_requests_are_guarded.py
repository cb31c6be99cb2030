"""Over HTTP: each bad request gets its own status and one sentence; the handler never raises."""

import contextlib
import io
import json
import socket
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import test_utils
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import certificates, gates, reviews

from certs import reloading
from webhook import errors, review, server

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def desk() -> gates.Desk:
    """Give a gate that knows one Guard."""
    caches = gates.filled()
    caches.put_guard(gates.guard_object(reviews.GUARD_NAMESPACE, reviews.GUARD_NAME))
    return gates.Desk(caches)


@pytest.fixture
async def http(desk: gates.Desk) -> AsyncIterator[test_utils.TestClient]:
    """Give a client of the served application."""
    app = server.make_app(desk.gate, metrics_=desk.counters, missing=lambda: desk.caches.missing)
    async with test_utils.TestClient(test_utils.TestServer(app)) as client:
        yield client


async def test_a_review_is_answered(http: test_utils.TestClient) -> None:
    """The uid is echoed, the answer is JSON."""
    body = reviews.body("edit-deployment")

    async with http.post("/validate?timeout=3s", data=body, headers=JSON) as response:
        answer = await response.json()

    assert response.status == 200
    assert answer["response"]["uid"] == json.loads(body)["request"]["uid"]
    assert answer["response"]["allowed"] is False


BAD = {
    "nothing": (b"", 400, "the body is no JSON"),
    "no JSON": (b"{", 400, "the body is no JSON"),
    "no review": (b"[]", 400, "the body is no AdmissionReview"),
    "no request": (
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}',
        400,
        "the body is no AdmissionReview: Object missing required field `request`",
    ),
    "an older review": (
        reviews.body("edit").replace(b"admission.k8s.io/v1", b"admission.k8s.io/v1beta1"),
        400,
        "the body is no AdmissionReview of admission.k8s.io/v1",
    ),
    "no uid": (
        json.dumps(
            {**(e := reviews.load("edit")), "request": {**e["request"], "uid": ""}}
        ).encode(),
        400,
        "request.uid is empty",
    ),
    "an object that is none": (
        json.dumps({**e, "request": {**e["request"], "oldObject": [1]}}).encode(),
        400,
        "request.oldObject is no object",
    ),
    "metadata that is none": (
        json.dumps({**e, "request": {**e["request"], "object": {"metadata": 1}}}).encode(),
        400,
        "request.object.metadata is no object",
    ),
    "too deep": (b"[" * 100_000, 400, "the body is no"),
    "too large": (b" " * (server.MAX_BODY_BYTES + 1), 413, "the body is larger than 7 MiB"),
}


@pytest.mark.parametrize(("body", "status", "sentence"), BAD.values(), ids=BAD)
async def test_a_bad_body_gets_a_sentence(
    http: test_utils.TestClient, body: bytes, status: int, sentence: str
) -> None:
    """And nothing of the body is quoted."""
    async with http.post("/validate", data=io.BytesIO(body), headers=JSON) as response:
        text = await response.text()

    assert response.status == status
    assert text.startswith(sentence)
    assert text.count("\n") == 1


async def test_a_body_without_length_is_limited_too(http: test_utils.TestClient) -> None:
    """A chunked body is cut off when it has become too large."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield b" " * 1024 * 1024

    async with http.post("/validate", data=chunks(), headers=JSON) as response:
        assert response.status == 413


async def test_a_large_review_is_no_problem(http: test_utils.TestClient) -> None:
    """Two objects of 3 MB each fit."""
    large = reviews.load("edit")
    for side in ("object", "oldObject"):
        large["request"][side]["data"]["c"] = "x" * 3_000_000

    body = io.BytesIO(json.dumps(large).encode())

    async with http.post("/validate", data=body, headers=JSON) as response:
        assert response.status == 200


async def test_another_content_type_is_refused(http: test_utils.TestClient) -> None:
    """Only JSON is spoken here."""
    headers = {"Content-Type": "text/plain"}

    async with http.post("/validate", data=reviews.body("edit"), headers=headers) as response:
        assert response.status == 415


async def test_another_method_is_refused(http: test_utils.TestClient) -> None:
    """A browser gets no answer."""
    async with http.get("/validate") as response:
        assert response.status == 405


async def test_refused_requests_are_counted(http: test_utils.TestClient, desk: gates.Desk) -> None:
    """By status."""
    async with http.post("/validate", data=b"{", headers=JSON):
        pass

    assert (
        b'holdfast_webhook_refused_requests_total{status="400"} 1.0' in desk.counters.exposition()
    )


async def test_readiness_says_what_is_missing() -> None:
    """Alive is not ready."""
    desk = gates.Desk(gates.filled(missing=("guards",)))
    app = server.make_plain_app(metrics_=desk.counters, missing=lambda: desk.caches.missing)

    async with test_utils.TestClient(test_utils.TestServer(app)) as http:
        async with http.get("/readyz") as response:
            assert (response.status, await response.text()) == (503, "missing: guards\n")
        desk.caches.filled("guards")
        async with http.get("/readyz") as response:
            assert (response.status, await response.text()) == (200, "ok\n")
        async with http.get("/healthz") as response:
            assert response.status == 200


async def test_metrics_are_served(http: test_utils.TestClient) -> None:
    """In the text that Prometheus reads."""
    async with http.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain")
        assert "holdfast_webhook_reviews" in await response.text()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
PARTS = ("object", "oldObject", "userInfo", "operation", "name", "options", "kind", "dryRun")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(part=st.sampled_from(PARTS), value=JSON_VALUES, name=st.sampled_from(reviews.NAMES))
def test_any_part_may_be_nonsense(desk: gates.Desk, part: str, value: object, name: str) -> None:
    """A well-formed answer or a ReviewError: nothing else, whatever stands there."""
    broken = reviews.load(name)
    broken["request"][part] = value

    with contextlib.suppress(errors.ReviewError):
        desk.ask(broken)


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_a_review_or_none(body: bytes) -> None:
    """Decoding raises ReviewError and nothing else."""
    with pytest.raises(errors.ReviewError):
        review.decode(body)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_inner_nonsense_is_no_fault(desk: gates.Desk, data: st.DataObject) -> None:
    """Objects are as their schema allows, and custom resources allow nearly anything."""
    broken = reviews.load("edit")
    for side in ("object", "oldObject"):
        metadata = broken["request"][side]["metadata"]
        field = data.draw(st.sampled_from(("labels", "annotations", "managedFields", "data")))
        target = broken["request"][side] if field == "data" else metadata
        target[field] = data.draw(JSON_VALUES)

    with contextlib.suppress(errors.ReviewError):
        desk.ask(broken)


async def test_it_is_served_over_tls_and_drained(desk: gates.Desk) -> None:
    """With the certificate that was given; afterwards nobody listens."""
    certificate, key = certificates.self_signed()
    app = server.make_app(desk.gate, metrics_=desk.counters, missing=tuple)
    trust = ssl.create_default_context(cadata=certificate.decode())

    async with (
        server.serving(
            app, host="127.0.0.1", port=0, tls=reloading.make_context(certificate, key)
        ) as port,
        aiohttp.ClientSession() as session,
    ):
        url = f"https://127.0.0.1:{port}/validate"
        async with session.post(url, data=reviews.body("edit"), headers=JSON, ssl=trust) as answer:
            assert answer.status == 200

    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0

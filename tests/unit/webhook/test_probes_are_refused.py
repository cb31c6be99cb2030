"""A probe is refused by whoever judges, in words that name the replica, and leaves no record."""

import json

import pytest
from support import gates

from guard.api import probes


def probe(**request):
    """Give the review of a probe: a dry run that adds the label."""
    old = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "probe", "namespace": "holdfast-system", "uid": "u"},
    }
    new = {**old, "metadata": {**old["metadata"], "labels": {probes.LABEL: "0f1e"}}}
    review = gates.review_of(old, new, resource="configmaps")
    review["request"] |= {"dryRun": True, **request}
    return json.dumps(review).encode()


@pytest.fixture
def desk():
    """Give a gate with filled caches."""
    return gates.Desk(gates.filled())


def test_a_probe_is_refused_and_ends_the_connection(desk):
    answer = desk.gate.answer(probe())

    status = json.loads(answer.body)["response"]["status"]
    assert probes.read(status["message"]) == probes.Refusal("0f1e", "webhook-0")
    assert answer.ends
    assert desk.records == []


@pytest.mark.parametrize("request_", [{"dryRun": False}, {"operation": "CREATE"}])
def test_what_could_be_stored_is_no_probe(desk, request_):
    answer = desk.gate.answer(probe(**request_))

    assert json.loads(answer.body)["response"]["allowed"] is True
    assert not answer.ends


def test_labels_of_an_odd_shape_are_no_probe(desk):
    body = probe().replace(b'"labels": {"holdfast.dev/probe": "0f1e"}', b'"labels": ["x"]')

    assert not desk.gate.answer(body).ends

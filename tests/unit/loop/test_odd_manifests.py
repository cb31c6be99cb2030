"""Whatever a file holds, it becomes objects or faults with a place; nothing else is raised."""

import json

import hypothesis
import hypothesis.strategies as st
import orjson
import pytest

from guard import errors
from guard.loop import plan
from guard.render import manifests
from guard.sources import source

REVISION = source.Revision("0" * 40, "main")

ODD = [
    "metadata: {name: a, labels: []}",
    'metadata: {name: a, labels: "x"}',
    "metadata: {name: a, labels: {x: 1}}",
    "metadata: {name: a, annotations: 5}",
    "metadata: {name: a, annotations: []}",
    "metadata: {name: a, annotations: null, labels: null}",
    "metadata: {name: a, finalizers: x, ownerReferences: x}",
    "metadata: {name: a, managedFields: x}",
    "metadata: {name: a}\ndata: []",
    "metadata: {name: a}\ndata: {x: .nan}",
    "metadata: {name: a}\ndata: {x: 1e400}",
    "metadata: {name: a}\ndata: {x: 123456789012345678901234567890}",
    "metadata: {name: a}\ndata: {x: -9223372036854775809}",
    'metadata: {name: a}\ndata: {x: "\\ud800"}',
    'metadata: {name: "\\ud800"}',
    'metadata: {name: a, labels: {"\\udfff": x}}',
    "metadata: {name: a}\nbinaryData: x",
    "metadata: {name: a}\nspec: {template: [1], jobTemplate: {metadata: 1}}",
    'metadata: {name: "../../x"}',
    'metadata: {name: a, namespace: "../b"}',
    "metadata: {name: a}\nstatus: 1",
]


def desire_all(text, resource, owner, *, file="odd.yaml"):
    """Render a file and make desired objects of it; give faults and objects."""
    rendering = manifests.render(source.Tree(REVISION, {file: text.encode()}))
    faults = list(rendering.faults)
    desired = []
    for one in rendering.manifests:
        try:
            desired.append(plan.desire(one, resource, owner=owner, target_namespace=None))
        except errors.HoldfastError as error:
            faults.append(error)
    return faults, desired


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret", "ClusterRole", "Deployment"])
@pytest.mark.parametrize("text", ODD)
def test_an_odd_manifest_is_an_object_or_a_fault(text, kind, config_maps, owner):
    faults, desired = desire_all(f"apiVersion: v1\nkind: {kind}\n{text}\n", config_maps, owner)

    assert len(faults) + len(desired) == 1
    for fault in faults:
        assert "odd.yaml:" in str(fault)
    for one in desired:
        orjson.loads(one.sent)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
METADATA = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b"])},
    optional={
        "labels": VALUES,
        "annotations": VALUES,
        "namespace": VALUES,
        "finalizers": VALUES,
        "ownerReferences": VALUES,
    },
)


@hypothesis.given(
    metadata=METADATA,
    rest=st.dictionaries(
        st.sampled_from(["data", "stringData", "spec", "rules", "aggregationRule", "webhooks"]),
        VALUES,
    ),
    kind=st.sampled_from(["ConfigMap", "Secret", "ClusterRole", "Namespace"]),
)
@hypothesis.settings(
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture], deadline=None
)
def test_any_manifest_is_an_object_or_a_fault(metadata, rest, kind, config_maps, owner):
    obj = {"apiVersion": "v1", "kind": kind, "metadata": metadata, **rest}

    faults, desired = desire_all(json.dumps(obj), config_maps, owner, file="odd.json")

    assert len(faults) + len(desired) == 1

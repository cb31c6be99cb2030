"""Digests are kept in clusters: the same object gives the same one in every later version."""

from guard.fields import digests
from guard.fields.fieldset import FieldSet

DECLARED = FieldSet.from_v1(
    {
        "f:metadata": {"f:labels": {"f:app": {}}, "f:finalizers": {'v:"a"': {}, 'v:"b"': {}}},
        "f:spec": {
            "f:replicas": {},
            "f:ratio": {},
            "f:strategy": {"p:": {}},
            "f:ingress": {"a:": {}},
            "f:env": {'k:{"name":"A"}': {".": {}, "f:value": {}}, 'k:{"name":"B"}': {".": {}}},
        },
    }
)
OBJ = {
    "metadata": {"labels": {"app": "größe"}, "finalizers": ["b", "a"]},
    "spec": {
        "replicas": 3.0,
        "ratio": 0.25,
        "strategy": {"type": "Recreate"},
        "ingress": [],
        "env": [{"name": "B", "value": "not declared"}, {"name": "A", "value": "1"}],
        "other": 1,
    },
}


def test_the_digest_of_an_object_is_what_it_always_was() -> None:
    """If this fails, every guarded object looks drifted after an upgrade."""
    assert digests.digest(OBJ, DECLARED) == (
        "f6ab86dee22d6b844ac5fb881dbe67b4ff127c3f337f32f5ebb5d831570a94cb"
    )


def test_content_too_deep_to_compare_has_a_digest_that_no_source_has() -> None:
    """It is then drift, and not a crash."""
    deep: list[object] = []
    for _ in range(5_000):
        deep = [deep]
    declared = FieldSet.from_v1({"f:a": {}})

    assert digests.digest({"a": deep}, declared) != digests.digest({"a": []}, declared)

"""From manifests to what is applied: namespaces, marks, and who may touch what."""

import orjson
import pytest

from guard.api import keys
from guard.inventory import mark
from guard.loop import errors, plan
from guard.render import manifests


def test_a_manifest_without_a_namespace_goes_to_the_target(manifest, config_maps, owner):
    desired = plan.desire(manifest("conf"), config_maps, owner=owner, target_namespace="prod")

    assert desired.key == keys.ObjectKey("", "ConfigMap", "prod", "conf")
    assert orjson.loads(desired.sent)["metadata"]["namespace"] == "prod"


def test_without_a_target_it_goes_to_the_guards_own_namespace(manifest, config_maps, owner):
    desired = plan.desire(manifest("conf"), config_maps, owner=owner, target_namespace=None)

    assert desired.key.namespace == "shop"


def test_without_a_target_a_manifest_may_name_any_namespace(manifest, config_maps, owner):
    desired = plan.desire(
        manifest("conf", namespace="other"), config_maps, owner=owner, target_namespace=None
    )

    assert desired.key.namespace == "other"


def test_a_guard_with_a_target_touches_no_other_namespace(manifest, config_maps, owner):
    with pytest.raises(errors.Misplaced) as caught:
        plan.desire(
            manifest("conf", namespace="kube-system", file="a.yaml", line=7),
            config_maps,
            owner=owner,
            target_namespace="shop",
        )

    assert str(caught.value) == (
        "ConfigMap kube-system/conf (a.yaml:7): Guard shop/shop-prod may only touch namespace shop "
        "(spec.target.namespace)"
    )


def test_a_cluster_scoped_object_loses_a_namespace_that_it_names(namespaces, owner):
    obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b", "namespace": "x"}}

    desired = plan.desire(
        manifests.Manifest(obj, "ns.yaml", 1), namespaces, owner=owner, target_namespace="shop"
    )

    assert desired.key == keys.ObjectKey("", "Namespace", "", "b")
    assert "namespace" not in orjson.loads(desired.sent)["metadata"]


def test_what_is_sent_carries_a_mark_of_its_own(manifest, config_maps, owner):
    desired = plan.desire(
        manifest("conf", file="apps/conf.yaml"), config_maps, owner=owner, target_namespace=None
    )

    sent = orjson.loads(desired.sent)
    found = mark.read(sent)
    assert found is not None
    assert found.guard_hash == owner.hash
    assert found.origin == mark.Origin(
        "holdfast-system/holdfast", "shop/shop-prod", desired.key, "apps/conf.yaml"
    )
    assert mark.is_own(sent, found)


def test_what_cannot_be_sent_names_the_place_and_no_value(config_maps, owner):
    obj = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db"},
        "stringData": {"port": 8080_1234},
    }

    with pytest.raises(errors.Unsendable) as caught:
        plan.desire(
            manifests.Manifest(obj, "db.yaml", 3), config_maps, owner=owner, target_namespace=None
        )

    assert "Secret shop/db (db.yaml:3)" in str(caught.value)
    assert "80801234" not in str(caught.value)


def test_one_object_named_with_and_without_its_namespace_is_a_duplicate(
    manifest, config_maps, owner
):
    both = [
        plan.desire(one, config_maps, owner=owner, target_namespace=None)
        for one in (
            manifest("conf", file="a.yaml"),
            manifest("conf", namespace="shop", file="b.yaml", line=4),
            manifest("other"),
        )
    ]

    found, twice = plan.unique(both)

    assert [key.name for key in found] == ["other"]
    assert [str(one) for one in twice] == [
        "ConfigMap shop/conf (b.yaml:4): also stands in a.yaml:1"
    ]


def test_equal_manifests_give_equal_bytes_and_digests(manifest, config_maps, owner):
    one, same, other = (
        plan.desire(manifest("conf", **data), config_maps, owner=owner, target_namespace=None)
        for data in ({"a": "1"}, {"a": "1"}, {"a": "2"})
    )

    assert (one.sent, one.sent_digest) == (same.sent, same.sent_digest)
    assert one.sent_digest != other.sent_digest


@pytest.mark.parametrize(
    ("gvk", "first"),
    [
        (keys.GroupVersionKind("", "v1", "Namespace"), True),
        (keys.GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition"), True),
        (keys.GroupVersionKind("", "v1", "ConfigMap"), False),
        (keys.GroupVersionKind("example.org", "v1", "Namespace"), False),
    ],
)
def test_definitions_and_namespaces_go_first(gvk, first):
    assert plan.goes_first(gvk) is first

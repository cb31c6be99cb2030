"""Namespaces, definitions and held objects that go away under the guard, and come back."""

import json

import pytest
from support import polling

pytestmark = pytest.mark.integration

CONF = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {x: '1'}\n"


def crd(group: str) -> str:
    """Write a definition of Coupons."""
    return f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: coupons.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{plural: coupons, singular: coupon, kind: Coupon}}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {{type: object, properties: {{percent: {{type: integer}}}}}}
"""


def coupon(group: str) -> str:
    """Write a Coupon."""
    return f"apiVersion: {group}/v1\nkind: Coupon\nmetadata: {{name: ten}}\nspec: {{percent: 10}}\n"


async def test_a_deleted_definition_comes_back_with_its_objects(bench):
    group = f"{bench.namespace}.example.org"
    await bench.guard()
    revision = bench.source.commit({"crd.yaml": crd(group), "coupon.yaml": coupon(group)})
    await bench.start()
    await bench.synced(revision)
    path = f"{group}/v1:coupons/ten"
    before = await bench.get(path)

    await bench.run("delete", "crd", f"coupons.{group}")

    async def again():
        found = await bench.run(
            "get", f"coupons.{group}", "ten", "--ignore-not-found", "--output=json"
        )
        return found and json.loads(found)["metadata"]["uid"] != before["metadata"]["uid"]

    async def probe():
        try:
            return await again()
        except Exception as error:
            raise AssertionError(str(error)) from error

    await polling.eventually(probe, within_seconds=30, every_seconds=0.5)
    await bench.condition("Drifted", "False")
    await bench.stop()
    await bench.run("delete", "crd", f"coupons.{group}", "--wait=false")


async def test_a_deleted_namespace_comes_back_with_its_content(bench):
    other = f"{bench.namespace}-b"
    await bench.guard()
    files = {"ns.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {other}}}\n"}
    for number in range(20):
        name = f"conf-{number}, namespace: {other}"
        files[f"{number}.yaml"] = CONF.replace("conf", name)
    revision = bench.source.commit(files)
    await bench.start()
    await bench.synced(revision)

    await bench.run("delete", "namespace", other)

    async def content():
        found = await bench.client.request(
            "GET", f"/api/v1/namespaces/{other}/configmaps?labelSelector=holdfast.dev/guard"
        )
        return len(found["items"]) == 20

    await polling.eventually(content, within_seconds=10)
    await bench.condition("Drifted", "False")
    failed = [one for one in bench.records if one.outcome == "failed"]
    assert len(failed) <= 2 * 21, "the same failure again is no news"
    await bench.stop()
    await bench.run("delete", "namespace", other, "--wait=false")


async def test_a_namespace_that_a_person_makes_anew_gets_its_content_back(bench):
    other = f"{bench.namespace}-b"
    await bench.run("create", "namespace", other)
    await bench.guard()
    revision = bench.source.commit(
        {"a.yaml": CONF.replace("name: conf", f"name: conf, namespace: {other}")}
    )
    await bench.start()
    await bench.synced(revision)

    await bench.run("delete", "namespace", other)
    drifted = await bench.condition("Drifted", "True")
    assert "a.yaml:1" in drifted["message"]
    await bench.run("create", "namespace", other)

    await bench.condition("Drifted", "False")
    live = await bench.client.request("GET", f"/api/v1/namespaces/{other}/configmaps/conf")
    assert live["data"] == {"x": "1"}
    await bench.stop()
    await bench.run("delete", "namespace", other, "--wait=false")


async def test_a_held_object_comes_back_once_it_is_really_gone(bench):
    await bench.guard()
    revision = bench.source.commit({"conf.yaml": CONF})
    await bench.start()
    await bench.synced(revision)
    before = await bench.get("configmaps/conf")
    hold = json.dumps({"metadata": {"finalizers": ["example.org/hold"]}})
    await bench.run("patch", "configmap", "conf", "--type=merge", "--patch", hold)

    await bench.run("delete", "configmap", "conf", "--wait=false")
    await bench.run("patch", "configmap", "conf", "--patch", '{"data": {"x": "7"}}')
    held = await bench.get("configmaps/conf")
    assert held["metadata"]["finalizers"] == ["example.org/hold"], "never stripped by us"
    assert bench.records == []
    loose = json.dumps({"metadata": {"finalizers": None}})
    await bench.run("patch", "configmap", "conf", "--type=merge", "--patch", loose)

    await polling.eventually(lambda: bench.records)
    after = await bench.get("configmaps/conf")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["data"] == {"x": "1"}
    assert [record.operation for record in bench.records] == ["DELETE"]

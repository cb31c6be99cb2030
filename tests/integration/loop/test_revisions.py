"""From commit to cluster: order, changes, what leaves the source, and restarts."""

import pytest
from support import polling

from guard.sources import errors as source_errors

pytestmark = pytest.mark.integration


def conf(name: str, **data: str) -> str:
    """Write a ConfigMap manifest."""
    lines = "".join(f'  {key}: "{value}"\n' for key, value in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n{lines}"


async def test_a_new_commit_is_applied_within_its_interval(bench):
    await bench.guard()
    first = bench.source.commit({"a.yaml": conf("a", x="1"), "b.yaml": conf("b", x="1")})
    await bench.start()
    await bench.synced(first)
    untouched = await bench.get("configmaps/b")

    second = bench.source.commit({"a.yaml": conf("a", x="2", z="3"), "b.yaml": conf("b", x="1")})

    status = await bench.synced(second)
    assert (await bench.get("configmaps/a"))["data"] == {"x": "2", "z": "3"}
    assert await bench.get("configmaps/b") == untouched, "what did not change costs no write"
    assert status["observedRevision"] == second.short
    assert (status["objects"], status["synced"], status["drifted"]) == (2, 2, 0)
    assert bench.records == [], "a new revision is no drift"


async def test_a_field_that_leaves_the_source_leaves_the_object(bench):
    await bench.guard()
    first = bench.source.commit({"a.yaml": conf("a", x="1", z="2")})
    await bench.start()
    await bench.synced(first)

    second = bench.source.commit({"a.yaml": conf("a", x="1")})

    await bench.synced(second)
    assert (await bench.get("configmaps/a"))["data"] == {"x": "1"}


async def test_a_definition_and_its_object_come_in_one_commit(bench):
    group = f"{bench.namespace}.example.org"
    crd = f"""
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
    coupon = (
        f"apiVersion: {group}/v1\nkind: Coupon\nmetadata: {{name: ten}}\nspec: {{percent: 10}}\n"
    )
    await bench.guard()
    revision = bench.source.commit({"a-coupon.yaml": coupon, "z-crd.yaml": crd})
    await bench.start()

    await bench.synced(revision)

    path = f"{group}/v1:coupons/ten"
    assert (await bench.get(path))["spec"] == {"percent": 10}
    await bench.run(
        "patch", f"coupons.{group}", "ten", "--type=merge", "--patch", '{"spec": {"percent": 90}}'
    )
    await polling.eventually(lambda: bench.records)
    assert (await bench.get(path))["spec"] == {"percent": 10}
    await bench.run("delete", "crd", f"coupons.{group}", "--wait=false")


async def test_a_namespace_and_its_content_come_in_one_commit(bench):
    other = f"{bench.namespace}-b"
    await bench.guard()
    revision = bench.source.commit(
        {
            "a.yaml": conf("a", x="1").replace("name: a", f"name: a, namespace: {other}"),
            "ns.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {other}}}\n",
        }
    )
    await bench.start()

    await bench.synced(revision)

    live = await bench.client.request("GET", f"/api/v1/namespaces/{other}/configmaps/a")
    assert live["data"] == {"x": "1"}
    await bench.stop()
    await bench.run("delete", "namespace", other, "--wait=false")


async def test_what_leaves_the_source_is_reported_and_not_deleted(bench):
    await bench.guard()
    first = bench.source.commit({"a.yaml": conf("a", x="1"), "b.yaml": conf("b", x="1")})
    await bench.start()
    await bench.synced(first)

    second = bench.source.commit({"a.yaml": conf("a", x="1")})

    status = await bench.synced(second)
    assert status["orphaned"] == 1
    report = await polling.eventually(lambda: _report(bench))
    assert [(one["state"], one["object"]["name"]) for one in report] == [("Orphaned", "b")]
    await bench.run("patch", "configmap", "b", "--patch", '{"data": {"x": "9"}}')
    assert (await bench.get("configmaps/b"))["data"] == {"x": "9"}, "it is no longer kept"

    await bench.run("delete", "configmap", "b")

    await polling.eventually(lambda: _orphaned(bench, 0))


async def _report(bench):
    found = await bench.client.request(
        "GET", f"/apis/holdfast.dev/v1alpha1/namespaces/{bench.namespace}/driftreports"
    )
    return [drift for item in found["items"] for drift in item["spec"]["drifts"]]


async def _orphaned(bench, count):
    return (await bench.status())["orphaned"] == count


async def test_a_restart_finds_what_drifted_meanwhile(bench):
    await bench.guard()
    files = {"a.yaml": conf("a", x="1"), "b.yaml": conf("b", x="1"), "c.yaml": conf("c", x="1")}
    revision = bench.source.commit(files)
    await bench.start()
    await bench.synced(revision)
    before = await bench.get("configmaps/c")
    await bench.stop()

    await bench.run("patch", "configmap", "a", "--patch", '{"data": {"x": "7"}}')
    await bench.run("delete", "configmap", "b")
    await bench.start()

    await polling.eventually(lambda: len(bench.records) == 2)
    assert (await bench.get("configmaps/a"))["data"] == {"x": "1"}
    assert (await bench.get("configmaps/b"))["data"] == {"x": "1"}
    found = {record.object.name: record for record in bench.records}
    assert [(c.path, c.old, c.new) for c in found["a"].changes] == [("data.x", "1", "7")]
    assert found["b"].operation == "DELETE"
    await bench.synced(revision)
    assert await bench.get("configmaps/c") == before, "what is in order costs no write"


async def test_a_restart_needs_no_source_to_guard(bench):
    await bench.guard()
    revision = bench.source.commit({"a.yaml": conf("a", x="1")})
    await bench.start()
    await bench.synced(revision)
    await bench.stop()

    bench.source.fault = source_errors.Unreachable("git.example does not answer")
    await bench.run("patch", "configmap", "a", "--patch", '{"data": {"x": "7"}}')
    await bench.start()

    await polling.eventually(lambda: bench.records)
    assert (await bench.get("configmaps/a"))["data"] == {"x": "1"}
    ready = await bench.condition("Ready", "False")
    assert ready["reason"] == "SourceUnreachable"


async def test_a_commit_that_came_while_away_is_applied_after_a_restart(bench):
    await bench.guard()
    first = bench.source.commit({"a.yaml": conf("a", x="1")})
    await bench.start()
    await bench.synced(first)
    await bench.stop()
    await bench.run("patch", "configmap", "a", "--patch", '{"data": {"x": "7"}}')

    second = bench.source.commit({"a.yaml": conf("a", x="2")})
    await bench.start()

    await bench.synced(second)
    assert (await bench.get("configmaps/a"))["data"] == {"x": "2"}
    assert [[(c.path, c.old, c.new) for c in r.changes] for r in bench.records] == [
        [("data.x", "1", "7")]
    ], "the drift of the time away is recorded against the revision that was applied then"

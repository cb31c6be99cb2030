"""What drifts is put back: changed, removed and missing, for any kind, with a record of it."""

import json

import pytest
from support import polling

from guard.loop import applying

pytestmark = pytest.mark.integration

CONF = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf, labels: {app.kubernetes.io/name: shop}}
data: {level: info, color: blue}
"""
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1.29
        env: [{name: MODE, value: fast}]
        resources: {requests: {cpu: 1000m, memory: 64Mi}}
"""


async def test_a_changed_value_is_put_back_and_recorded(bench):
    revision = bench.source.commit({"conf.yaml": CONF})
    await bench.guard()
    await bench.start()
    await bench.synced(revision)

    await bench.run("patch", "configmap", "conf", "--patch", '{"data": {"level": "debug"}}')

    record = await polling.eventually(lambda: bench.records and bench.records[0])
    live = await bench.get("configmaps/conf")
    assert live["data"] == {"level": "info", "color": "blue"}
    assert (record.verdict, record.outcome) == ("Restored", "committed")
    assert record.object.title == f"ConfigMap {bench.namespace}/conf"
    assert record.file == "conf.yaml"
    assert record.revision == revision.short
    assert record.duration_ms is not None
    assert [(c.path, c.kind, c.old, c.new, c.source) for c in record.changes] == [
        ("data.level", "changed", "info", "debug", "info")
    ]
    assert (record.user, record.field_manager) == ("", "kubectl-patch")
    assert record.reason.startswith("unknown user, manager kubectl-patch at ")


async def test_a_removed_value_and_a_removed_mark_are_put_back(bench):
    revision = bench.source.commit({"conf.yaml": CONF})
    await bench.guard()
    await bench.start()
    await bench.synced(revision)

    await bench.run("patch", "configmap", "conf", "--patch", '{"data": {"level": null}}')
    await polling.eventually(lambda: len(bench.records) == 1)
    await bench.run("label", "configmap", "conf", "holdfast.dev/guard-")

    await polling.eventually(lambda: len(bench.records) == 2)
    live = await bench.get("configmaps/conf")
    assert live["data"] == {"level": "info", "color": "blue"}
    assert "holdfast.dev/guard" in live["metadata"]["labels"]
    kinds = [[(c.path, c.kind) for c in record.changes] for record in bench.records]
    assert kinds == [
        [("data.level", "removed")],
        [('metadata.labels["holdfast.dev/guard"]', "removed")],
    ]


async def test_a_deleted_object_comes_back_with_another_uid(bench):
    revision = bench.source.commit({"conf.yaml": CONF})
    await bench.guard()
    await bench.start()
    await bench.synced(revision)
    before = await bench.get("configmaps/conf")

    await bench.run("delete", "configmap", "conf")

    record = await polling.eventually(lambda: bench.records and bench.records[0])
    after = await bench.get("configmaps/conf")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["data"] == before["data"]
    assert (record.operation, record.outcome) == ("DELETE", "committed")
    assert [(change.path, change.kind) for change in record.changes] == [("", "missing")]


async def test_a_deployment_is_kept_field_by_field(bench):
    revision = bench.source.commit({"apps/web.yaml": WEB})
    await bench.guard()
    await bench.start()
    await bench.synced(revision)

    await bench.run("set", "image", "deployment/web", "web=nginx:1.28")
    await bench.run("scale", "deployment/web", "--replicas=5")
    await bench.run("set", "env", "deployment/web", "MODE=slow")

    await polling.eventually(lambda: len(bench.records) == 3)
    live = await bench.get("apps/v1:deployments/web")
    container = live["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "nginx:1.29"
    assert container["env"] == [{"name": "MODE", "value": "fast"}]
    assert live["spec"]["replicas"] == 3
    assert {change.path for record in bench.records for change in record.changes} == {
        "spec.template.spec.containers[name=web].image",
        "spec.template.spec.containers[name=web].env[name=MODE].value",
        "spec.replicas",
    }


async def test_what_nobody_declared_is_left_alone(bench):
    revision = bench.source.commit({"apps/web.yaml": WEB})
    await bench.guard()
    await bench.start()
    await bench.synced(revision)

    await bench.run("rollout", "restart", "deployment/web")
    await bench.run("annotate", "deployment/web", "example.org/note=seen")
    await bench.run("scale", "deployment/web", "--replicas=4")

    await polling.eventually(lambda: len(bench.records) == 1)
    live = await bench.get("apps/v1:deployments/web")
    annotations = live["spec"]["template"]["metadata"]["annotations"]
    assert "kubectl.kubernetes.io/restartedAt" in annotations
    assert live["metadata"]["annotations"]["example.org/note"] == "seen"
    assert [change.path for change in bench.records[0].changes] == ["spec.replicas"]


async def test_drift_is_only_reported_where_restoring_is_off(bench):
    revision = bench.source.commit({"conf.yaml": CONF})
    await bench.guard(drift={"restore": False})
    await bench.start()
    await bench.synced(revision)

    await bench.run("patch", "configmap", "conf", "--patch", '{"data": {"level": "debug"}}')

    drifted = await bench.condition("Drifted", "True")
    assert f"ConfigMap {bench.namespace}/conf" in drifted["message"]
    assert (await bench.get("configmaps/conf"))["data"]["level"] == "debug"
    report = await bench.get("holdfast.dev/v1alpha1:driftreports/shop")
    assert [
        (field["path"], json.loads(field["expected"]), json.loads(field["live"]))
        for field in report["spec"]["drifts"][0]["fields"]
    ] == [("data.level", "info", "debug")]
    assert [record.verdict for record in bench.records] == ["Reported"]

    await bench.guard(drift={"restore": True})

    await bench.condition("Drifted", "False")
    assert (await bench.get("configmaps/conf"))["data"]["level"] == "info"
    cleared = await bench.get("holdfast.dev/v1alpha1:driftreports/shop")
    assert cleared["spec"]["drifts"] == []


async def test_secret_values_reach_no_record_and_no_report(bench):
    marker = "c2VjcmV0LW1hcmtlcg=="
    secret = f"""
apiVersion: v1
kind: Secret
metadata: {{name: db}}
data: {{password: {marker}}}
"""
    revision = bench.source.commit({"db.yaml": secret})
    await bench.guard(drift={"restore": False})
    await bench.start()
    await bench.synced(revision)

    await bench.run(
        "patch", "secret", "db", "--patch", '{"data": {"password": "b3RoZXItbWFya2Vy"}}'
    )

    await bench.condition("Drifted", "True")
    report = await bench.get("holdfast.dev/v1alpha1:driftreports/shop")
    told = json.dumps(report) + repr(bench.records) + json.dumps(await bench.status())
    assert "data.password" in told
    assert "hash:" in told
    for word in (marker, "b3RoZXItbWFya2Vy", "secret-marker", "other-marker"):
        assert word not in told


async def test_a_writer_that_never_rests_is_answered_one_restore_at_a_time(bench, monkeypatch):
    revision = bench.source.commit({"conf.yaml": CONF})
    await bench.guard()
    await bench.start()
    await bench.synced(revision)
    under_way = 0
    most = 0
    apply = applying.Applier.apply

    async def counted(*args, **kwargs):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await apply(*args, **kwargs)
        finally:
            under_way -= 1

    monkeypatch.setattr(applying.Applier, "apply", counted)
    for number in range(100):
        await bench.client.request(
            "PATCH",
            f"/api/v1/namespaces/{bench.namespace}/configmaps/conf",
            body={"data": {"level": f"mine {number}"}},
            content_type="application/merge-patch+json",
        )

    async def settled():
        live = await bench.get("configmaps/conf")
        return under_way == 0 and live["data"] == {"level": "info", "color": "blue"}

    await polling.eventually(settled)
    assert most == 1
    assert 1 <= len(bench.records) <= 100, "at most one restore for each bad write"
    assert (await bench.status())["failed"] == 0

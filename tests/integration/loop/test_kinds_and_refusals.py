"""What the API server refuses, or cannot keep, is named; secrets in it are not; others go on."""

import base64
import json

import pytest
from support import polling

pytestmark = pytest.mark.integration

GOOD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\ndata: {x: '1'}\n"
MARKERS = ("mArker-plain", "mArker-env", "mArker-token", "mArker-arg")

REVIEW = """
apiVersion: authentication.k8s.io/v1
kind: TokenReview
metadata: {name: review}
spec: {token: mArker-token}
"""
ACCESS_REVIEW = """
apiVersion: authorization.k8s.io/v1
kind: SubjectAccessReview
metadata: {name: access}
spec: {user: alice, resourceAttributes: {verb: get, resource: pods}}
"""
BINDING = """
apiVersion: v1
kind: Binding
metadata: {name: bound}
target: {kind: Node, name: n1}
"""


def spellings():
    """Give each marker as it is and in base64."""
    for marker in MARKERS:
        yield marker
        for padded in (marker, f"{marker}\n", f"x{marker}", f"xx{marker}"):
            yield base64.b64encode(padded.encode()).decode().rstrip("=")[4:-4]


@pytest.mark.parametrize(
    ("text", "kind"),
    [(REVIEW, "TokenReview"), (ACCESS_REVIEW, "SubjectAccessReview"), (BINDING, "Binding")],
)
async def test_a_kind_that_cannot_be_kept_is_refused_by_name(bench, text, kind):
    await bench.guard()
    bench.source.commit({"good.yaml": GOOD, "bad.yaml": text})
    await bench.start()

    ready = await bench.condition("Ready", "False")

    assert ready["reason"] == "Unsupported"
    assert f"{kind} " in ready["message"]
    assert f"(bad.yaml:2): a {kind} cannot be guarded" in ready["message"]
    await bench.condition("Stalled", "True")
    assert (await bench.get("configmaps/good"))["data"] == {"x": "1"}


async def test_no_secret_of_a_refused_apply_is_told(bench, capfd):
    files = {
        "good.yaml": GOOD,
        "type.yaml": """
apiVersion: v1
kind: Secret
metadata: {name: tls}
type: kubernetes.io/tls
stringData: {password: mArker-plain, tls.key: mArker-plain}
""",
        "number.yaml": """
apiVersion: v1
kind: Secret
metadata: {name: number}
stringData: {password: mArker-plain, port: 8080}
""",
        "base64.yaml": """
apiVersion: v1
kind: Secret
metadata: {name: base64}
data: {password: "mArker-plain"}
""",
        "env.yaml": """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx
        args: ["--db-password=mArker-arg"]
        env:
        - {name: DB_PASSWORD, value: {nested: mArker-env}}
        - {name: API_TOKEN, value: mArker-env}
""",
        "selector.yaml": """
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx
        args: ["--db-password=mArker-arg"]
        env: [{name: DB_PASSWORD, value: "mArker-env", bogus: "mArker-env"}]
""",
        "syntax.yaml": """
apiVersion: v1
kind: Secret
metadata: {name: syntax}
stringData:
  password: "mArker-plain
   x: mArker-plain
""",
        "review.yaml": REVIEW,
    }
    await bench.guard()
    bench.source.commit(files)
    await bench.start()
    await bench.condition("Ready", "False")

    async def failed():
        return (await bench.status())["failed"] >= 4

    await polling.eventually(failed)
    report = await bench.get("holdfast.dev/v1alpha1:driftreports/shop")

    told = json.dumps([await bench.status(), await bench.get("events"), report]) + repr(
        bench.records
    )
    told += "".join(capfd.readouterr())
    assert "env.yaml:2" in told
    assert "selector.yaml:2" in told
    for word in spellings():
        assert word not in told, word


async def test_a_changed_immutable_field_stops_nobody_else(bench):
    deployment = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1"}]}
"""
    role = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: bound}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: bob}]
"""
    await bench.guard()
    first = bench.source.commit({"web.yaml": deployment, "role.yaml": role, "good.yaml": GOOD})
    await bench.start()
    await bench.synced(first)

    bench.source.commit(
        {
            "web.yaml": deployment.replace("app: web", "app: changed"),
            "role.yaml": role.replace("name: view", "name: edit"),
            "good.yaml": GOOD.replace("'1'", "'2'"),
        }
    )

    ready = await bench.condition("Ready", "False")
    assert ready["reason"] == "ApplyFailed"

    async def both():
        status = await bench.status()
        return (status["failed"], status["synced"]) == (2, 1)

    await polling.eventually(both)
    message = (await bench.condition("Ready", "False"))["message"]
    assert "web.yaml:2" in message
    assert "role.yaml:2" in message
    assert "&" not in message, "no page of Go structs"
    assert (await bench.get("configmaps/good"))["data"] == {"x": "2"}
    await bench.run("scale", "deployment/web", "--replicas=0")
    await bench.run("set", "image", "deployment/web", "web=nginx:9")
    await polling.eventually(lambda: bench.records)
    live = await bench.get("apps/v1:deployments/web")
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1"


async def test_another_api_version_of_an_object_is_the_same_object(bench):
    scaler = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  maxReplicas: 3
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
"""
    await bench.guard()
    first = bench.source.commit({"hpa.yaml": scaler})
    await bench.start()
    await bench.synced(first)
    before = await bench.get("autoscaling/v2:horizontalpodautoscalers/web")

    second = bench.source.commit({"hpa.yaml": scaler.replace("autoscaling/v2", "autoscaling/v1")})

    status = await bench.synced(second)
    assert (status["objects"], status["synced"], status["orphaned"]) == (1, 1, 0)
    after = await bench.get("autoscaling/v2:horizontalpodautoscalers/web")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    patch = '{"spec": {"maxReplicas": 9}}'
    await bench.run("patch", "horizontalpodautoscalers", "web", "--patch", patch)
    await polling.eventually(lambda: bench.records)


async def test_an_env_name_declared_twice_is_named_and_stops_nobody(bench):
    text = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx
        env: [{name: FOO, value: a}, {name: FOO, value: b}]
"""
    await bench.guard()
    bench.source.commit({"web.yaml": text, "good.yaml": GOOD})
    await bench.start()

    ready = await bench.condition("Ready", "False")

    assert f"Deployment {bench.namespace}/web (web.yaml:2): " in ready["message"]
    assert "FOO" in ready["message"]
    assert (await bench.get("configmaps/good"))["data"] == {"x": "1"}


async def test_what_another_webhook_rewrites_is_reported_and_not_applied_for_ever(bench):
    name = f"rewriter-{bench.namespace}"
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": bench.namespace}
                },
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["configmaps"],
                    }
                ],
            },
            "matchConditions": [{"name": "good", "expression": "object.metadata.name == 'good'"}],
            "mutations": [
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {
                        "expression": "[JSONPatch{op: 'replace', path: '/data/x', value: 'mine'}]"
                    },
                }
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }
    await bench.apply(policy)
    await bench.apply(binding)
    try:
        probe_map = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "good", "namespace": bench.namespace},
            "data": {"x": "0"},
        }

        async def at_work():
            await bench.apply(probe_map)
            return (await bench.get("configmaps/good"))["data"] == {"x": "mine"}

        await polling.eventually(at_work)
        await bench.guard()
        bench.source.commit({"good.yaml": GOOD})
        await bench.start()

        drifted = await bench.condition("Drifted", "True")
        assert "another webhook rewrites" in drifted["message"]
        report = await bench.get("holdfast.dev/v1alpha1:driftreports/shop")
        fields = report["spec"]["drifts"][0]["fields"]
        assert [(one["path"], one["expected"], one["live"]) for one in fields] == [
            ("data.x", '"1"', '"mine"')
        ]
        before = await bench.get("configmaps/good")
        await bench.run("annotate", "configmap", "good", "example.org/note=seen")
        await bench.stop()
        await bench.start()

        async def taken_up():
            status = await bench.status()
            return status["drifted"] == 1 and status["observedRevision"]

        await bench.condition("Drifted", "True")
        await polling.eventually(taken_up)
        assert bench.records == []
        after = await bench.get("configmaps/good")
        assert after["data"] == before["data"]
    finally:
        await bench.run("delete", "mutatingadmissionpolicybinding", name, user="admin")
        await bench.run("delete", "mutatingadmissionpolicy", name, user="admin")

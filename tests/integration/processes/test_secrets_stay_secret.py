"""A marker wherever a secret may be; it turns up in nothing that Holdfast says (BR-13)."""

import base64
import json
import re
import urllib.request

import pytest
from support import polling

pytestmark = pytest.mark.integration

MARKER = "hunter2MARKERvalue"
CHANGED = "hunter3MARKERother"

DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gateways.secrecy.example.org"},
    "spec": {
        "group": "secrecy.example.org",
        "names": {"kind": "Gateway", "plural": "gateways", "singular": "gateway"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "apiToken": {"type": "string"},
                                    "sessionTokens": {
                                        "type": "array",
                                        "items": {"type": "string"},
                                        "x-kubernetes-list-type": "set",
                                    },
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}

DATA_SECRET = f"""\
apiVersion: v1
kind: Secret
metadata:
  name: data
  annotations: {{note: {MARKER}-note}}
data: {{key: {base64.b64encode(MARKER.encode()).decode()}}}
"""
STRING_SECRET = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: string}}
stringData: {{key: {MARKER}, number: "1"}}
"""
BROKEN_SECRET = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: broken}}
data: {{key: "{MARKER} is no base64"}}
"""
DEPLOYMENT = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - name: web
          image: nginx:1.29
          args: ["--token={MARKER}"]
          env: [{{name: PASSWORD, value: {MARKER}}}]
"""
GATEWAY = f"""\
apiVersion: secrecy.example.org/v1
kind: Gateway
metadata: {{name: gate}}
spec:
  apiToken: {MARKER}
  sessionTokens: [{MARKER}-session]
"""
CONF = f"""\
apiVersion: v1
kind: ConfigMap
metadata: {{name: conf}}
data:
  db.password: {MARKER}
  url: postgres://app:{MARKER}@db/shop
  app.ini: |
    level = info
    password = {MARKER}
"""
FILES = {
    "apps/data.yaml": DATA_SECRET,
    "apps/string.yaml": STRING_SECRET,
    "apps/web.yaml": DEPLOYMENT,
    "apps/gate.yaml": GATEWAY,
    "apps/conf.yaml": CONF,
}
ENCODED = base64.b64encode(CHANGED.encode()).decode()


def patch(what, body):
    """Make the arguments of a merge patch."""
    return ("patch", *what.split("/"), "--type=merge", f"--patch={json.dumps(body)}")


def applied_by_hand(text):
    """Give the manifest of somebody who runs `kubectl apply` with other values."""
    return text.replace(MARKER, CHANGED).replace(
        base64.b64encode(MARKER.encode()).decode(), ENCODED
    )


CONTAINER = {"name": "web", "env": [{"name": "PASSWORD", "value": CHANGED}]}
EDITS = (
    patch("secret/data", {"data": {"key": ENCODED}}),
    patch("secret/data", {"stringData": {"key": CHANGED}}),
    patch("secret/data", {"data": {"key": None}}),
    patch("secret/data", {"metadata": {"annotations": {"note": CHANGED}}}),
    patch("secret/string", {"stringData": {"key": CHANGED, "more": CHANGED}}),
    ("annotate", "secret/string", f"other={CHANGED}"),
    ("set", "env", "deployment/web", f"PASSWORD={CHANGED}"),
    (
        "patch",
        "deployment/web",
        f"--patch={json.dumps({'spec': {'template': {'spec': {'containers': [CONTAINER]}}}})}",
    ),
    patch("gateway/gate", {"spec": {"apiToken": CHANGED}}),
    patch("gateway/gate", {"spec": {"sessionTokens": [f"{CHANGED}-session"]}}),
    patch("configmap/conf", {"data": {"db.password": CHANGED}}),
    patch("configmap/conf", {"data": {"url": f"postgres://app:{CHANGED}@db/shop"}}),
    patch("configmap/conf", {"data": {"app.ini": f"password = {CHANGED}\n"}}),
    ("scale", "deployment/web", "--replicas=5"),
)
APPLIED = (DATA_SECRET, STRING_SECRET, DEPLOYMENT, GATEWAY, CONF)
DELETED = ("secret/data", "secret/string", "deployment/web", "gateway/gate", "configmap/conf")


def traces():
    """Give every text that would tell a marker: plain, in base64 at any offset, in two halves."""
    for marker in (MARKER, CHANGED):
        yield marker
        yield marker[::-1]
        for offset in range(3):
            encoded = base64.b64encode(b"x" * offset + marker.encode()).decode()
            # The first and the last digits depend on what stands around.
            yield encoded[4 if offset else 0 : -4]
    yield "MARKER"


def found(text):
    """Give what stands around each marker in a text."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    around = (re.search(f".{{0,200}}{re.escape(trace)}.{{0,40}}", text) for trace in traces())
    return sorted({match.group() for match in around if match})


def metrics(port):
    """Read the webhook's metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("mode", ["Deny", "Flag"])
async def test_no_secret_is_told_by_anything(shop, mode):
    """Whatever is edited, by whichever command: answers, logs, records, reports, events."""
    shop.kubectl("apply", "--filename=-", user="admin", stdin=json.dumps(DEFINITION))
    shop.kubectl(
        "wait", "--for=condition=Established", "crd/gateways.secrecy.example.org", user="admin"
    )
    revision = shop.repository.commit(FILES, "first")
    shop.guard(mode)
    await polling.eventually(lambda: shop.applied() == f"main@{revision[:7]}", within_seconds=20)
    told = {}

    for edit in EDITS:
        answer = shop.kubectl(*edit)
        told[f"kubectl {edit}"] = answer.stderr + answer.stdout
        if mode == "Deny":
            passes = edit[0] == "annotate"
            assert (answer.returncode == 0) is passes, (edit, answer.stderr)
        else:
            assert answer.returncode == 0, (edit, answer.stderr)
    for manifest in APPLIED:
        answer = shop.kubectl("apply", "--filename=-", stdin=applied_by_hand(manifest))
        # With a refusal, kubectl itself prints what it has sent, before what the server said.
        told[f"kubectl apply {manifest[:60]}"] = answer.stderr[answer.stderr.find("webhook") :]
    for name in DELETED:
        answer = shop.kubectl("delete", name)
        told[f"kubectl delete {name}"] = answer.stderr + answer.stdout
        assert (answer.returncode == 0) is (mode == "Flag"), answer.stderr
    shop.guard("Audit")
    # A report of what stays: restoring is off for a while; and an apply that the server refuses.
    spec = {"spec": {"drift": {"restore": False}}}
    shop.kubectl("patch", "guard/shop-prod", "--type=merge", f"--patch={json.dumps(spec)}")
    broken = shop.repository.commit({"apps/broken.yaml": BROKEN_SECRET}, "broken")
    observed = ".status.observedRevision"
    await polling.eventually(
        lambda: shop.read("guard/shop-prod", observed) == f"main@{broken[:7]}", within_seconds=20
    )

    async def drifted():
        for edit in EDITS:
            shop.kubectl(*edit)
        return int(shop.read("guard/shop-prod", ".status.drifted") or 0) >= 4

    await polling.eventually(drifted, within_seconds=30)
    report = ("get", "driftreport/shop-prod", "--output=json")
    await polling.eventually(
        lambda: shop.kubectl(*report, user="admin").returncode == 0, within_seconds=20
    )

    told["report"] = shop.kubectl(*report, user="admin").stdout
    told["guard"] = shop.kubectl("get", "guards", "--output=json", user="admin").stdout
    told["events"] = shop.kubectl("get", "events", "--output=json", user="admin").stdout
    told["inventory"] = shop.kubectl("get", "inventories", "--output=json", user="admin").stdout
    for args in (
        ("audit", "--namespace", shop.namespace, "--limit", "0", "-o", "json"),
        ("audit", "--namespace", shop.namespace, "--limit", "0", "-o", "wide"),
        ("diff", "--namespace", shop.namespace),
        ("status", "--namespace", shop.namespace, "-o", "wide"),
        ("explain", "secret/data", "--namespace", shop.namespace, "-o", "json"),
        ("explain", "deployment/web", "--namespace", shop.namespace, "-o", "wide"),
        ("explain", "gateway/gate", "--namespace", shop.namespace, "-o", "wide"),
    ):
        answer = shop.running.holdfast(*args)
        told[f"holdfast {' '.join(args)}"] = answer.stdout + answer.stderr
    told["metrics"] = metrics(shop.running.metrics_port)
    for path in sorted(shop.running.folder.rglob("*")):
        # The mirror is the source itself, with all that it says.
        if path.is_file() and "mirror" not in path.parts:
            told[str(path)] = path.read_bytes()

    hits = {place: lines for place, text in told.items() if (lines := found(text))}
    assert not hits, json.dumps(hits, indent=1)
    # The events and the status of the Guard do tell of the broken Secret, without its value.
    assert "broken" in told["events"] + told["guard"]
    assert len(shop.records()) > len(EDITS)

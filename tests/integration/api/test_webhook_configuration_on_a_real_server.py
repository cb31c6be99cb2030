"""Which requests the API server sends to the webhook: the entries, selectors and conditions."""

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from controlplane import chart as chart_module
from controlplane import plane
from support import polling, review_receiver

from guard.api import names

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("chart")]

Kubectl = Callable[..., Any]
Review = dict[str, Any]

CONFIGURATION = "holdfast-matching-test"
SENTINEL_NAMESPACE = "holdfast-matching-test"
MARK = {names.LABEL_GUARD: "0123456789abcdef"}
GUARD = f"system:serviceaccount:{chart_module.NAMESPACE}:holdfast-guard"
AUTOSCALER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"


@pytest.fixture(scope="module")
def receiver(
    control_plane: plane.ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[review_receiver.Receiver]:
    """Serve a webhook that remembers, and install the chart's entries with it behind them."""
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(review_receiver.running(tmp_path_factory.mktemp("receiver")))
        documents = yaml.safe_load_all(chart_module.render({"webhook": {"url": served.url}}))
        configuration = next(
            document
            for document in documents
            if document and document["kind"] == "ValidatingWebhookConfiguration"
        )
        # Beside whatever other tests have installed.
        configuration["metadata"]["name"] = CONFIGURATION
        for entry in configuration["webhooks"]:
            entry["clientConfig"]["caBundle"] = base64.b64encode(served.ca_pem).decode()
        control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(configuration))
        stack.callback(
            control_plane.kubectl, "delete", "validatingwebhookconfiguration", CONFIGURATION
        )
        control_plane.api.ensure("/api/v1/namespaces", {"metadata": {"name": SENTINEL_NAMESPACE}})
        stack.callback(
            control_plane.kubectl, "delete", "namespace", SENTINEL_NAMESPACE, "--wait=false"
        )
        control_plane.api.ensure(
            f"/api/v1/namespaces/{SENTINEL_NAMESPACE}/configmaps",
            {"metadata": {"name": "sentinel", "labels": MARK}},
        )
        # The API server learns of a new configuration a moment later.
        asyncio.run(polling.eventually(lambda: _ask_sentinel(control_plane, served)))
        yield served


def _ask_sentinel(control_plane: plane.ControlPlane, served: review_receiver.Receiver) -> bool:
    """Make an edit that arrives; tell whether it did, and forget it."""
    control_plane.api.request(
        "PATCH",
        f"/api/v1/namespaces/{SENTINEL_NAMESPACE}/configmaps/sentinel",
        {"data": {}},
        content_type="application/merge-patch+json",
    )
    return bool(served.take())


@pytest.fixture
def arrivals(
    control_plane: plane.ControlPlane, receiver: review_receiver.Receiver, kubectl: Kubectl
) -> Callable[..., list[Review]]:
    """Give a way to run kubectl and to see which reviews that made.

    Admission is over when kubectl returns, so there is nothing to wait for. An edit that always
    arrives follows, lest a dead webhook looks like one that nothing was sent to.
    """

    def run(*args: str, account: Path | None = None, **options: Any) -> list[Review]:
        receiver.take()
        if account is not None:
            options["env"] = {"KUBECONFIG": str(account)}
        kubectl(*args, **options)
        arrived = receiver.take()
        assert _ask_sentinel(control_plane, receiver)
        return arrived

    return run


Arrivals = Callable[..., list[Review]]


def marked(api_version: str, kind: str, name: str, **content: Any) -> dict[str, Any]:
    """Give an object that carries our mark."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "labels": dict(MARK)},
        **content,
    }


def create(kubectl: Kubectl, namespace: str, *objects: dict[str, Any]) -> None:
    """Create objects as admin."""
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    kubectl("create", f"--namespace={namespace}", "-f", "-", stdin=json.dumps(listed))


CONFIG_MAP = marked("v1", "ConfigMap", "conf", data={"level": "info"})

DEPLOYMENT = marked(
    "apps/v1",
    "Deployment",
    "web",
    spec={
        "replicas": 0,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "image": "web:1"}]},
        },
    },
)


@pytest.fixture
def shop(kubectl: Kubectl, namespace: str) -> str:
    """Make a guarded ConfigMap and Deployment in a namespace of their own; give its name."""
    create(kubectl, namespace, CONFIG_MAP, DEPLOYMENT)
    return namespace


@pytest.mark.parametrize(
    ("command", "operation", "subresource"),
    [
        ("label configmap conf team=a", "UPDATE", ""),
        ("label configmap conf holdfast.dev/guard-", "UPDATE", ""),
        ('patch configmap conf -p {"data":null}', "UPDATE", ""),
        ("set image deployment/web app=web:2", "UPDATE", ""),
        ("delete configmap conf", "DELETE", ""),
        ("delete configmap -l holdfast.dev/guard", "DELETE", ""),
        ("scale deployment web --replicas=1", "UPDATE", "scale"),
        (
            'patch deployment web --subresource=status -p {"metadata":{"annotations":{"a":"b"}}}',
            "UPDATE",
            "status",
        ),
    ],
)
def test_what_a_person_does_to_a_guarded_object_arrives(
    arrivals: Arrivals, shop: str, command: str, operation: str, subresource: str
) -> None:
    """Once, with the person's name; also when the edit takes the mark away."""
    (review,) = arrivals(*command.split(), f"--namespace={shop}", user="alice")

    assert review["operation"] == operation
    assert review.get("subResource", "") == subresource
    assert review["userInfo"]["username"] == "alice"


def test_a_delete_of_a_whole_collection_arrives(
    kubectl: Kubectl, arrivals: Arrivals, shop: str
) -> None:
    """One review for each object, without a name in the request: conditions must not need one."""
    create(kubectl, shop, marked("v1", "ConfigMap", "more"))

    reviews = arrivals("delete", "--raw", f"/api/v1/namespaces/{shop}/configmaps", user="alice")

    assert sorted(review["oldObject"]["metadata"]["name"] for review in reviews) == ["conf", "more"]
    assert not any("name" in review for review in reviews)


def test_a_dry_run_arrives_as_such(arrivals: Arrivals, shop: str) -> None:
    """Without sideEffects None the server would refuse it."""
    (review,) = arrivals(
        "label", "configmap", "conf", "team=a", "-n", shop, "--dry-run=server", user="alice"
    )

    assert review["dryRun"] is True


def test_what_is_not_guarded_does_not_arrive(
    kubectl: Kubectl, arrivals: Arrivals, namespace: str
) -> None:
    """The selector keeps the rest of the cluster away from us."""
    kubectl("create", "configmap", "plain", "-n", namespace)

    assert arrivals("label", "configmap", "plain", "a=b", "-n", namespace, user="alice") == []
    assert arrivals("delete", "configmap", "plain", "-n", namespace, user="alice") == []


def test_the_guard_process_itself_does_not_arrive(
    arrivals: Arrivals, shop: str, guard_account: Path
) -> None:
    """Its real token, that is: what it writes is what the source says."""
    where = f"--namespace={shop}"

    assert arrivals("label", "configmap", "conf", "a=b", where, account=guard_account) == []
    assert arrivals("delete", "configmap", "conf", where, account=guard_account) == []


@pytest.mark.parametrize(
    "impersonation",
    [
        [f"--as={GUARD}"],
        [f"--as={GUARD}", "--as-uid=11111111-2222-3333-4444-555555555555"],
        [f"--as={GUARD}", "--as-group=system:serviceaccounts", "--as-group=system:authenticated"],
        ["--as=system:serviceaccount:kube-system:deployment-controller"],
        ["--as=system:serviceaccount:kube-system:generic-garbage-collector"],
        ["--as=system:apiserver"],
    ],
)
def test_a_name_alone_opens_no_door(
    arrivals: Arrivals, shop: str, impersonation: list[str]
) -> None:
    """Whoever only impersonates shows no credential and is judged."""
    masters = (
        []
        if "--as-group=system:serviceaccounts" in impersonation
        else ["--as-group=system:masters"]
    )

    reviews = arrivals(
        "label", "configmap", "conf", "a=b", "-n", shop, *impersonation, *masters, user="admin"
    )

    assert [review["name"] for review in reviews] == ["conf"]


def test_other_service_accounts_arrive(
    arrivals: Arrivals, shop: str, service_account: Callable[..., Path]
) -> None:
    """A pipeline is judged as a person is, scaling included."""
    pipeline = service_account("pipeline")

    edits = arrivals("label", "configmap", "conf", "a=b", "-n", shop, account=pipeline)
    scales = arrivals("scale", "deployment", "web", "--replicas=1", "-n", shop, account=pipeline)

    assert [review["resource"]["resource"] for review in edits] == ["configmaps"]
    assert [review["subResource"] for review in scales] == ["scale"]


def test_tools_in_kube_system_are_not_taken_for_controllers(
    arrivals: Arrivals, shop: str, service_account: Callable[..., Path], kubectl: Kubectl
) -> None:
    """Only the accounts of Kubernetes' own controllers are left out, by their names."""
    tool = service_account("some-tool", namespace="kube-system", role=None)
    kubectl(
        "create",
        "rolebinding",
        "tool",
        "--clusterrole=admin",
        "--serviceaccount=kube-system:some-tool",
        "-n",
        shop,
    )

    reviews = arrivals("label", "configmap", "conf", "a=b", "-n", shop, account=tool)

    assert len(reviews) == 1


def test_status_writes_of_a_controller_do_not_arrive(
    arrivals: Arrivals, shop: str, kubectl: Kubectl, service_account: Callable[..., Path]
) -> None:
    """They are many, and the control plane must not wait for us."""
    controller = service_account("deployment-controller", namespace="kube-system", role=None)
    current = kubectl("get", "deployment", "web", "-n", shop, "-o", "json").stdout
    changed = json.loads(current)
    changed["metadata"].pop("resourceVersion")
    changed["metadata"]["annotations"] = {"a": "b"}

    reviews = arrivals(
        "replace",
        "--subresource=status",
        "-n",
        shop,
        "-f",
        "-",
        stdin=json.dumps(changed),
        account=controller,
    )

    assert reviews == []
    annotations = json.loads(kubectl("get", "deployment", "web", "-n", shop, "-o", "json").stdout)[
        "metadata"
    ]["annotations"]
    assert annotations["a"] == "b"


def test_what_the_api_server_itself_writes_does_not_arrive(
    arrivals: Arrivals, kubectl: Kubectl
) -> None:
    """It writes the status of definitions, for one, and has no credential to show."""
    name = "matchings.test.holdfast.dev"
    schema = {"openAPIV3Schema": {"type": "object"}}
    definition = marked(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        name,
        spec={
            "group": "test.holdfast.dev",
            "scope": "Namespaced",
            "names": {"plural": "matchings", "kind": "Matching"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    )

    created = arrivals("create", "-f", "-", stdin=json.dumps(definition))
    established = arrivals("wait", "--for=condition=Established", f"crd/{name}")
    deleted = arrivals("delete", "crd", name)

    assert created == established == []
    assert [review["operation"] for review in deleted] == ["DELETE"]
    assert kubectl("get", "crd", name, check=False).returncode != 0


def scale_path(namespace: str) -> str:
    """Give the path of the scale subresource of the Deployment."""
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/web/scale"


def test_the_autoscaler_does_not_arrive_but_its_name_does(
    arrivals: Arrivals, shop: str, service_account: Callable[..., Path], kubectl: Kubectl
) -> None:
    """With its token it is itself; impersonated it is a person."""
    autoscaler = service_account("horizontal-pod-autoscaler", namespace="kube-system", role=None)
    scale = json.dumps(
        {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": "web", "namespace": shop},
            "spec": {"replicas": 2},
        }
    )
    replace = ("replace", "--raw", scale_path(shop), "-f", "-")

    real = arrivals(*replace, stdin=scale, account=autoscaler)
    forged = arrivals(*replace, f"--as={AUTOSCALER}", stdin=scale, user="alice")

    assert real == []
    assert [review["userInfo"]["username"] for review in forged] == [AUTOSCALER]
    assert (
        kubectl("get", "deployment", "web", "-n", shop, "-o", "jsonpath={.spec.replicas}").stdout
        == "2"
    )


@pytest.mark.parametrize(
    "machine_made",
    [
        marked("v1", "Endpoints", "web"),
        marked("discovery.k8s.io/v1", "EndpointSlice", "web", addressType="IPv4", endpoints=[]),
        marked("coordination.k8s.io/v1", "Lease", "web"),
        marked(
            "v1",
            "Event",
            "web",
            involvedObject={"kind": "Pod", "name": "x"},
            reason="Test",
            type="Normal",
        ),
    ],
    ids=lambda machine_made: machine_made["kind"],
)
def test_what_machines_write_all_the_time_does_not_arrive(
    arrivals: Arrivals, kubectl: Kubectl, namespace: str, machine_made: dict[str, Any]
) -> None:
    """Controllers copy labels to some of these; none of them is ever guarded."""
    kind = machine_made["kind"].lower()
    if "involvedObject" in machine_made:
        machine_made = {
            **machine_made,
            "involvedObject": {**machine_made["involvedObject"], "namespace": namespace},
        }
    create(kubectl, namespace, machine_made)

    assert arrivals("label", kind, "web", "a=b", "-n", namespace, user="alice") == []
    assert arrivals("delete", kind, "web", "-n", namespace, user="alice") == []


def test_of_a_pod_only_the_status_does_not_arrive(
    arrivals: Arrivals, kubectl: Kubectl, namespace: str
) -> None:
    """Kubelets write it; a guarded pod itself is an object as any other."""
    pod = marked("v1", "Pod", "p", spec={"containers": [{"name": "app", "image": "web:1"}]})
    create(kubectl, namespace, pod)
    where = f"--namespace={namespace}"

    status = '{"status": {"message": "hello"}}'
    assert (
        arrivals("patch", "pod", "p", where, "--subresource=status", "-p", status, user="alice")
        == []
    )
    assert len(arrivals("label", "pod", "p", "a=b", where, user="alice")) == 1


@pytest.mark.parametrize("namespace_name", ["kube-system", chart_module.NAMESPACE])
def test_the_clusters_own_namespaces_do_not_arrive(
    arrivals: Arrivals, kubectl: Kubectl, namespace_name: str
) -> None:
    """A fault of ours must never lock the cluster, or ourselves, out."""
    name = "holdfast-matching-test"
    create(kubectl, namespace_name, marked("v1", "ConfigMap", name))
    where = f"--namespace={namespace_name}"

    assert arrivals("label", "configmap", name, "a=b", where, user="alice") == []
    assert arrivals("delete", "configmap", name, where, user="alice") == []


def test_objects_without_a_namespace_arrive(arrivals: Arrivals, kubectl: Kubectl) -> None:
    """Selectors on namespaces do not touch them."""
    name = "holdfast-matching-test"
    create(
        kubectl, "default", marked("rbac.authorization.k8s.io/v1", "ClusterRole", name, rules=[])
    )

    edited = arrivals("label", "clusterrole", name, "a=b", user="alice")
    deleted = arrivals("delete", "clusterrole", name, user="alice")

    assert [review["operation"] for review in (*edited, *deleted)] == ["UPDATE", "DELETE"]


def test_a_guarded_namespace_arrives(arrivals: Arrivals, kubectl: Kubectl, namespace: str) -> None:
    """With a mark on it, it is an object as any other."""
    kubectl("label", "namespace", namespace, f"{names.LABEL_GUARD}={MARK[names.LABEL_GUARD]}")

    (review,) = arrivals("label", "namespace", namespace, "a=b", user="alice")

    assert review["name"] == namespace

"""What runs in pods, as helm renders it: defaults, everything on, everything off."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from guard.cli import apply, processes

pytestmark = pytest.mark.integration

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]

SELECTOR = {"app.kubernetes.io/name": "holdfast", "app.kubernetes.io/instance": "holdfast"}
WEBHOOK = "holdfast-webhook"
GUARD = "holdfast-guard"
PODS = (("Deployment", WEBHOOK), ("StatefulSet", GUARD), ("Job", "holdfast-guards"))
RUNNING = {
    ("Deployment", WEBHOOK),
    ("Service", WEBHOOK),
    ("PodDisruptionBudget", WEBHOOK),
    ("NetworkPolicy", WEBHOOK),
    ("StatefulSet", GUARD),
    ("Service", GUARD),
    ("PersistentVolumeClaim", GUARD),
    ("NetworkPolicy", GUARD),
}
KINDS = {kind for kind, _ in RUNNING} | {"Job", "Certificate", "Secret"}


def running(objects: Objects) -> set[tuple[str, str]]:
    """Give what belongs to pods."""
    return {key for key in objects if key[0] in KINDS}


def pod(objects: Objects, key: tuple[str, str]) -> dict[str, Any]:
    """Give the spec of a workload's pods."""
    found: dict[str, Any] = objects[key]["spec"]["template"]["spec"]
    return found


def container(objects: Objects, key: tuple[str, str]) -> dict[str, Any]:
    """Give the one container of a workload."""
    (found,) = pod(objects, key)["containers"]
    return dict(found)


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({}, set()),
        ({"workloads": {"enabled": False}}, RUNNING),
        (
            {"webhook": {"enabled": False}},
            {key for key in RUNNING if key[1] == WEBHOOK},
        ),
        (
            {"webhook": {"url": "https://10.0.0.5:10250/validate"}},
            {key for key in RUNNING if key[1] == WEBHOOK},
        ),
        ({"webhook": {"replicas": 1}}, {("PodDisruptionBudget", WEBHOOK)}),
        (
            {"webhook": {"podDisruptionBudget": {"enabled": False}}},
            {("PodDisruptionBudget", WEBHOOK)},
        ),
        (
            {"guard": {"persistence": {"existingClaim": "mine"}}},
            {("PersistentVolumeClaim", GUARD)},
        ),
        ({"guard": {"persistence": {"enabled": False}}}, {("PersistentVolumeClaim", GUARD)}),
        (
            {"networkPolicy": {"enabled": False}},
            {("NetworkPolicy", WEBHOOK), ("NetworkPolicy", GUARD)},
        ),
    ],
)
def test_what_runs(rendered: Render, values: dict[str, Any], missing: set[tuple[str, str]]) -> None:
    """Two workloads with what belongs to them, less what the values take away."""
    assert running(rendered(**values)) == RUNNING - missing


def test_the_webhook_is_never_away(rendered: Render) -> None:
    """A new pod comes before an old one goes; drains and lost nodes leave one."""
    objects = rendered()
    deployment = objects["Deployment", WEBHOOK]["spec"]
    spec = pod(objects, ("Deployment", WEBHOOK))

    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    budget = objects["PodDisruptionBudget", WEBHOOK]["spec"]
    assert budget["minAvailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert [
        (one["topologyKey"], one["whenUnsatisfiable"], one["labelSelector"]["matchLabels"])
        for one in spec["topologySpreadConstraints"]
    ] == [
        (key, "ScheduleAnyway", {**SELECTOR, "app.kubernetes.io/component": "webhook"})
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
    anti_affinity = spec["affinity"]["podAntiAffinity"]
    assert list(anti_affinity) == ["preferredDuringSchedulingIgnoredDuringExecution"]
    sleep = container(objects, ("Deployment", WEBHOOK))["lifecycle"]["preStop"]["sleep"]
    assert sleep == {"seconds": 5}
    assert spec["terminationGracePeriodSeconds"] == 30


def test_probes_ask_what_they_are_for(rendered: Render) -> None:
    """Ready means that a review would be judged, through TLS; alive only that it answers."""
    webhook = container(rendered(), ("Deployment", WEBHOOK))

    assert webhook["readinessProbe"]["httpGet"] == {
        "path": "/readyz",
        "port": "https",
        "scheme": "HTTPS",
    }
    for probe in ("livenessProbe", "startupProbe"):
        assert webhook[probe]["httpGet"] == {"path": "/healthz", "port": "metrics"}


def test_services_lead_to_the_ports_of_the_pods(rendered: Render) -> None:
    """By name, so that a port can be changed in one place."""
    objects = rendered(webhook={"port": 9999, "metricsPort": 9998})

    for key, service in (
        (("Deployment", WEBHOOK), objects["Service", WEBHOOK]),
        (("StatefulSet", GUARD), objects["Service", GUARD]),
    ):
        named = {port["name"] for port in container(objects, key)["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named
        labels = objects[key]["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        assert service["spec"]["selector"] == objects[key]["spec"]["selector"]["matchLabels"]
    (port, _) = objects["Service", WEBHOOK]["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (443, "https")
    arguments = container(objects, ("Deployment", WEBHOOK))["args"]
    assert {"--port=9999", "--metrics-port=9998"} <= set(arguments)


def test_records_find_their_way(rendered: Render) -> None:
    """From the webhook to the guard's Service, whose pod is ready once it takes them."""
    objects = rendered()
    guard = container(objects, ("StatefulSet", GUARD))
    (port,) = objects["Service", GUARD]["spec"]["ports"]

    url = f"https://holdfast-guard.holdfast-system.svc:{port['port']}"
    assert f"--intake-url={url}" in container(objects, ("Deployment", WEBHOOK))["args"]
    assert {"--intake-port=9443", "--reading-port=9444"} <= set(guard["args"])
    assert guard["ports"] == [{"name": "intake", "containerPort": 9443, "protocol": "TCP"}]
    assert guard["readinessProbe"]["tcpSocket"] == {"port": port["targetPort"]}


@pytest.mark.parametrize("key", PODS, ids=lambda key: key[1])
def test_the_program_takes_the_arguments(
    rendered: Render, everything: Mapping[str, Any], key: tuple[str, str]
) -> None:
    """Each flag that the chart gives is one of the command's."""
    certificates = {"certificates": {"mode": "given"}}
    command, *arguments = container(rendered(hooks=True, **{**everything, **certificates}), key)[
        "args"
    ]
    commands = {
        "guard": processes.guard_command,
        "webhook": processes.webhook_command,
        "apply": apply.apply_command,
    }

    known = {
        flag
        for parameter in commands[command].params
        for flag in (*parameter.opts, *parameter.secondary_opts)
    }
    flags = {one.partition("=")[0] for one in arguments if one.startswith("--")}
    assert flags <= known


def test_one_guard_process_writes_the_store(rendered: Render) -> None:
    """One replica, which is gone before the next comes; a broken one does not block its mending."""
    objects = rendered()
    stateful = objects["StatefulSet", GUARD]["spec"]

    assert stateful["replicas"] == 1
    assert stateful["podManagementPolicy"] == "Parallel"
    assert "volumeClaimTemplates" not in stateful
    claim = objects["PersistentVolumeClaim", GUARD]
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "5Gi"}},
    }


@pytest.mark.parametrize(
    ("persistence", "volume"),
    [
        ({}, {"persistentVolumeClaim": {"claimName": GUARD}}),
        ({"existingClaim": "mine"}, {"persistentVolumeClaim": {"claimName": "mine"}}),
        ({"enabled": False, "size": "1Gi"}, {"emptyDir": {"sizeLimit": "1Gi"}}),
    ],
)
def test_where_the_store_lies(
    rendered: Render, persistence: dict[str, Any], volume: dict[str, Any]
) -> None:
    """In a claim of ours, in one that is there, or nowhere for long."""
    spec = pod(rendered(guard={"persistence": persistence}), ("StatefulSet", GUARD))

    (state,) = (one for one in spec["volumes"] if one["name"] == "state")
    assert state == {"name": "state", **volume}


@pytest.mark.parametrize(("storage_class", "expected"), [("fast", "fast"), ("-", ""), ("", None)])
def test_the_storage_class(rendered: Render, storage_class: str, expected: str | None) -> None:
    """Named, none at all, or the cluster's default."""
    objects = rendered(guard={"persistence": {"storageClass": storage_class}})

    claim = objects["PersistentVolumeClaim", GUARD]["spec"]
    assert claim.get("storageClassName") == expected


def test_pods_are_restricted_and_write_nowhere_else(
    rendered: Render, everything: Mapping[str, Any]
) -> None:
    """The restricted profile in full, a read-only root, and keys never on a disk."""
    objects = rendered(hooks=True, **everything)

    for key in PODS:
        spec = pod(objects, key)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 65532
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(objects, key)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        (tmp,) = (one for one in spec["volumes"] if one["name"] == "tmp")
        assert tmp["emptyDir"]["medium"] == "Memory"
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert not any("hostPath" in volume for volume in spec["volumes"])
        assert spec["automountServiceAccountToken"] is True
    for (kind, _), item in objects.items():
        if kind == "ServiceAccount":
            assert item["automountServiceAccountToken"] is False


@pytest.mark.parametrize("key", PODS[:2], ids=lambda key: key[1])
def test_what_people_add_arrives(
    rendered: Render, everything: Mapping[str, Any], key: tuple[str, str]
) -> None:
    """Each value in its place, beside what is ours."""
    objects = rendered(**everything)
    workload, spec, one = objects[key], pod(objects, key), container(objects, key)

    assert one["image"] == "registry.example:5000/team/holdfast:1.2.3"
    assert spec["imagePullSecrets"] == [{"name": "login"}]
    assert spec["priorityClassName"] == "system-cluster-critical"
    assert spec["nodeSelector"] == {"disk": "fast"}
    assert spec["tolerations"] == everything["guard"]["tolerations"]
    assert spec["affinity"] == {"nodeAffinity": {}}
    assert one["resources"] == everything["guard"]["resources"]
    assert one["args"][-1] == "--no-uvloop"
    assert {"--log-level=debug", "--log-format=console"} <= set(one["args"])
    assert one["env"][1:] == everything["guard"]["extraEnv"], "after the pod's own name"
    assert spec["volumes"][-1] == {"name": "more", "emptyDir": {}}
    assert one["volumeMounts"][-1] == {"name": "more", "mountPath": "/more"}
    template = workload["spec"]["template"]["metadata"]
    assert template["labels"]["pod"] == "label"
    assert template["annotations"] == {"on.example/pod": "1"}
    assert workload["metadata"]["annotations"] == {"on.example/workload": "1"}
    for kind in ("Service", "ServiceAccount"):
        assert len(objects[kind, key[1]]["metadata"]["annotations"]) == 1


def test_common_labels_are_everywhere_and_in_no_selector(
    rendered: Render, everything: Mapping[str, Any]
) -> None:
    """Selectors cannot be changed later; a pod of ours cannot be relabelled by a value."""
    objects = rendered(**{**everything, "webhook": {"podLabels": {**SELECTOR, "team": "x"}}})

    for (kind, _), item in objects.items():
        if kind != "CustomResourceDefinition":
            assert item["metadata"]["labels"]["cost-centre"] == "42"
    for key in PODS[:2]:
        assert "cost-centre" not in objects[key]["spec"]["selector"]["matchLabels"]
        labels = objects[key]["spec"]["template"]["metadata"]["labels"]
        assert (labels["cost-centre"], labels["team"]) == ("42", "platform")
        assert objects[key]["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert "helm.sh/chart" not in labels  # else a change of the chart alone restarts pods


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "holdfast:0.1.0"),
        ({"registry": "registry.example"}, "registry.example/holdfast:0.1.0"),
        ({"repository": "localhost/holdfast", "tag": "test"}, "localhost/holdfast:test"),
        ({"digest": f"sha256:{'0' * 64}"}, f"holdfast@sha256:{'0' * 64}"),
        ({"tag": "1.2", "digest": f"sha256:{'0' * 64}"}, f"holdfast:1.2@sha256:{'0' * 64}"),
    ],
)
def test_the_image(rendered: Render, image: dict[str, Any], expected: str) -> None:
    """Registry, repository, and tag or digest."""
    objects = rendered(image=image)

    assert {container(objects, key)["image"] for key in PODS[:2]} == {expected}


def test_network_policies_let_through_what_is_needed_and_no_more(rendered: Render) -> None:
    """Reviews in; names, the API server, records, and for the guard process Git."""
    objects = rendered()
    webhook = objects["NetworkPolicy", WEBHOOK]["spec"]
    guard = objects["NetworkPolicy", GUARD]["spec"]

    def peers(rules: list[dict[str, Any]], side: str) -> list[tuple[list[Any], list[str]]]:
        """Give the ports of each rule and the components that it is for; none for anybody."""
        return [
            (
                [port["port"] for port in rule["ports"]],
                [
                    peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
                    for peer in rule.get(side, [])
                ],
            )
            for rule in rules
        ]

    assert peers(webhook["ingress"], "from") == [(["https"], []), (["metrics"], [])]
    names, server = ([53, 53], []), ([443, 6443], [])
    assert peers(webhook["egress"], "to") == [names, server, (["intake"], ["guard"])]
    assert peers(guard["ingress"], "from") == [(["intake"], ["webhook"])]
    assert peers(guard["egress"], "to") == [
        names,
        server,
        (["https"], ["webhook"]),
        ([443, 22], []),
    ]


def test_network_policies_can_be_narrowed(rendered: Render, everything: Mapping[str, Any]) -> None:
    """To address blocks, ports, and rules of one's own."""
    objects = rendered(**everything)
    webhook = objects["NetworkPolicy", WEBHOOK]["spec"]
    guard = objects["NetworkPolicy", GUARD]["spec"]

    assert webhook["ingress"][0]["from"][0] == {"ipBlock": {"cidr": "10.0.0.0/24"}}
    assert webhook["ingress"][0]["from"][1]["podSelector"]["matchLabels"] == {
        **SELECTOR,
        "app.kubernetes.io/component": "guard",
    }
    assert webhook["ingress"][1]["from"] == [{"namespaceSelector": {}}]
    assert {"ports": [{"port": 5353}]} in webhook["egress"]
    assert guard["egress"][1] == {
        "ports": [{"port": 6443, "protocol": "TCP"}],
        "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}],
    }
    assert guard["egress"][-1] == {
        "ports": [{"port": 2222, "protocol": "TCP"}],
        "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}, {"ipBlock": {"cidr": "2001:db8::/32"}}],
    }


def test_a_host_network_has_the_clusters_names(rendered: Render) -> None:
    """Without that policy a pod there asks the node's own resolver."""
    spec = pod(rendered(webhook={"hostNetwork": True, "port": 10260}), ("Deployment", WEBHOOK))

    assert (spec["hostNetwork"], spec["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")


def test_certificates_come_from_us_from_cert_manager_or_from_a_person(rendered: Render) -> None:
    """Who does not make them tells the guard process so."""
    ours = rendered()
    given = rendered(certificates={"mode": "given"})
    managed = rendered(
        certificates={"mode": "cert-manager", "certManager": {"issuerRef": {"name": "internal"}}}
    )

    assert "--certificates=given" not in container(ours, ("StatefulSet", GUARD))["args"]
    for objects in (given, managed):
        assert "--certificates=given" in container(objects, ("StatefulSet", GUARD))["args"]
    assert running(given) == running(ours)
    assert running(managed) - running(ours) == {("Certificate", "holdfast-webhook-tls")}
    certificate = managed["Certificate", "holdfast-webhook-tls"]["spec"]
    assert certificate["secretName"] == "holdfast-webhook-tls"
    assert certificate["dnsNames"] == [
        "holdfast-webhook.holdfast-system.svc",
        "holdfast-guard.holdfast-system.svc",
    ]


def test_names_that_yaml_would_misread(rendered: Render) -> None:
    """A namespace may be called yes, and a label's value true: both stay words."""
    objects = rendered(
        hooks=True,
        commonLabels={"a": "true"},
        guards=[
            {"name": "on", "namespace": "yes", "spec": {"source": {"git": {"url": "https://x/y"}}}}
        ],
    )

    assert objects["Role", "holdfast-guards"]["metadata"]["namespace"] == "yes"
    assert objects["Role", "holdfast-guards"]["rules"][0]["resourceNames"] == ["on"]
    assert objects["Service", GUARD]["metadata"]["labels"]["a"] == "true"

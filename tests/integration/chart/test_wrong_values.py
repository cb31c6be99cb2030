"""Values that cannot be meant are refused, in words that lead to the right ones."""

from typing import Any

import pytest
from controlplane import chart, errors

pytestmark = pytest.mark.integration

SPEC = {"source": {"git": {"url": "https://git.example/shop.git"}}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"webhok": {}}, "webhok"),
        ({"webhook": {"replicaCount": 3}}, "replicaCount"),
        ({"webhook": {"replicas": 0}}, "/webhook/replicas"),
        ({"webhook": {"replicas": "2"}}, "got string, want integer"),
        ({"webhook": {"extraArgs": ["uvloop"]}}, "/webhook/extraArgs/0"),
        ({"webhook": {"podLabels": {"a": True}}}, "got boolean, want string"),
        ({"webhook": {"podLabels": {"a b": "c"}}}, "/webhook/podLabels"),
        ({"webhook": {"resources": {"limit": {}}}}, "limit"),
        ({"webhook": {"resources": {"limits": {"memory": "lots"}}}}, "/limits/memory"),
        ({"webhook": {"tolerations": [{"operater": "Exists"}]}}, "operater"),
        ({"webhook": {"affinity": {"podAffinty": {}}}}, "podAffinty"),
        ({"webhook": {"extraEnv": [{"value": "x"}]}}, "missing property 'name'"),
        ({"webhook": {"port": 0}}, "/webhook/port"),
        ({"webhook": {"port": 8080}}, "give them different ports"),
        ({"webhook": {"hostNetwork": True}}, "is the kubelet's. Set webhook.port"),
        (
            {"webhook": {"podDisruptionBudget": {"minAvailable": 2}}},
            "no node could ever be drained",
        ),
        ({"webhook": {"podDisruptionBudget": {"minAvailable": "half"}}}, "minAvailable"),
        ({"webhook": {"spool": {"sizeLimit": "1 GB"}}}, "/webhook/spool/sizeLimit"),
        ({"guard": {"replicas": 2}}, "replicas"),
        ({"guard": {"persistence": {"size": "big"}}}, "/guard/persistence/size"),
        ({"guard": {"persistence": {"accessModes": ["RWO"]}}}, "ReadWriteOnce"),
        ({"image": {"tag": 1.2}}, "got number, want string"),
        ({"image": {"digest": "abc"}}, "/image/digest"),
        ({"image": {"registry": "https://registry.example"}}, "/image/registry"),
        ({"image": {"pullPolicy": "Sometimes"}}, "'Always', 'IfNotPresent', 'Never'"),
        ({"imagePullSecrets": ["login"]}, "/imagePullSecrets/0"),
        ({"commonLabels": {"app.kubernetes.io/name": "x"}}, "is set by the chart"),
        ({"log": {"level": "trace"}}, "'debug', 'info', 'warning', 'error'"),
        ({"networkPolicy": {"apiServer": {"cidrs": ["10.0.0.1"]}}}, "/apiServer/cidrs/0"),
        ({"networkPolicy": {"guard": {"git": {"ports": []}}}}, "/guard/git/ports"),
        ({"certificates": {"mode": "certmanager"}}, "'self', 'cert-manager', 'given'"),
        ({"certificates": {"mode": "cert-manager"}}, "certManager.issuerRef"),
        ({"guards": [{"name": "Shop", "spec": SPEC}]}, "/guards/0/name"),
        ({"guards": [{"name": "shop"}]}, "missing property 'spec'"),
        ({"guards": [{"name": "shop", "spec": {}}]}, "missing property 'source'"),
        (
            {
                "guards": [
                    {"name": "shop", "namespace": "holdfast-system", "spec": SPEC},
                    {"name": "shop", "spec": SPEC},
                ]
            },
            "two named shop in the namespace holdfast-system",
        ),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], words: str) -> None:
    """With the place, and what would be right there."""
    with pytest.raises(errors.CommandError) as refused:
        chart.render(values)

    assert words in str(refused.value)


def test_security_contexts_can_be_taken_away() -> None:
    """Null removes a default: OpenShift chooses the user of a pod by itself."""
    context = dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"))

    manifests = chart.render({"podSecurityContext": context})

    assert "runAsUser" not in manifests
    assert "runAsNonRoot: true" in manifests

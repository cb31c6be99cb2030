"""Short names and plurals of the built-in kinds, for where there is no API server to ask.

The audit store knows kinds only as records name them, and outlives the cluster that they were in.
"""

from typing import Final

_SHORT: Final = {
    "cj": "CronJob",
    "cm": "ConfigMap",
    "crd": "CustomResourceDefinition",
    "crds": "CustomResourceDefinition",
    "deploy": "Deployment",
    "ds": "DaemonSet",
    "ep": "Endpoints",
    "hpa": "HorizontalPodAutoscaler",
    "ing": "Ingress",
    "limits": "LimitRange",
    "netpol": "NetworkPolicy",
    "no": "Node",
    "ns": "Namespace",
    "pc": "PriorityClass",
    "pdb": "PodDisruptionBudget",
    "po": "Pod",
    "pv": "PersistentVolume",
    "pvc": "PersistentVolumeClaim",
    "quota": "ResourceQuota",
    "rc": "ReplicationController",
    "rs": "ReplicaSet",
    "sa": "ServiceAccount",
    "sc": "StorageClass",
    "sts": "StatefulSet",
    "svc": "Service",
}
"""As `kubectl api-resources` lists them."""

_OTHERS: Final = ("ClusterRole", "ClusterRoleBinding", "Job", "Role", "RoleBinding", "Secret")


def _plural(kind: str) -> str:
    lower = kind.lower()
    if lower.endswith("y"):
        return f"{lower[:-1]}ies"
    if lower.endswith("s"):
        return lower if lower == "endpoints" else f"{lower}es"
    return f"{lower}s"


_KINDS: Final = {
    **{_plural(kind): kind for kind in (*_SHORT.values(), *_OTHERS)},
    **_SHORT,
}


def spelled_out(reference: str) -> str:
    """Turn ``deploy/web`` and ``deployments/web`` into ``Deployment/web``; others stay."""
    kind, slash, name = reference.rpartition("/")
    return f"{_KINDS.get(kind.lower(), kind)}{slash}{name}"

"""Who is calling: decided from ``userInfo`` of a review alone.

Never from the field manager or the user agent: a client may write there what it likes. A name
alone does not make a service account either, since ``kubectl --as=system:serviceaccount:a:b``
carries the name but neither its uid nor a credential id.
"""

import dataclasses
import enum
from collections.abc import Collection, Mapping, Sequence
from typing import Final

CREDENTIAL_ID: Final = "authentication.kubernetes.io/credential-id"
"""The extra that names a real credential (a token's JTI, a certificate's fingerprint)."""

_API_SERVER: Final = "system:apiserver"
_MASTERS: Final = "system:masters"
_ACCOUNT: Final = "system:serviceaccount:"
_KUBE_SYSTEM: Final = "system:serviceaccount:kube-system:"

# What kube-controller-manager runs with --use-service-account-credentials=false.
_COMPONENTS: Final = frozenset({"system:kube-controller-manager", "system:kube-scheduler"})

# The accounts of Kubernetes' own controllers: plugin/pkg/auth/authorizer/rbac/bootstrappolicy/
# controller_policy.go, and those of the cloud controller manager. Not every account in
# kube-system: people install their tools there too.
_CONTROLLERS: Final = frozenset(
    _KUBE_SYSTEM + name
    for name in (
        "attachdetach-controller",
        "bootstrap-signer",
        "certificate-controller",
        "cloud-controller-manager",
        "cloud-node-controller",
        "clusterrole-aggregation-controller",
        "cronjob-controller",
        "daemon-set-controller",
        "deployment-controller",
        "device-taint-eviction-controller",
        "disruption-controller",
        "endpoint-controller",
        "endpointslice-controller",
        "endpointslicemirroring-controller",
        "ephemeral-volume-controller",
        "expand-controller",
        "generic-garbage-collector",
        "horizontal-pod-autoscaler",
        "job-controller",
        "legacy-service-account-token-cleaner",
        "namespace-controller",
        "node-controller",
        "persistent-volume-binder",
        "pod-garbage-collector",
        "pv-protection-controller",
        "pvc-protection-controller",
        "replicaset-controller",
        "replication-controller",
        "resource-claim-controller",
        "resourcequota-controller",
        "root-ca-cert-publisher",
        "route-controller",
        "selinux-warning-controller",
        "service-account-controller",
        "service-cidrs-controller",
        "service-controller",
        "statefulset-controller",
        "storage-version-migrator-controller",
        "storageversion-garbage-collector",
        "taint-eviction-controller",
        "token-cleaner",
        "ttl-after-finished-controller",
        "ttl-controller",
        "validatingadmissionpolicy-status-controller",
        "volumeattributesclass-protection-controller",
    )
)


class CallerClass(enum.StrEnum):
    """How far a caller is trusted."""

    TRUSTED = "trusted"
    WORKLOAD = "workload"
    PERSON = "person"


@dataclasses.dataclass(frozen=True, slots=True)
class Caller:
    """The ``userInfo`` of a review. What the server leaves out is empty."""

    username: str
    uid: str = ""
    groups: Sequence[str] = ()
    extra: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Whom the API server takes the guard process for: from its own SelfSubjectReview."""

    username: str
    uid: str


def classify(
    caller: Caller, *, guard: Identity | None, trusted_users: Collection[str] = ()
) -> CallerClass:
    """Give a caller's class.

    ``guard`` is None while the guard process has not made itself known. ``trusted_users`` are
    user names that the installation trusts besides; a service account among them is trusted with
    a real token only.
    """
    if _is_guard(caller, guard) or _is_control_plane(caller):
        return CallerClass.TRUSTED
    is_account = caller.username.startswith(_ACCOUNT) and bool(caller.uid)
    if caller.username in trusted_users and (
        is_account or not caller.username.startswith(_ACCOUNT)
    ):
        return CallerClass.TRUSTED
    return CallerClass.WORKLOAD if is_account else CallerClass.PERSON


def _is_guard(caller: Caller, guard: Identity | None) -> bool:
    return (
        guard is not None
        and bool(guard.uid)
        and caller.username == guard.username
        and caller.uid == guard.uid
    )


def _is_control_plane(caller: Caller) -> bool:
    if caller.username == _API_SERVER:
        # Its uid is random per process and it has no credential id, but a bare --as has
        # neither the uid nor the group.
        return bool(caller.uid) and _MASTERS in caller.groups
    if caller.username in _CONTROLLERS or caller.username in _COMPONENTS:
        return bool(caller.extra.get(CREDENTIAL_ID))
    return False

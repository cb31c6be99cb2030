"""Who there is in the test control plane, and what each may do."""

import json
from pathlib import Path

import pytest
from controlplane import errors, plane

pytestmark = pytest.mark.integration


def whoami(control_plane: plane.ControlPlane, kubeconfig: Path) -> dict[str, object]:
    """Ask the API server who it takes us for."""
    review = control_plane.kubectl(
        "auth", "whoami", "-o", "json", env={"KUBECONFIG": str(kubeconfig)}
    )
    user: dict[str, object] = json.loads(review.stdout)["status"]["userInfo"]
    return user


@pytest.mark.parametrize(("user", "group"), [("admin", "system:masters"), ("alice", "dev")])
def test_people_are_known_by_name_and_group(
    control_plane: plane.ControlPlane, user: str, group: str
) -> None:
    """Both come from the certificate, and a person has no uid."""
    me = whoami(control_plane, control_plane.kubeconfig(user))

    assert me["username"] == user
    assert me["groups"] == [group, "system:authenticated"]
    assert "uid" not in me


def test_alice_may_edit_anything(control_plane: plane.ControlPlane, namespace: str) -> None:
    """Her group is bound to cluster-admin: what stops her in a test is Holdfast, not RBAC."""
    control_plane.kubectl("-n", namespace, "create", "configmap", "conf", user="alice")

    answer = control_plane.kubectl("auth", "can-i", "*", "*", "--all-namespaces", user="alice")

    assert answer.stdout.strip() == "yes"


def test_a_further_person_starts_with_no_rights(
    control_plane: plane.ControlPlane, namespace: str
) -> None:
    """Who is in no bound group is refused by RBAC."""
    control_plane.add_user("mallory")

    answer = control_plane.kubectl("-n", namespace, "get", "secrets", user="mallory", check=False)

    assert answer.returncode == 1
    assert "Forbidden" in answer.stderr


def test_a_person_that_nobody_made_is_an_error(control_plane: plane.ControlPlane) -> None:
    """A typing error in a test is told as one."""
    with pytest.raises(errors.ControlPlaneError, match="There is no user alcie; there are admin"):
        control_plane.kubeconfig("alcie")


def test_a_service_account_has_a_real_token(
    control_plane: plane.ControlPlane, namespace: str
) -> None:
    """The API server knows its uid and the token's id, which impersonation cannot show."""
    kubeconfig = control_plane.add_service_account(namespace, "deployer")

    me = whoami(control_plane, kubeconfig)

    stored = control_plane.api.request(
        "GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/deployer"
    )
    assert me["username"] == f"system:serviceaccount:{namespace}:deployer"
    assert me["uid"] == stored["metadata"]["uid"]
    assert "authentication.kubernetes.io/credential-id" in str(me["extra"])


@pytest.mark.parametrize(("role", "answer"), [("cluster-admin", "yes"), ("view", "no")])
def test_a_service_account_may_do_what_its_role_says_in_its_namespace(
    control_plane: plane.ControlPlane, namespace: str, role: str, answer: str
) -> None:
    """A binding in one namespace gives nothing in another."""
    kubeconfig = control_plane.add_service_account(namespace, "worker", role=role)

    def may_edit(where: str) -> str:
        asked = control_plane.kubectl(
            "auth", "can-i", "update", "configmaps", "-n", where,
            check=False, env={"KUBECONFIG": str(kubeconfig)},
        )  # fmt: skip
        return asked.stdout.strip()

    assert may_edit(namespace) == answer
    assert may_edit("default") == "no"


def test_kubeconfigs_are_for_their_owner_only(
    control_plane: plane.ControlPlane, namespace: str
) -> None:
    """They hold keys and tokens."""
    files = [
        control_plane.kubeconfig("admin"),
        control_plane.add_service_account(namespace, "worker"),
    ]

    assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o600", "0o600"]


def test_a_failed_kubectl_is_told_in_its_own_words(control_plane: plane.ControlPlane) -> None:
    """A test that breaks shows why without a second run."""
    with pytest.raises(errors.CommandError, match=r'namespaces "no-such-place" not found'):
        control_plane.kubectl("get", "namespace", "no-such-place")

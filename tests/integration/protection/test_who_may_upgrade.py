"""Upgrade and rollback by deployers and by others, with the real helm."""

import pytest
from support import released

pytestmark = [pytest.mark.integration, pytest.mark.slow]

KINDS = "clusterrole,clusterrolebinding,validatingwebhookconfiguration,crd"


def test_an_upgrade_by_a_deployer_passes_and_by_another_changes_nothing(
    installed: released.Cluster,
) -> None:
    """Refused before anything is applied, with what to do about it."""
    louder = {**released.VALUES, "commonLabels": {"example.com/team": "red"}}

    refused = installed.helm("upgrade", values=louder, user="alice", check=False)

    assert refused.returncode != 0
    assert (
        "alice may not delete clusterroles holdfast-deployer, a part of Holdfast" in refused.stdout
    )
    assert "see the chart value protection.deployers" in refused.stdout
    assert 'holdfast off --reason "<why>"' in refused.stdout
    labelled = ("get", KINDS, "-l", "example.com/team=red", "-o", "name")
    assert installed.kubectl(*labelled).stdout == ""

    installed.helm("upgrade", values=louder, user="deployer")
    assert (
        "clusterrole.rbac.authorization.k8s.io/holdfast-guard"
        in installed.kubectl(*labelled).stdout
    )

    # A refused one is a failed release to Helm, and the next starts from there: so it comes last.
    installed.helm("rollback", "1", user="deployer")
    assert installed.kubectl(*labelled).stdout == ""
    rollback = installed.helm("rollback", "3", user="alice", check=False)
    assert "alice may not delete clusterroles holdfast-deployer" in rollback.stdout
    assert installed.kubectl(*labelled).stdout == ""

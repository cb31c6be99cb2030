"""Every command in the documents about protection does what is said there."""

import subprocess

import pytest
from support import documents, released

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def run(cluster: released.Cluster, command: str) -> subprocess.CompletedProcess[str]:
    """Type a command into a shell, as an admin."""
    return cluster.run("bash", "-c", command, check=False)


def test_those_of_security(installed: released.Cluster) -> None:
    """In their order; both ways of switching off are there, so one is undone before the other."""
    for command, shown in documents.examples("security.md"):
        if command.startswith("kubectl create clusterrolebinding holdfast-off "):
            assert run(installed, "holdfast on").returncode == 0
        result = run(installed, command)
        if shown:
            # `kubectl auth can-i` says no by its exit status, and warns about kinds without a CRD.
            assert result.stdout.endswith(shown), command
        else:
            assert result.returncode == 0, f"{command}: {result.stdout}"
    created = (
        "clusterrole/holdfast-switch",
        "clusterrole/holdfast-switch-bindings",
        "clusterrolebinding/holdfast-switch",
        "clusterrolebinding/holdfast-switch-bindings",
    )
    installed.kubectl("delete", *created)


def test_those_who_are_on_call_need_no_more(installed: released.Cluster) -> None:
    """With the roles of the document a person without any other right can switch off and on."""
    roles = [
        command for command, _ in documents.examples("security.md") if "holdfast-switch" in command
    ]
    roles = [command for command in roles if command.startswith("kubectl create clusterrole")]
    roles = [
        command
        for command in roles
        if not command.startswith("kubectl create clusterrolebinding holdfast-off")
    ]
    for command in roles:
        assert run(installed, command.replace("--group=oncall", "--user=visitor")).returncode == 0
    try:
        assert installed.kubectl(*released.OFF, user="visitor").returncode == 0
        assert (
            installed.kubectl(
                "delete", "clusterrolebinding", "holdfast-off", user="visitor"
            ).returncode
            == 0
        )
    finally:
        installed.kubectl(
            *("delete", "clusterrole,clusterrolebinding", "--ignore-not-found"),
            *("holdfast-switch", "holdfast-switch-bindings"),
        )

"""The chart that tests and demo use is the one of this checkout."""

import json
from pathlib import Path

import pytest
from controlplane import chart as chart_module
from controlplane import errors, plane

pytestmark = pytest.mark.integration


def test_its_custom_resources_can_be_used_at_once(
    control_plane: plane.ControlPlane, chart: tuple[str, ...]
) -> None:
    """The fixture waits until the definitions are established."""
    assert "customresourcedefinition.apiextensions.k8s.io/guards.holdfast.dev" in chart

    answer = control_plane.kubectl("get", "guards", "--all-namespaces", user="alice")

    assert answer.returncode == 0


def webhook_configurations(control_plane: plane.ControlPlane) -> list[str]:
    """Name those of ours that exist; other tests make others."""
    found = control_plane.kubectl("get", "validatingwebhookconfigurations", "-o", "name")
    return [name for name in found.stdout.split() if name.endswith("/holdfast")]


def test_a_webhook_is_configured_only_while_a_test_asks(
    control_plane: plane.ControlPlane, chart: tuple[str, ...]
) -> None:
    """Else every other test's writes would wait for a webhook that does not run."""
    assert not [name for name in chart if "webhookconfiguration" in name]

    with chart_module.webhook_at(control_plane, "https://127.0.0.1:9/validate"):
        during = webhook_configurations(control_plane)

    assert during == ["validatingwebhookconfiguration.admissionregistration.k8s.io/holdfast"]
    assert webhook_configurations(control_plane) == []


def test_the_guards_own_account_has_a_real_token(
    control_plane: plane.ControlPlane, guard_account: Path
) -> None:
    """It is the account that the chart names and binds, with a uid."""
    review = control_plane.kubectl(
        "auth", "whoami", "-o", "json", env={"KUBECONFIG": str(guard_account)}
    )

    me = json.loads(review.stdout)["status"]["userInfo"]
    assert me["username"] == "system:serviceaccount:holdfast-system:holdfast-guard"
    assert me["uid"]


def test_values_that_the_chart_refuses_are_told_in_helms_words() -> None:
    """A wrong value is found before anything is applied."""
    with pytest.raises(errors.CommandError, match="helm template"):
        chart_module.render({"webhook": "not a map"})

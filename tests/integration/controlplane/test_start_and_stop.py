"""Starting a control plane, several at once, and taking its API server away."""

import socket
import sys
import time
from pathlib import Path

import pytest
from controlplane import errors, plane

pytestmark = pytest.mark.integration

NAMESPACES = "/api/v1/namespaces"


def test_two_run_at_once_and_know_nothing_of_each_other(
    control_plane: plane.ControlPlane, tmp_path: Path
) -> None:
    """The second one has ports, keys and data of its own."""
    began = time.monotonic()
    with plane.ControlPlane(tmp_path / "second") as second:
        sys.stdout.write(f"a control plane started in {time.monotonic() - began:.1f} s\n")
        second.api.request("POST", NAMESPACES, {"metadata": {"name": "only-here"}})

        with pytest.raises(errors.ApiError) as caught:
            control_plane.api.request("GET", f"{NAMESPACES}/only-here")

    assert caught.value.status == 404


def test_the_api_server_goes_and_comes_back_as_it_was(tmp_path: Path) -> None:
    """The same address, the same objects, the same credentials: an outage and no more."""
    with plane.ControlPlane(tmp_path / "plane") as running:
        address = running.server
        running.api.request("POST", NAMESPACES, {"metadata": {"name": "kept"}})
        token = running.add_service_account("kept", "worker")

        running.stop_apiserver()

        with pytest.raises(ConnectionRefusedError):
            running.api.request("GET", "/readyz")

        running.start_apiserver()

        assert running.server == address
        assert running.api.request("GET", f"{NAMESPACES}/kept")["metadata"]["name"] == "kept"
        running.kubectl("-n", "kept", "get", "secrets", env={"KUBECONFIG": str(token)})


def test_a_port_that_is_taken_in_the_last_moment_leads_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our look and the server's bind another program may come."""
    find = plane.free_ports
    with socket.socket() as rival:
        rival.bind(("127.0.0.1", 0))
        rival.listen()
        taken = rival.getsockname()[1]
        answers = [[taken, *find(2)], find(3)]
        expected = answers[1][0]
        monkeypatch.setattr(plane, "free_ports", lambda _: answers.pop(0))

        with plane.ControlPlane(tmp_path / "plane") as running:
            assert running.server == f"https://127.0.0.1:{expected}"


def test_a_start_that_fails_says_what_the_component_said(tmp_path: Path) -> None:
    """And leaves nothing running."""
    with pytest.raises(errors.StartError) as caught:
        plane.ControlPlane(tmp_path / "plane", apiserver_args=["--no-such-flag"])

    assert "kube-apiserver ended with 1" in str(caught.value)
    assert "unknown flag: --no-such-flag" in str(caught.value)

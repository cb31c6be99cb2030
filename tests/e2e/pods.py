"""A pod of the image that runs to its end, under the strictest of the standards for pods."""

import json
import uuid
from typing import Any

from e2e import image, node

_RESTRICTED_POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_RESTRICTED_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def start(running: node.Node, namespace: str, **container: Any) -> str:
    """Start a pod, wait until it runs or has ended, and give its name.

    ``container`` is laid over the one container of the pod: ``args`` or ``command``, say. The pod
    has no token.
    """
    name = f"run-{uuid.uuid4().hex[:6]}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": _RESTRICTED_POD,
            "containers": [
                {
                    "name": "main",
                    "image": image.NAME,
                    "imagePullPolicy": "Never",
                    "securityContext": _RESTRICTED_CONTAINER,
                    **container,
                }
            ],
        },
    }
    running.kubectl("create", "--filename=-", stdin=json.dumps(pod))
    _wait(running, namespace, name, "started")
    return name


def run(running: node.Node, namespace: str, **container: Any) -> str:
    """Run a pod to its end and give what it printed; AssertionError if its exit code is not 0."""
    name = start(running, namespace, **container)
    _wait(running, namespace, name, "ended")
    output = running.kubectl("logs", f"--namespace={namespace}", name).stdout
    ended = running.api.request("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")
    state = ended["status"]["containerStatuses"][0]["state"]["terminated"]
    assert state["exitCode"] == 0, f"{state}\n{output}"
    return output


def _wait(running: node.Node, namespace: str, name: str, moment: str) -> None:
    # A pod that has ended was started; kubectl has no "or", so the container says it.
    status = ".status.containerStatuses[0]"
    condition = {
        "started": f"jsonpath={{{status}.containerID}}",
        "ended": f"jsonpath={{{status}.state.terminated}}",
    }[moment]
    running.kubectl(
        "wait", f"--namespace={namespace}", f"--for={condition}", "--timeout=50s", f"pod/{name}"
    )

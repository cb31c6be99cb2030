"""The floor of a restore: one watch, and one forced apply per foreign event, without looking.

It knows the objects from its own applies, compares nothing, keeps no inventory, writes no record.
Its one concession is that it knows its own writes by their resourceVersion: without that it would
answer itself for ever. Run as ``python -m benchmarks.bare KUBECONFIG NAMESPACE COUNT``.
"""

import json
import sys
from pathlib import Path

from benchmarks import wire


def config_map(namespace: str, number: int) -> dict[str, object]:
    """Give one of the objects of the benchmark: about 1 KB."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"conf-{number:04}",
            "namespace": namespace,
            "labels": {"bench": "restore"},
        },
        "data": {"level": "info", **{f"key{i}": f"value {number} {'x' * 80}" for i in range(9)}},
    }


def main() -> None:
    """Apply the objects, say so, and put back whatever changes, for ever."""
    kubeconfig, namespace, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    bodies = {
        f"conf-{number:04}": json.dumps(config_map(namespace, number)).encode()
        for number in range(count)
    }
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    writer = wire.Connection(kubeconfig)
    own = {name: apply(writer, path, name, body) for name, body in bodies.items()}
    listed = wire.Connection(kubeconfig).call("GET", f"{path}?limit=1")
    print("ready", flush=True)
    version = listed["metadata"]["resourceVersion"]
    for event in wire.Connection(kubeconfig).watch(f"{path}?watch=1&resourceVersion={version}"):
        metadata = event["object"]["metadata"]
        name = metadata["name"]
        if name in bodies and metadata["resourceVersion"] != own[name]:
            own[name] = apply(writer, path, name, bodies[name])


def apply(writer: wire.Connection, path: str, name: str, body: bytes) -> str:
    """Apply one object by force; gives its resourceVersion."""
    answer = writer.call(
        "PATCH",
        f"{path}/{name}?fieldManager=bare&force=true",
        body,
        content_type="application/apply-patch+yaml",
    )
    return str(answer["metadata"]["resourceVersion"])


if __name__ == "__main__":
    main()

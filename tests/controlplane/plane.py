"""A real control plane on free ports: etcd, kube-apiserver, kube-controller-manager.

No nodes and no pods: a webhook is reached by ``clientConfig.url`` on 127.0.0.1. Several can run at
once. It starts in about three seconds and is gone when the program that started it is.
"""

import random
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from controlplane import cluster, errors, process

_BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
_HOSTS = ("127.0.0.1", "10.96.0.1", "localhost", "kubernetes.default.svc")
_PORTS = range(20_000, 32_000)  # below the ports that the kernel gives to outgoing connections
_START_ATTEMPTS = 3


class ControlPlane(cluster.Cluster):
    """A running control plane whose state, keys and logs lie in ``folder``.

    Raises StartError when it does not come up.
    """

    def __init__(self, folder: Path, *, apiserver_args: Sequence[str] = ()) -> None:
        super().__init__(folder, _BINARIES)
        self._apiserver_args = tuple(apiserver_args)
        self._serving = self._authority.serving("apiserver", _HOSTS, now=self._now)
        self._family = process.Family()
        try:
            self._start()
        except BaseException:  # also a Ctrl-C while it starts: leave nothing running
            self._family.close()
            raise

    @property
    def server(self) -> str:
        """The URL of the API server; it stays when the API server is restarted."""
        return f"https://127.0.0.1:{self._ports['apiserver']}"

    def stop_apiserver(self) -> None:
        """Kill the API server and leave the rest running; every connection to it breaks."""
        self._family.stop(self._apiserver)

    def start_apiserver(self) -> None:
        """Start the API server again, at the same address, and wait until it is ready."""
        self._apiserver = self._start_apiserver()
        self._wait_ready()

    def stop(self) -> None:
        """Kill all components; the logs stay in the folder, etcd's data does not."""
        self._family.close()
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)

    def _start(self) -> None:
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                self._start_components()
            except errors.StartError as error:
                # Another program took a port between our look and the bind: look again.
                if "address already in use" not in str(error) or attempt == _START_ATTEMPTS:
                    raise
                self._family.close()
                self._family = process.Family()
                shutil.rmtree(self.folder / "etcd", ignore_errors=True)
            else:
                return

    def _start_components(self) -> None:
        self._ports = dict(
            zip(("apiserver", "etcd", "etcd-peer"), free_ports(3), strict=True),
        )
        self._connect()
        self._children = [
            self._component(
                "etcd", *self.etcd_flags(self._ports["etcd"], peer_port=self._ports["etcd-peer"])
            )
        ]
        self._apiserver = self._start_apiserver()
        self._wait_ready()
        # Only now: it gives up when the API server is not there within ten seconds.
        self._children.append(
            self._component(
                "kube-controller-manager", *self.controller_manager_flags(), "--secure-port=0"
            )
        )
        self._bind_dev()
        self._wait(
            "the controllers",
            self._has_default_account,
            children=[*self._children, self._apiserver],
        )

    def _start_apiserver(self) -> process.Child:
        return self._component(
            "kube-apiserver",
            *self.apiserver_flags(self._serving, etcd_port=self._ports["etcd"]),
            f"--secure-port={self._ports['apiserver']}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--service-cluster-ip-range=10.96.0.0/16",
            *self._apiserver_args,
        )

    def _wait_ready(self) -> None:
        self._wait("the API server", self._is_ready, children=[*self._children, self._apiserver])

    def _component(self, name: str, *args: str) -> process.Child:
        log = self.folder / f"{name}.log"
        return self._family.start([self.binary(name), *args], name=name, log=log)


def free_ports(count: int) -> list[int]:
    """Find ports of 127.0.0.1 that nobody listens on now, all different.

    They lie outside the kernel's range for outgoing connections, so that only another program
    that looks for the same can take one before it is used.
    """
    chooser = random.SystemRandom()  # the test runner seeds the global one, alike for each run
    ports: list[int] = []
    while len(ports) < count:
        port = chooser.choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports

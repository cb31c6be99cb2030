"""A real cluster of one node: etcd, the control plane, containerd, kubelet, kube-proxy, bridge CNI.

All of it runs in mount, network and process namespaces of its own (see init.py), reached over a
pair of virtual network devices: the node is `ADDRESS`, this machine is `HOST_ADDRESS`. It has no
other route, so nothing in it leaves the machine. A server that pods shall reach, such as one of
Git, listens on `HOST_ADDRESS`. Pods have no DNS.

The addresses are fixed, so there is one node at a time on a machine; a second run waits for it.
"""

import contextlib
import ipaddress
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from controlplane import binaries, cluster, errors, process, progress
from e2e import cgroups, configuration, machine

NAME = "node1"
SUBNET = "10.213.0.0/16"
HOST_ADDRESS = "10.213.0.1"
ADDRESS = "10.213.0.2"
PODS = "10.213.1.0/24"
SERVICES = "10.213.16.0/20"
LINK = "holdfast-e2e"
"""The device at this machine's end of the pair."""

_API_PORT, _ETCD_PORT, _ETCD_PEER_PORT = 6443, 2379, 2380
_FOLDERS = ("kubelet", "cni", "varlog", "cgroups", "sysctl", "containerd", "network")
_MOUNT_POINTS = (Path("/var/lib/kubelet"), Path("/var/lib/cni"))
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PODS_FORMAT = '{range .items[*]}{.metadata.namespace}{" "}{.metadata.name}{"\\n"}{end}'
_GONE_SECONDS = 10.0
_HELM_SECONDS = 300.0
_IMPORT_SECONDS = 120.0


class Node(cluster.Cluster):
    """A running cluster with one node that is Ready; its state and logs lie in ``folder``.

    ``images`` are OCI archives for containerd, the pause image among them. Raises Unfit when the
    machine cannot run a node, and StartError when the node does not come up.
    """

    def __init__(
        self, folder: Path, images: Sequence[Path], *, apiserver_args: Sequence[str] = ()
    ) -> None:
        super().__init__(folder, binaries.NODE)
        self._apiserver_args = tuple(apiserver_args)
        self._lock = machine.only_one(
            binaries.cache_folder(os.environ) / "node.lock", tell=progress.Progress(sys.stderr)
        )
        self._made: list[Path] = []
        self._family = process.Family()
        self._unshare: process.Child | None = None
        self._init = 0
        try:
            machine.require()
            machine.require_free(SUBNET)
            self._start(images)
        except BaseException:  # also a Ctrl-C while it starts: leave nothing behind
            self.stop()
            raise

    @property
    def server(self) -> str:
        """The URL of the API server, the same from this machine, the node and its pods."""
        return f"https://{ADDRESS}:{_API_PORT}"

    def load(self, archive: Path) -> None:
        """Give containerd the images of an OCI archive, under the names within."""
        self.inside("ctr", *self._ctr_flags(), "images", "import", str(archive))

    def image_bytes(self, name: str) -> int:
        """Give what the files of an image take on the disk, all layers together."""
        view = self.folder / "view"
        view.mkdir(exist_ok=True)
        self.inside("ctr", *self._ctr_flags(), "images", "mount", name, str(view))
        try:
            du = self.inside("du", "--summarize", "--bytes", "--one-file-system", str(view))
        finally:
            self.inside("ctr", *self._ctr_flags(), "images", "unmount", "--rm", str(view))
        return int(du.split()[0])

    def inside(self, *argv: str | Path) -> str:
        """Run a program of this machine inside the node and give its output.

        Raises CommandError if it fails.
        """
        return machine.run(
            [*self._nsenter(), "env", f"PATH={_PATH}", *argv], timeout_seconds=_IMPORT_SECONDS
        )

    def helm(
        self,
        *args: str | Path,
        user: str = "admin",
        stdin: str | None = None,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the real helm as a person. Raises CommandError if it fails and ``check`` is set."""
        state = self.folder / "helm"
        result = subprocess.run(
            [self.binary("helm"), *args],
            env={
                **self.kubectl_environment(user),
                # A developer's own repositories and plugins are not for tests.
                "HELM_CACHE_HOME": str(state / "cache"),
                "HELM_CONFIG_HOME": str(state / "config"),
                "HELM_DATA_HOME": str(state / "data"),
                **(env or {}),
            },
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=_HELM_SECONDS,
            check=False,
        )
        if check and result.returncode != 0:
            command = " ".join(str(arg) for arg in args)
            message = (
                f"`helm {command}` as {user} exited with {result.returncode}:\n"
                f"{errors.tail(result.stderr)}"
            )
            raise errors.CommandError(message)
        return result

    def story(self) -> str:
        """Tell what explains a failed test: pods, the last events, the end of what pods print."""
        parts = [
            self._told("get", "pods", "--all-namespaces", "--output=wide"),
            errors.tail(
                self._told("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"),
                lines=40,
            ),
        ]
        listing = self._told("get", "pods", "--all-namespaces", f"--output=jsonpath={_PODS_FORMAT}")
        for namespace, name in (line.split() for line in listing.splitlines()):
            log = self._told(
                "logs", "--all-containers", "--prefix", f"--namespace={namespace}", name
            )
            parts.append(f"{namespace}/{name}:\n{errors.tail(log)}")
        return "\n\n".join(parts)

    def stop(self) -> None:
        """End the node; the kernel takes back all that it had. The logs stay in the folder."""
        if self._unshare is not None and self._unshare.running() and self._init:
            # Before their parents out here, who then take the exit status of each.
            os.kill(self._init, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._unshare.popen.wait(_GONE_SECONDS)
        self._family.close()
        # It goes with its peer, whose namespace the kernel may take a moment to dissolve.
        with contextlib.suppress(errors.CommandError):
            machine.run(["ip", "link", "delete", LINK])
        cgroups.remove()
        for path in reversed(self._made):
            with contextlib.suppress(OSError):
                path.rmdir()
        for name in ("etcd", *_FOLDERS):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        os.close(self._lock)

    def _start(self, images: Sequence[Path]) -> None:
        self._prepare()
        init = self._start_init()
        self._connect()
        etcd = self._component(
            "etcd",
            self.binary("etcd"),
            *self.etcd_flags(_ETCD_PORT, peer_port=_ETCD_PEER_PORT),
        )
        containerd = self._component(
            "containerd", "/usr/bin/containerd", f"--config={self._files.containerd}"
        )
        apiserver = self._component(
            "kube-apiserver",
            self.binary("kube-apiserver"),
            *self.apiserver_flags(self._serving, etcd_port=_ETCD_PORT),
            f"--secure-port={_API_PORT}",
            f"--advertise-address={ADDRESS}",
            f"--service-cluster-ip-range={SERVICES}",
            f"--kubelet-client-certificate={self._clients['admin'].certificate}",
            f"--kubelet-client-key={self._clients['admin'].key}",
            f"--kubelet-certificate-authority={self._authority.pair.certificate}",
            "--kubelet-preferred-address-types=InternalIP",
            "--enable-admission-plugins=NodeRestriction",
            *self._apiserver_args,
        )
        children = [init, etcd, containerd, apiserver]
        self._wait("containerd", self._has_containerd, children=children)
        for archive in images:
            self.load(archive)
        self._wait("the API server", self._is_ready, children=children)
        children += self._start_controllers()
        self._bind_dev()
        self._wait("the node", self._is_node_ready, children=children)
        self._wait("the controllers", self._has_default_account, children=children)

    def _prepare(self) -> None:
        for name in _FOLDERS:
            (self.folder / name).mkdir(exist_ok=True)
        for path in _MOUNT_POINTS:
            if not path.exists():
                path.mkdir()
                self._made.append(path)
        cgroups.make()
        first_service = str(ipaddress.ip_network(SERVICES)[1])
        self._serving = self._authority.serving(
            "apiserver",
            [ADDRESS, "127.0.0.1", first_service, "localhost", "kubernetes.default.svc"],
            now=self._now,
        )
        self._files = configuration.write(
            self.folder,
            node=NAME,
            address=ADDRESS,
            pods=PODS,
            cgroup=f"/{cgroups.NAME}",
            authority=self._authority.pair.certificate,
            kubelet=self._authority.serving("kubelet", [ADDRESS, NAME], now=self._now),
            proxy_kubeconfig=self.add_user("system:kube-proxy"),
        )

    def _start_init(self) -> process.Child:
        self._unshare = init = self._family.start(
            [
                *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"),
                *("--mount-proc", "--propagation=private"),
                *(sys.executable, "-I", "-S", Path(__file__).with_name("init.py"), self.folder),
            ],
            name="the node's init",
            log=self.folder / "init.log",
        )
        self._wait("the node's init", (self.folder / "mounted").exists, children=[init])
        children = Path(f"/proc/{init.pid}/task/{init.pid}/children")
        self._init = int(children.read_text())
        peer = ["type", "veth", "peer", "name", "eth0", "netns", str(self._init)]
        machine.run(["ip", "link", "add", LINK, *peer])
        machine.run(["ip", "address", "add", f"{HOST_ADDRESS}/24", "dev", LINK])
        machine.run(["ip", "link", "set", LINK, "up"])
        for network in (PODS, SERVICES):
            machine.run(["ip", "route", "add", network, "via", ADDRESS])
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "address", "add", f"{ADDRESS}/24", "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")
        # So that connecting to a Service has a route; kube-proxy rewrites it before it is taken.
        self.inside("ip", "route", "add", SERVICES, "via", HOST_ADDRESS)
        return init

    def _start_controllers(self) -> list[process.Child]:
        authority = self._authority.pair
        scheduler = self.add_user("system:kube-scheduler")
        kubelet = self.add_user(f"system:node:{NAME}", ["system:nodes"])
        return [
            self._component(
                "kube-controller-manager",
                self.binary("kube-controller-manager"),
                *self.controller_manager_flags(),
                "--bind-address=127.0.0.1",
                f"--cluster-signing-cert-file={authority.certificate}",
                f"--cluster-signing-key-file={authority.key}",
            ),
            self._component(
                "kube-scheduler",
                self.binary("kube-scheduler"),
                f"--kubeconfig={scheduler}",
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
            ),
            self._component(
                "kubelet",
                self.binary("kubelet"),
                f"--config={self._files.kubelet}",
                f"--kubeconfig={kubelet}",
                f"--hostname-override={NAME}",
                f"--node-ip={ADDRESS}",
                "--root-dir=/var/lib/kubelet",
            ),
            self._component(
                "kube-proxy", self.binary("kube-proxy"), f"--config={self._files.proxy}"
            ),
        ]

    def _component(self, name: str, *argv: str | Path) -> process.Child:
        return self._family.start(
            [*self._nsenter(), *argv],
            name=name,
            log=self.folder / f"{name}.log",
            env={**os.environ, "PATH": _PATH},
        )

    def _nsenter(self) -> list[str]:
        return ["nsenter", f"--target={self._init}", "--mount", "--net", "--pid", "--"]

    def _ctr_flags(self) -> list[str]:
        return [f"--address={self._files.socket}", "--namespace=k8s.io"]

    def _has_containerd(self) -> bool:
        try:
            self.inside("ctr", *self._ctr_flags(), "version")
        except errors.CommandError:
            return False
        return True

    def _is_node_ready(self) -> bool:
        try:
            node = self.api.request("GET", f"/api/v1/nodes/{NAME}", timeout_seconds=2.0)
        except (OSError, errors.ApiError):
            return False
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in node["status"].get("conditions", ())
        )

    def _told(self, *args: str) -> str:
        try:
            result = self.kubectl(*args, check=False)
        except subprocess.TimeoutExpired:
            return "kubectl did not answer"
        return (result.stdout + result.stderr).strip()

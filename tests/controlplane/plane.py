"""A real control plane on free ports: etcd, kube-apiserver, kube-controller-manager.

No nodes and no pods: a webhook is reached by ``clientConfig.url`` on 127.0.0.1. Several can run at
once. It starts in about three seconds and is gone when the program that started it is.
"""

import datetime as dt
import os
import random
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from controlplane import api, binaries, errors, kubeconfigs, pki, process

_BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
_HOSTS = ("127.0.0.1", "10.96.0.1", "localhost", "kubernetes.default.svc")
_PORTS = range(20_000, 32_000)  # below the ports that the kernel gives to outgoing connections
_START_ATTEMPTS = 3
_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05
_COMMAND_SECONDS = 60.0
_TOKEN_LIFE = dt.timedelta(days=1)
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


class ControlPlane:
    """A running control plane whose state, keys and logs lie in ``folder``.

    People: ``admin`` (system:masters) and ``alice`` (group dev, which is bound to cluster-admin).
    Use it as a context manager, or call `stop`. Raises StartError when it does not come up.
    """

    def __init__(self, folder: Path, *, apiserver_args: Sequence[str] = ()) -> None:
        self.folder = folder
        self._apiserver_args = tuple(apiserver_args)
        self._binaries = binaries.ensure(_BINARIES)
        self._now = dt.datetime.now(dt.UTC)
        folder.mkdir(parents=True, exist_ok=True)
        self._authority = pki.Authority.create(folder / "pki", now=self._now)
        self._serving = self._authority.serving("apiserver", _HOSTS, now=self._now)
        pki.write_key(folder / "pki" / "service-accounts.key")
        self._clients = {
            user: self._authority.client(user, groups, now=self._now)
            for user, groups in {"admin": ["system:masters"], "alice": ["dev"]}.items()
        }
        self._family = process.Family()
        try:
            self._start()
        except BaseException:  # also a Ctrl-C while it starts: leave nothing running
            self._family.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def server(self) -> str:
        """The URL of the API server; it stays when the API server is restarted."""
        return f"https://127.0.0.1:{self._ports['apiserver']}"

    @property
    def ca_pem(self) -> str:
        """The certificate of the authority that signed the API server's."""
        return self._authority.pair.certificate.read_text()

    def binary(self, name: str) -> Path:
        """Give the path of a binary: etcd, kube-apiserver, kube-controller-manager, kubectl, helm.

        One that the control plane itself does not need is built now if it is missing.
        """
        return self._binaries.get(name) or binaries.locate(name)

    def kubeconfig(self, user: str) -> Path:
        """Give the kubeconfig of a person: admin, alice, or one that `add_user` made."""
        if user not in self._clients:
            message = f"There is no user {user}; there are {', '.join(sorted(self._clients))}."
            raise errors.ControlPlaneError(message)
        return self.folder / f"{user}.kubeconfig"

    def add_user(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Make a client certificate for one more person and give the kubeconfig."""
        self._clients[user] = self._authority.client(user, groups, now=self._now)
        return self._write_kubeconfig(user)

    def token_kubeconfig(self, namespace: str, account: str) -> Path:
        """Ask for a real token of a service account and give a kubeconfig with it.

        The token is good for a day. Raises ApiError if there is no such account.
        """
        answer = self.api.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": int(_TOKEN_LIFE.total_seconds())},
            },
        )
        return kubeconfigs.write(
            self.folder / f"{namespace}.{account}.kubeconfig",
            user=f"{namespace}/{account}",
            server=self.server,
            ca_pem=self.ca_pem,
            credentials=kubeconfigs.token(answer["status"]["token"]),
        )

    def add_service_account(
        self, namespace: str, account: str, *, role: str | None = "cluster-admin"
    ) -> Path:
        """Make a service account, bound to a ClusterRole within its namespace; give a kubeconfig.

        With ``role`` None it may do what every account may, and no more.
        """
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.api.ensure(accounts, {"metadata": {"name": account}})
        if role is not None:
            self.api.ensure(
                f"{_RBAC}/namespaces/{namespace}/rolebindings",
                {
                    "metadata": {"name": f"{account}-{role}"},
                    "roleRef": _cluster_role(role),
                    "subjects": [
                        {"kind": "ServiceAccount", "name": account, "namespace": namespace}
                    ],
                },
            )
        return self.token_kubeconfig(namespace, account)

    def kubectl(
        self,
        *args: str,
        user: str = "admin",
        stdin: str | None = None,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout_seconds: float = _COMMAND_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run the real kubectl as a person; ``env`` is added to the environment.

        Raises CommandError with kubectl's words if it fails and ``check`` is set.
        """
        result = subprocess.run(
            [self.binary("kubectl"), *args],
            env={**self.kubectl_environment(user), **(env or {})},
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        if check and result.returncode != 0:
            said = errors.tail(result.stderr)
            message = (
                f"`kubectl {' '.join(args)}` as {user} exited with {result.returncode}:\n{said}"
            )
            raise errors.CommandError(message)
        return result

    def kubectl_environment(self, user: str) -> dict[str, str]:
        """Give the environment for a person's kubectl, which leaves the home folder alone."""
        return {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig(user)),
            "KUBECACHEDIR": str(self.folder / "kubectl-cache"),
            "KUBERC": "off",  # a developer's own kubectl preferences are not for tests
        }

    def stop_apiserver(self) -> None:
        """Kill the API server and leave the rest running; every connection to it breaks."""
        self._family.stop(self._apiserver)

    def start_apiserver(self) -> None:
        """Start the API server again, at the same address, and wait until it is ready."""
        self._apiserver = self._start_apiserver()
        self._wait("the API server", self._is_ready)

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
        for user in self._clients:
            self._write_kubeconfig(user)
        self._children = [self._start_etcd()]
        self._apiserver = self._start_apiserver()
        admin = self._clients["admin"]
        tls = ssl.create_default_context(cadata=self.ca_pem)
        tls.load_cert_chain(admin.certificate, admin.key)
        self.api = api.Api(self.server, tls)
        self._wait("the API server", self._is_ready)
        # Only now: it gives up when the API server is not there within ten seconds.
        self._children.append(self._start_controller_manager())
        self.api.ensure(
            f"{_RBAC}/clusterrolebindings",
            {
                "metadata": {"name": "holdfast-test-dev"},
                "roleRef": _cluster_role("cluster-admin"),
                "subjects": [
                    {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "dev"}
                ],
            },
        )
        self._wait("the controllers", self._has_default_account)

    def _start_etcd(self) -> process.Child:
        client = f"http://127.0.0.1:{self._ports['etcd']}"
        peer = f"http://127.0.0.1:{self._ports['etcd-peer']}"
        return self._component(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=error",
        )

    def _start_apiserver(self) -> process.Child:
        service_accounts = self.folder / "pki" / "service-accounts.key"
        return self._component(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._ports['etcd']}",
            f"--secure-port={self._ports['apiserver']}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--tls-cert-file={self._serving.certificate}",
            f"--tls-private-key-file={self._serving.key}",
            f"--client-ca-file={self._authority.pair.certificate}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={service_accounts}",
            f"--service-account-signing-key-file={service_accounts}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC,Node",
            "--allow-privileged",
            *self._apiserver_args,
        )

    def _start_controller_manager(self) -> process.Child:
        return self._component(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig('admin')}",
            f"--service-account-private-key-file={self.folder / 'pki' / 'service-accounts.key'}",
            f"--root-ca-file={self._authority.pair.certificate}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--secure-port=0",
            # The default 20 a second makes new namespaces wait for their service account.
            "--kube-api-qps=300",
            "--kube-api-burst=600",
        )

    def _component(self, name: str, *args: str) -> process.Child:
        log = self.folder / f"{name}.log"
        return self._family.start([self.binary(name), *args], name=name, log=log)

    def _write_kubeconfig(self, user: str) -> Path:
        pair = self._clients[user]
        return kubeconfigs.write(
            self.folder / f"{user}.kubeconfig",
            user=user,
            server=self.server,
            ca_pem=self.ca_pem,
            credentials=kubeconfigs.certificate(pair.certificate.read_text(), pair.key.read_text()),
        )

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not ready():
            children = [*self._children, self._apiserver]
            dead = next((child for child in children if not child.running()), None)
            if dead is not None:
                message = f"The control plane did not start: {dead.story()}"
                raise errors.StartError(message)
            if time.monotonic() > deadline:
                stories = "\n".join(child.story() for child in children)
                message = f"{what} did not become ready in {_READY_SECONDS:.0f} s.\n{stories}"
                raise errors.StartError(message)
            time.sleep(_POLL_SECONDS)

    def _is_ready(self) -> bool:
        return self._answers("/readyz")

    def _has_default_account(self) -> bool:
        return self._answers("/api/v1/namespaces/default/serviceaccounts/default")

    def _answers(self, path: str) -> bool:
        try:
            self.api.request("GET", path, timeout_seconds=2.0)
        except (OSError, errors.ApiError):
            return False
        return True


def _cluster_role(name: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}


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

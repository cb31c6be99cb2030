"""What every test cluster has, however it is run: people, accounts, kubeconfigs and kubectl."""

import abc
import datetime as dt
import os
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from controlplane import api, binaries, errors, kubeconfigs, pki, process

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05
_COMMAND_SECONDS = 60.0
_TOKEN_LIFE = dt.timedelta(days=1)
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


class Cluster(abc.ABC):
    """A cluster whose keys, kubeconfigs and logs lie in ``folder``.

    People: ``admin`` (system:masters) and ``alice`` (group dev, which is bound to cluster-admin).
    Use it as a context manager, or call `stop`.
    """

    api: api.Api
    """Requests as admin; there once the cluster is up."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self._binaries = binaries.ensure(names)
        self._now = dt.datetime.now(dt.UTC)
        folder.mkdir(parents=True, exist_ok=True)
        self._authority = pki.Authority.create(folder / "pki", now=self._now)
        pki.write_key(self._service_accounts_key)
        self._clients = {
            user: self._authority.client(user, groups, now=self._now)
            for user, groups in {"admin": ["system:masters"], "alice": ["dev"]}.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    @abc.abstractmethod
    def server(self) -> str:
        """The URL of the API server, as it is reached from here."""

    @abc.abstractmethod
    def stop(self) -> None:
        """End all that runs; the logs stay in the folder."""

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

    def etcd_flags(self, client_port: int, *, peer_port: int) -> list[str]:
        """Give the flags of an etcd on these ports of 127.0.0.1, with its data in the folder."""
        client, peer = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
        return [
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=error",
        ]

    def apiserver_flags(self, serving: pki.Pair, *, etcd_port: int) -> list[str]:
        """Give the flags of the API server that do not depend on where it listens."""
        return [
            f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={self._authority.pair.certificate}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._service_accounts_key}",
            f"--service-account-signing-key-file={self._service_accounts_key}",
            "--authorization-mode=RBAC,Node",
            "--allow-privileged",
        ]

    def controller_manager_flags(self) -> list[str]:
        """Give the flags of the controller manager, which acts as admin."""
        return [
            f"--kubeconfig={self.kubeconfig('admin')}",
            f"--service-account-private-key-file={self._service_accounts_key}",
            f"--root-ca-file={self._authority.pair.certificate}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            # The default 20 a second makes new namespaces wait for their service account.
            "--kube-api-qps=300",
            "--kube-api-burst=600",
        ]

    @property
    def _service_accounts_key(self) -> Path:
        return self.folder / "pki" / "service-accounts.key"

    def _connect(self) -> None:
        """Write the kubeconfigs and make `api`; to be called once ``server`` is known."""
        for user in self._clients:
            self._write_kubeconfig(user)
        admin = self._clients["admin"]
        tls = ssl.create_default_context(cadata=self.ca_pem)
        tls.load_cert_chain(admin.certificate, admin.key)
        self.api = api.Api(self.server, tls)

    def _bind_dev(self) -> None:
        """Let the group dev do everything, by RBAC and not as system:masters may."""
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

    def _write_kubeconfig(self, user: str) -> Path:
        pair = self._clients[user]
        return kubeconfigs.write(
            self.folder / f"{user}.kubeconfig",
            user=user,
            server=self.server,
            ca_pem=self.ca_pem,
            credentials=kubeconfigs.certificate(pair.certificate.read_text(), pair.key.read_text()),
        )

    def _wait(
        self, what: str, ready: Callable[[], bool], *, children: Iterable[process.Child]
    ) -> None:
        """Wait until it is ready; StartError when a child ends meanwhile, or it takes too long."""
        watched = list(children)
        deadline = time.monotonic() + _READY_SECONDS
        while not ready():
            dead = next((child for child in watched if not child.running()), None)
            if dead is not None:
                message = f"The cluster did not start: {dead.story()}"
                raise errors.StartError(message)
            if time.monotonic() > deadline:
                stories = "\n".join(child.story() for child in watched)
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

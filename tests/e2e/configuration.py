"""The configuration files of what runs on the node. They are JSON, which is YAML too, but one."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from controlplane import pki

PAUSE = "localhost/pause:e2e"
"""The image that holds the namespaces of a pod."""


@dataclasses.dataclass(frozen=True, slots=True)
class Files:
    """Where the files are, and the socket of containerd."""

    containerd: Path
    kubelet: Path
    proxy: Path
    socket: Path


def write(
    folder: Path,
    *,
    node: str,
    address: str,
    pods: str,
    cgroup: str,
    authority: Path,
    kubelet: pki.Pair,
    proxy_kubeconfig: Path,
) -> Files:
    """Write all of them below a folder."""
    files = Files(
        containerd=folder / "containerd.toml",
        kubelet=folder / "kubelet.json",
        proxy=folder / "kube-proxy.json",
        socket=folder / "containerd" / "containerd.sock",
    )
    # In a pod: refused at once, not after the five seconds of a resolver that is not there.
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    files.containerd.write_text(_containerd(folder, files.socket))
    _json(folder / "network" / "10-bridge.conflist", _network(pods))
    _json(files.kubelet, _kubelet(folder, files.socket, address, cgroup, authority, kubelet))
    _json(files.proxy, _proxy(node, pods, proxy_kubeconfig))
    return files


def _json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2))


def _containerd(folder: Path, socket: Path) -> str:
    # restrict_oom_score_adj: where root may not lower it (CAP_SYS_RESOURCE), runc dies of trying.
    return f"""version = 2
root = "{folder / "containerd" / "root"}"
state = "{folder / "containerd" / "state"}"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  sandbox_image = "{PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder / "network"}"
"""


def _network(pods: str) -> dict[str, Any]:
    return {
        "cniVersion": "0.4.0",
        "name": "e2e",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "ipMasq": False,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/var/lib/cni/networks",
                    "ranges": [[{"subnet": pods}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _kubelet(
    folder: Path,
    socket: Path,
    address: str,
    cgroup: str,
    authority: Path,
    serving: pki.Pair,
) -> dict[str, Any]:
    never = ("memory.available", "nodefs.available", "nodefs.inodesFree")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{socket}",
        "address": address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "cgroupRoot": cgroup,
        "enforceNodeAllocatable": ["none"],
        "failSwapOn": False,
        # A full disk of a developer's machine is no reason to evict what is under test.
        "evictionHard": dict.fromkeys(
            (*never, "imagefs.available", "imagefs.inodesFree"),
            "0%",
        ),
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "resolvConf": str(folder / "resolv.conf"),
        "maxPods": 60,
        "volumePluginDir": "/var/lib/kubelet/volumeplugins",
        "shutdownGracePeriod": "0s",
        "healthzBindAddress": "127.0.0.1",
    }


def _proxy(node: str, pods: str, kubeconfig: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": pods,
        "hostnameOverride": node,
        # The limits of the whole machine's connection tracking stay as they are.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }

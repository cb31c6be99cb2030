"""Process 1 of the node: makes its mounts, says so, and reaps what its parents have left behind.

It runs within new mount, network and process namespaces, so that the kernel takes back everything
with the end of this one process: every process, mount, network device and packet rule.

Usage: init.py FOLDER (the state of the node; its subfolders must exist)
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

# The kubelet insists on these values, which are those of the whole machine; it is shown files that
# hold them already.
_SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def mount(*args: str | Path) -> None:
    """Run the program mount, which must succeed."""
    subprocess.run(["mount", *args], check=True, stdin=subprocess.DEVNULL)


def make_mounts(folder: Path) -> None:
    """Hide the machine's own state behind the node's; /proc is new already."""
    # sysfs shows the network devices of the namespace that it was mounted in.
    cgroups = folder / "cgroups"
    mount("--rbind", "/sys/fs/cgroup", cgroups)
    mount("-t", "sysfs", "sysfs", "/sys")
    mount("--move", cgroups, "/sys/fs/cgroup")
    mount("-t", "tmpfs", "tmpfs", "/run")
    for name in ("lock", "netns"):
        Path("/run", name).mkdir()
    for name in ("kubelet", "cni"):
        mount("--bind", folder / name, f"/var/lib/{name}")
    mount("--bind", folder / "varlog", "/var/log")
    for number, (name, value) in enumerate(_SYSCTLS.items()):
        file = folder / "sysctl" / str(number)
        file.write_text(f"{value}\n")
        mount("--bind", file, f"/proc/sys/{name}")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    # Volumes that the kubelet mounts must be seen by the containers that use them.
    mount("--make-rshared", "/")


def main() -> None:
    """Serve as process 1 until it is killed."""
    folder = Path(sys.argv[1])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    make_mounts(folder)
    (folder / "mounted").touch()
    # Children of others come here when their parents end; there are none of our own.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        signal.sigwait({signal.SIGCHLD})
        reap()


def reap() -> None:
    """Take the exit status of every child that has ended."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


if __name__ == "__main__":
    main()

"""The namespace that the kubeconfig's context names, as kubectl takes it for its default.

Only that one word is read here; the connection itself is guard.cluster's business.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

DEFAULT: Final = "default"

_HOME_FILE: Final = Path("~/.kube/config")
_POD_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def namespace(
    kubeconfig: Path | None,
    context: str | None,
    *,
    environ: Mapping[str, str] = os.environ,
    pod_file: Path = _POD_FILE,
) -> str:
    """Give the namespace to use where none is named.

    Looked for where ``guard.cluster.configuration`` looks for the connection. What cannot be read
    here gives ``default``: connecting tells what is wrong with it.
    """
    if kubeconfig is not None:
        files = [kubeconfig]
    elif environ.get("KUBECONFIG"):
        files = [Path(name) for name in environ["KUBECONFIG"].split(os.pathsep) if name]
    elif "KUBERNETES_SERVICE_HOST" in environ:
        return _text(pod_file).strip() or DEFAULT
    else:
        files = [_HOME_FILE]
    return of_configs([_parse(_text(file.expanduser())) for file in files], context)


def of_configs(configs: Iterable[Mapping[str, Any]], context: str | None) -> str:
    """Find the namespace in kubeconfigs; as in kubectl's merge, the first that says it counts."""
    configs = list(configs)
    wanted = context or next(
        (config["current-context"] for config in configs if config.get("current-context")), None
    )
    for config in configs:
        for entry in config.get("contexts") or ():
            if isinstance(entry, dict) and entry.get("name") == wanted:
                return str((entry.get("context") or {}).get("namespace") or DEFAULT)
    return DEFAULT


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _parse(text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}

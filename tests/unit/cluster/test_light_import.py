"""Reading a kubeconfig loads a small part of kubernetes_asyncio; all the rest is still there."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

PREAMBLE: Final = """
import asyncio, concurrent.futures, json, pathlib, sys, types
from guard.cluster import configuration, library

def load():
    asyncio.run(configuration.load(pathlib.Path(sys.argv[1]), None))

def generated():
    return sum(name.startswith("kubernetes_asyncio.client.models.") for name in sys.modules)

def tell(*values):
    print(json.dumps(values))
"""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_bytes(
        orjson.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path


def fresh(kubeconfig: Path, script: str) -> list[Any]:
    """Run a script in an interpreter of its own and give what it tells."""
    command = [sys.executable, "-W", "error", "-c", PREAMBLE + script, str(kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    told: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_no_generated_module_is_loaded_until_one_is_asked_for(kubeconfig: Path) -> None:
    """Then the library is as if it had been imported as usual, with the classes that we use."""
    script = """
load()
before = generated()
import kubernetes_asyncio
from kubernetes_asyncio import client, watch
from kubernetes_asyncio.client import CoreV1Api
from kubernetes_asyncio.client.models import V1Pod
tell(
    before,
    generated() > 500,
    callable(CoreV1Api.list_namespaced_pod),
    client.ApiClient is kubernetes_asyncio.config.kube_config.ApiClient,
    client.V1Pod is V1Pod,
    type(client) is types.ModuleType,
    "V1Pod" in dir(client.models),
    bool(kubernetes_asyncio.__version__),
    hasattr(client, "Nonsense"),
)
"""
    assert fresh(kubeconfig, script) == [0, *[True] * 7, False]


def test_many_threads_may_ask_at_once(kubeconfig: Path) -> None:
    """Whoever comes while another thread loads gets what it asked for, too."""
    script = """
load()
from kubernetes_asyncio import client
names = ["CoreV1Api", "V1Pod", "ApiException", "models", "AppsV1Api", "V1Secret"] * 2
with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
    found = list(pool.map(lambda name: getattr(client, name), names))
tell(found == [getattr(client, name) for name in names])
"""
    assert fresh(kubeconfig, script) == [True]


def test_a_library_that_is_imported_already_is_used_as_it_is(kubeconfig: Path) -> None:
    """Two copies of one class would not know each other."""
    script = """
import kubernetes_asyncio
theirs = kubernetes_asyncio.client
load()
tell(sys.modules["kubernetes_asyncio.client"] is theirs, type(theirs) is types.ModuleType)
"""
    assert fresh(kubeconfig, script) == [True, True]


@pytest.mark.parametrize(
    "change",
    [
        'library._DEFERRED = ("kubernetes_asyncio", "kubernetes_asyncio.gone")',
        'library._ASKED_FOR = {"Configuration": "gone"}',
    ],
)
def test_a_library_of_another_layout_is_imported_as_a_whole(kubeconfig: Path, change: str) -> None:
    """It costs a second then, and works."""
    script = f"""
{change}
load()
from kubernetes_asyncio import client
tell(generated() > 500, type(client) is types.ModuleType, "CoreV1Api" in vars(client))
"""
    assert fresh(kubeconfig, script) == [True, True, True]


def test_a_further_name_that_the_library_needs_is_found(kubeconfig: Path) -> None:
    """A later release may import more from its client than we know of: it costs time only."""
    script = """
library._ASKED_FOR = {}
load()
tell(generated() > 500)
"""
    assert fresh(kubeconfig, script) == [True]

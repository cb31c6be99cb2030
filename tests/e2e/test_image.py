"""The image runs on a real kubelet under the strictest rules for pods, and is small."""

import pytest
from e2e import image, pods
from e2e import node as node_module

pytestmark = pytest.mark.e2e

MOST_BYTES = 250_000_000

COMPILED = (
    "aiohttp._http_parser, cryptography.x509, msgspec, orjson, pydantic, "
    "sqlalchemy.ext.asyncio, uvloop, yaml._yaml"
)


def test_it_says_its_version_under_the_restricted_standard(
    node: node_module.Node, restricted: str
) -> None:
    """Non-root by its own number, no capability, no writable file: nothing more is needed."""
    output = pods.run(node, restricted, args=["version", "--client"])

    assert image.version() in output


def test_it_takes_less_than_250_megabytes(node: node_module.Node) -> None:
    """A node pulls it before admission is judged again."""
    assert node.image_bytes(image.NAME) < MOST_BYTES


def test_what_it_runs_is_there_and_what_builds_it_is_not(
    node: node_module.Node, restricted: str
) -> None:
    """Git and ssh run without a home; there is no compiler, no linker, no pip."""
    script = """
        test "$(id -u)" = 65532
        git --version
        ssh -V 2>&1
        git ls-remote https://127.0.0.1:1/x 2>&1 | grep -q 'unable to access'
        for name in cc gcc g++ c++ make ld as strip pip; do
            if command -v "$name"; then exit 3; fi
        done
        if touch /var/lib/holdfast/x 2> /dev/null; then exit 4; fi
    """

    output = pods.run(node, restricted, command=["sh", "-eux", "-c", script])

    assert "git version 2." in output
    assert "OpenSSH" in output


def test_every_compiled_package_can_be_imported(node: node_module.Node, restricted: str) -> None:
    """What was stripped of its symbols still works."""
    pods.run(node, restricted, command=["python3", "-c", f"import {COMPILED}"])


def test_all_that_is_imported_at_start_is_compiled_already(
    node: node_module.Node, restricted: str
) -> None:
    """No bytecode can be written later, and compiling at each start takes a second of CPU."""
    script = """
import importlib.util, os, sys
import guard.cli.guard_process, guard.cli.main, webhook.process
files = [getattr(module, "__file__", None) or "" for module in sys.modules.values()]
sources = [file for file in files if file.endswith(".py")]
print(sorted(s for s in sources if not os.path.exists(importlib.util.cache_from_source(s))))
"""

    output = pods.run(node, restricted, command=["python3", "-c", script])

    assert output.splitlines()[-1] == "[]"

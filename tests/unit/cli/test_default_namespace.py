"""The namespace of an object that is named without one."""

import json
from pathlib import Path

import pytest

from guard.cli import contexts


def config(current: str | None, **namespaces: str) -> dict[str, object]:
    """Give a kubeconfig whose contexts name these namespaces."""
    return {
        "current-context": current,
        "contexts": [
            {"name": name, "context": {"cluster": "c", "namespace": namespace}}
            for name, namespace in namespaces.items()
        ],
    }


@pytest.mark.parametrize(
    ("configs", "context", "expected"),
    [
        ([config("a", a="shop", b="bank")], None, "shop"),
        ([config("a", a="shop", b="bank")], "b", "bank"),
        ([config("a", a="shop")], "unknown", "default"),
        ([config("a", a="")], None, "default"),
        ([config(None), config("b", b="bank")], None, "bank"),
        ([config("a", a="shop"), config("b", a="other")], None, "shop"),
        ([{}], None, "default"),
    ],
)
def test_the_context_names_it(
    configs: list[dict[str, object]], context: str | None, expected: str
) -> None:
    """The chosen or current context names it; of several files the first that says it counts."""
    assert expected == contexts.of_configs(configs, context)


def test_kubeconfig_variable_and_option_are_looked_at(tmp_path: Path) -> None:
    """The option outranks the variable, which may name several files."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(json.dumps(config("a", a="shop")))
    two.write_text(json.dumps(config("b", b="bank")))
    environ = {"KUBECONFIG": f"{tmp_path / 'absent'}:{two}"}

    assert contexts.namespace(None, None, environ=environ) == "bank"
    assert contexts.namespace(one, None, environ=environ) == "shop"


def test_a_pod_has_its_own(tmp_path: Path) -> None:
    """In a pod it is the pod's namespace."""
    file = tmp_path / "namespace"
    file.write_text("holdfast-system\n")
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}

    assert contexts.namespace(None, None, environ=environ, pod_file=file) == "holdfast-system"


def test_a_file_that_cannot_be_read_gives_default(tmp_path: Path) -> None:
    """What is wrong with a kubeconfig is told by connecting, not here."""
    broken = tmp_path / "broken"
    broken.write_text("a: [")

    assert contexts.namespace(broken, None, environ={}) == "default"

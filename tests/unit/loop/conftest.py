"""Values that the unit tests of the loop share."""

from typing import Any

import pytest

from guard.api import keys
from guard.cluster import resources
from guard.loop import plan
from guard.render import manifests

OWNER = plan.Owner("holdfast-system/holdfast", "shop", "shop-prod", "guard-uid")
CONFIG_MAPS = resources.Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
NAMESPACES = resources.Resource("", "v1", "Namespace", "namespaces", namespaced=False)


@pytest.fixture
def owner() -> plan.Owner:
    """Give the Guard on whose behalf everything happens."""
    return OWNER


@pytest.fixture
def manifest() -> Any:
    """Give a maker of ConfigMaps: ``manifest(name, namespace=..., file=..., **data)``."""

    def make(
        name: str, *, namespace: str = "", file: str = "conf.yaml", line: int = 1, **data: Any
    ) -> manifests.Manifest:
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        return manifests.Manifest(obj, file, line)

    return make


@pytest.fixture
def config_maps() -> resources.Resource:
    """Give the resource of ConfigMaps."""
    return CONFIG_MAPS


@pytest.fixture
def namespaces() -> resources.Resource:
    """Give the resource of Namespaces."""
    return NAMESPACES


@pytest.fixture
def key() -> keys.ObjectKey:
    """Give the key of the ConfigMap shop/conf."""
    return keys.ObjectKey("", "ConfigMap", "shop", "conf")

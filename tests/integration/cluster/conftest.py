"""A kind of our own, made when a test wants it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

GADGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.cluster.holdfast.test}
spec:
  group: cluster.holdfast.test
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget, shortNames: [gdg]}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


@pytest.fixture
def gadgets(kubectl: Callable[..., Any]) -> Iterator[Callable[[], None]]:
    """Give what creates the kind Gadget and waits until it is Established."""

    def create() -> None:
        kubectl("apply", "-f", "-", stdin=GADGETS)
        kubectl("wait", "--for=condition=Established", "-f", "-", stdin=GADGETS)

    yield create
    kubectl("delete", "-f", "-", "--ignore-not-found", stdin=GADGETS)

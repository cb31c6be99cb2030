"""Entries for tests of the inventory."""

from collections.abc import Callable

import pytest

from guard.api import keys
from guard.fields.fieldset import FieldSet
from guard.inventory.entries import Entry, State

MakeEntry = Callable[..., Entry]


@pytest.fixture
def make_entry() -> MakeEntry:
    """Give a maker of entries: Deployments of namespace shop, by name."""

    def make(name: str = "web", *, state: State = State.SYNCED, size: int = 1) -> Entry:
        return Entry(
            gvk=keys.GroupVersionKind("apps", "v1", "Deployment"),
            key=keys.ObjectKey("apps", "Deployment", "shop", name),
            resource="deployments",
            uid=f"uid-{name}",
            declared=FieldSet.from_v1(
                {"f:spec": {"f:replicas": {}, "f:strategy": {"p:": {}}, "f:x": {"a:": {}}}}
            ),
            digest="0f" * 32 * size,
            replicas=3,
            state=state,
            file="apps/web.yaml",
            sent="abc",
        )

    return make

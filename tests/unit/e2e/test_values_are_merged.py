"""A test's own values lie over those of the node."""

from e2e import release


def test_objects_are_merged_and_all_else_is_replaced() -> None:
    """As Helm lays one file of values over another."""
    under = {"guard": {"rbac": {"wide": True}, "args": [1, 2]}, "replicas": 2}
    over = {"guard": {"rbac": {"escalate": False}, "args": [3]}, "image": {"tag": "x"}}

    assert release.merged(under, over) == {
        "guard": {"rbac": {"wide": True, "escalate": False}, "args": [3]},
        "replicas": 2,
        "image": {"tag": "x"},
    }
    assert under["guard"] == {"rbac": {"wide": True}, "args": [1, 2]}

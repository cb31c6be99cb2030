"""`holdfast version`: two lines."""

import pytest

from guard.cli import version


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (None, "Holdfast    0.1.0\n"),
        (
            version.Cluster(version="v1.36.3", server="https://10.0.0.1"),
            "Holdfast    0.1.0\nKubernetes  v1.36.3 (https://10.0.0.1)\n",
        ),
        (
            version.Cluster(fault="there is\nno kubeconfig"),
            "Holdfast    0.1.0\nKubernetes  unknown: there is no kubeconfig\n",
        ),
    ],
)
def test_versions_read_like_this(cluster: version.Cluster | None, expected: str) -> None:
    """The own version comes first; the cluster's, or why there is none, is one line."""
    assert expected == version.rendered("0.1.0", cluster)


def test_the_document_leaves_out_what_was_not_asked() -> None:
    """Programs see no server where none was asked."""
    assert version.document("0.1.0", None) == {"clientVersion": "0.1.0"}

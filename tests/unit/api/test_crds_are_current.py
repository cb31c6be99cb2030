"""The custom resource definitions in the chart are those of the Python types."""

import pathlib
from typing import Any

import pytest
import yaml

from guard.api import crds, guards


def test_the_committed_files_are_current() -> None:
    """Whoever changes a type runs `python -m guard.api.crds`."""
    assert crds.stale(crds.DIRECTORY) == {}


def test_check_accepts_what_was_just_written(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Written once, nothing is stale, and a second run writes nothing."""
    directory = tmp_path / "new" / "crds"

    assert crds.main(["--directory", str(directory)]) == 0
    assert capsys.readouterr().out == (
        "wrote driftreports.yaml\nwrote guards.yaml\nwrote inventories.yaml\n"
    )
    assert crds.main(["--check", "--directory", str(directory)]) == 0
    assert crds.main(["--directory", str(directory)]) == 0
    assert capsys.readouterr().out == ""


def test_check_names_what_is_stale_and_shows_the_difference(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Edited, missing and left over: all three, and nothing is written."""
    crds.main(["--directory", str(tmp_path)])
    capsys.readouterr()
    edited = tmp_path / "guards.yaml"
    edited.write_text(edited.read_text("utf-8").replace("default: Deny", "default: Audit"))
    (tmp_path / "inventories.yaml").unlink()
    (tmp_path / "old.yaml").write_text("kind: Old\n")

    assert crds.main(["--check", "--directory", str(tmp_path)]) == 1

    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.err.splitlines()] == [
        "guards.yaml",
        "inventories.yaml",
        "old.yaml",
    ]
    assert "default: Audit\n+" in printed.out
    assert "--- old.yaml (committed)\n" in printed.out
    assert not (tmp_path / "inventories.yaml").exists()


def test_writing_removes_what_nothing_generates(tmp_path: pathlib.Path) -> None:
    """The chart installs whatever lies there."""
    (tmp_path / "old.yaml").write_text("kind: Old\n")

    crds.main(["--directory", str(tmp_path)])

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(crds.files())


@pytest.mark.parametrize("plural", list(crds.definitions()))
def test_a_file_reads_back_as_its_definition(plural: str) -> None:
    """The text says what the types say."""
    assert yaml.safe_load(crds.files()[f"{plural}.yaml"]) == crds.definitions()[plural]


@pytest.mark.parametrize("plural", list(crds.definitions()))
def test_a_definition_outlives_its_release(plural: str) -> None:
    """Helm keeps it on uninstall: with a definition go all its objects."""
    definition = crds.definitions()[plural]

    assert definition["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert definition["spec"]["names"]["categories"] == ["holdfast"]


def test_only_a_guard_has_a_status() -> None:
    """The others are written whole by the guard process."""
    with_status = [
        plural
        for plural, definition in crds.definitions().items()
        if "subresources" in definition["spec"]["versions"][0]
    ]

    assert with_status == [guards.PLURAL]


def walk(schema: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Give every schema below one, with its path."""
    below = [(path, schema)]
    for name, child in schema.get("properties", {}).items():
        below += walk(child, f"{path}.{name}")
    if "items" in schema:
        below += walk(schema["items"], f"{path}[]")
    return below


@pytest.mark.parametrize("plural", list(crds.definitions()))
def test_lists_and_texts_under_rules_are_bounded(plural: str) -> None:
    """The API server reckons the cost of a rule from the bounds, and etcd has a limit."""
    schema = crds.definitions()[plural]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    unbounded = [
        path
        for path, node in walk(schema)
        if (node["type"] == "array" and not {"maxItems", "x-kubernetes-list-type"} <= node.keys())
        or (
            node["type"] == "string"
            and "x-kubernetes-validations" in node
            and "maxLength" not in node
        )
    ]

    assert unbounded == []

"""The table of scalars and our reading of whole files, against the kubectl that is built here."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from controlplane import plane

from guard.render import scalars, yaml

pytestmark = pytest.mark.integration

TABLE = json.loads(
    Path(__file__).parents[2].joinpath("data", "yaml", "scalars.json").read_text("utf-8")
)
HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


class Kubectl:
    """Lets kubectl read a file and write it as JSON, without any server."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary

    def read(self, text: str) -> list[dict[str, Any]] | None:
        """Give the objects of a file, or None where kubectl refuses it."""
        result = subprocess.run(
            [self._binary, "annotate", "--local", "-f", "-", "x=y", "-o", "json"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        if result.returncode != 0:
            return None
        objects = []
        decoder = json.JSONDecoder(parse_int=scalars.json_number, parse_float=scalars.json_number)
        rest = result.stdout.strip()
        while rest:
            obj, end = decoder.raw_decode(rest)
            objects.append(obj)
            rest = rest[end:].lstrip()
        return objects


@pytest.fixture
def kubectl_reader(control_plane: plane.ControlPlane) -> Kubectl:
    """Give the real kubectl as a reader of YAML."""
    return Kubectl(control_plane.binary("kubectl"))


def test_kubectl_reads_the_values_of_the_table_as_the_table_says(kubectl_reader: Kubectl) -> None:
    """One file with all of them, so that the table never becomes an opinion."""
    lines = "".join(f"  k{number}: {text}\n" for number, (text, _) in enumerate(TABLE["values"]))

    read = kubectl_reader.read(f"{HEAD}data:\n{lines}")

    assert read is not None
    data = read[0]["data"]
    expected = {f"k{n}": scalars.normal(value) for n, (_, value) in enumerate(TABLE["values"])}
    assert data == expected
    assert {key: type(value) for key, value in data.items()} == {
        key: type(value) for key, value in expected.items()
    }


def test_kubectl_reads_the_keys_of_the_table_as_the_table_says(kubectl_reader: Kubectl) -> None:
    """A mapping each, since some of them become the same key."""
    lines = "".join(
        f"  k{n}:\n    ? {text}\n    : v\n" for n, (text, _) in enumerate(TABLE["keys"])
    )

    read = kubectl_reader.read(f"{HEAD}data:\n{lines}")

    assert read is not None
    assert read[0]["data"] == {f"k{n}": {key: "v"} for n, (_, key) in enumerate(TABLE["keys"])}


@pytest.mark.parametrize(
    "text",
    [
        "data: {a: on, 0777: 0o17, 1e3: 08}",
        "data:\n  <<: {a: 1, b: 2}\n  b: 3",
        "x: &x {a: [1, {b: y}]}\ndata: *x\nmore: {<<: *x, c: ~}",
        "data: {a: !!str 1, b: !!float 1, c: ! 5, d: !!int '7'}",
        "data:\n  a: |\n    --- # text\n    x\n  b: >-\n    folded\n    text\n",
        "data: {a: \"\\x41\\u00e4\\U0001F600\", b: 'it''s'}",
        "data:\n  2026-01-02: 12:30:45\n  22:22: 2026-01-02T00:00:00Z",
        "data: {a: 9223372036854775807, b: 9223372036854775808, c: -1.5e-9}",
        "# comment\ndata: {} # more\n--- # separator\n" + HEAD + "data: {second: yes}\n---\n",
        "data:\n- a\n-  - b\n   - c\n- {d: }\n",
    ],
)
def test_whole_files_are_read_as_kubectl_reads_them(kubectl_reader: Kubectl, text: str) -> None:
    """Same number of documents, same values."""
    read = kubectl_reader.read(HEAD + text)
    stream = yaml.parse((HEAD + text).encode(), file="a.yaml")

    assert not stream.faults
    ours = [one.value for one in stream.documents]
    for value in ours:
        value["metadata"]["annotations"] = {"x": "y"}
    assert ours == read


@pytest.mark.parametrize("text", ["data: {a: .inf}", "data: {? [a] : 1}", "data: {~: 1}", "a: *x"])
def test_what_kubectl_refuses_is_refused(kubectl_reader: Kubectl, text: str) -> None:
    """We are never more lenient."""
    assert kubectl_reader.read(HEAD + text) is None
    assert yaml.parse((HEAD + text).encode(), file="a.yaml").faults

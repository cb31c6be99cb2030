"""The cache of parsed files."""

import pytest

from guard.render import cache, yaml


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the names of the files that are really parsed."""
    files: list[str] = []
    real = yaml.parse

    def parse(data: bytes, *, file: str) -> yaml.Stream:
        files.append(file)
        return real(data, file=file)

    monkeypatch.setattr(yaml, "parse", parse)
    return files


def test_the_same_content_is_parsed_once(counted: list[str]) -> None:
    """By content: a renamed file costs nothing either."""
    parsed = cache.ParsedFiles()

    first = parsed.parse(b"a: 1\n---\nb: 1.5\n", file="a.yaml")
    second = parsed.parse(b"a: 1\n---\nb: 1.5\n", file="b.yaml")

    assert first == second
    assert counted == ["a.yaml"]


def test_what_was_handed_out_may_be_changed() -> None:
    """The next one gets the content of the file, not what somebody made of it."""
    parsed = cache.ParsedFiles()
    for _ in range(2):
        value = parsed.parse(b"a: {b: 1}\n", file="a.yaml").documents[0].value
        assert value == {"a": {"b": 1}}
        value["a"]["b"] = 2


def test_json_and_yaml_of_one_content_are_two_things() -> None:
    """A JSON file has stricter rules than a YAML file."""
    parsed = cache.ParsedFiles()

    assert not parsed.parse(b"{a: 1}", file="a.yaml").faults
    assert parsed.parse(b"{a: 1}", file="a.json").faults


def test_files_with_faults_are_parsed_again(counted: list[str]) -> None:
    """Their faults name the file, which may be another one next time."""
    parsed = cache.ParsedFiles()

    places = [parsed.parse(b"a: .inf\n", file=file).faults[0].place for file in ("a.yml", "b.yml")]

    assert places == ["a.yml:1", "b.yml:1"]
    assert counted == ["a.yml", "b.yml"]


def test_the_least_recently_used_is_dropped(counted: list[str]) -> None:
    """The cache never grows above its bound."""
    parsed = cache.ParsedFiles(max_bytes=1000)
    for file in ("a", "b", "a", "c", "a", "b"):
        parsed.parse(f"a: {file}\n".encode(), file=file)

    assert counted == ["a", "b", "c", "b"]

"""Aliases are copies, and what they add is bounded before it is built."""

from guard.render import yaml


def _bomb(levels: int) -> bytes:
    lines = ["a0: &a0 [" + ", ".join(["laugh"] * 9) + "]"]
    lines += [
        f"a{level}: &a{level} [" + ", ".join([f"*a{level - 1}"] * 9) + "]"
        for level in range(1, levels)
    ]
    return "\n".join(lines).encode()


def test_an_exploding_file_is_refused() -> None:
    """Nine levels of nine aliases would be 387 million words."""
    stream = yaml.parse(_bomb(9), file="a.yaml")

    assert stream.documents == ()
    assert "Aliases add more than 1048576 bytes" in str(stream.faults[0])


def test_the_bound_is_one_of_the_whole_file() -> None:
    """Many documents with a bit of explosion each are one big explosion."""
    stream = yaml.parse(b"\n---\n".join([_bomb(5)] * 40), file="a.yaml")

    assert stream.faults
    assert len(stream.documents) < 40


def test_few_aliases_are_read() -> None:
    """What people use them for stays far below the bound."""
    stream = yaml.parse(_bomb(4), file="a.yaml")

    assert not stream.faults


def test_an_alias_is_a_copy_of_its_own() -> None:
    """Whoever changes one object must not change another."""
    text = b"labels: &l {app: {name: web}}\nselector: *l\nmerged: {<<: *l}\n"
    value = yaml.parse(text, file="a.yaml").documents[0].value

    value["labels"]["app"]["name"] = "changed"

    assert value["selector"] == {"app": {"name": "web"}}
    assert value["merged"] == {"app": {"name": "web"}}


def test_an_anchor_may_be_named_anew() -> None:
    """The nearest anchor before an alias counts, as in YAML."""
    stream = yaml.parse(b"a: &x 1\nb: *x\nc: &x 2\nd: *x\n", file="a.yaml")

    assert stream.documents[0].value == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_a_key_may_carry_an_anchor() -> None:
    """Rare, and legal."""
    stream = yaml.parse(b"&x name: web\nother: *x\n", file="a.yaml")

    assert stream.documents[0].value == {"name": "web", "other": "name"}

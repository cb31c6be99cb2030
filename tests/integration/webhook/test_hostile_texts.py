"""Whatever is written into an object, kubectl prints lines that a terminal shows as they are."""

import json
from typing import Any

import pytest
from support import polling

pytestmark = pytest.mark.integration

House = Any
"""The House of this folder's conftest, which tests cannot import."""

HOSTILE = {
    "ansi": "\x1b[31mred\x1b]0;title\x07",
    "lines": "one\ntwo\r\nthree",
    "right-to-left": "\u202egnp.exe\u2066x",
    "zero-width": "a\u200bb\ufeffc\u00adc",
    "nul": "a\u0000b",
    "separators": "a\u2028b\u2029c\u0085d",
    "large": "x" * 200_000,
    "large-control": "\x1b" * 50_000,
    "large-secret-words": "token" * 40_000,
    "warning": 'Warning: 299 - "x", 299 - "forged"',
    "backslashes": "\\x1b\\n\\" * 30,
    "forged": "\n\n  Source      https://evil.example (Guard shop-prod)",
}


async def guarded(house: House, mode: str) -> None:
    """Guard a ConfigMap whose every value will be edited, and one with 500 values."""
    await house.guard("Deny")
    names = dict.fromkeys(HOSTILE, "plain")
    many = {f"key-{number:03}": "0" for number in range(500)}
    conf, bulk = house.config_map("conf", **names), house.config_map("bulk", **many)
    conf["metadata"]["annotations"] = {"note": "plain"}
    await house.adopt((conf, "configmaps"), (bulk, "configmaps"))
    await house.refused("label", "configmap/conf", "holdfast.dev/guard-", "--dry-run=server")
    await house.refused("label", "configmap/bulk", "holdfast.dev/guard-", "--dry-run=server")
    await house.guard(mode)


def merge(name: str) -> tuple[str, ...]:
    """Make the arguments of a merge patch from a file: an argument cannot be this long."""
    return ("patch", "configmap", name, "--type=merge", "--patch-file=/dev/stdin")


def is_clean(text: str) -> bool:
    """Tell whether a terminal shows each line as it is."""
    return all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("mode", ["Deny", "Flag"])
async def test_every_line_is_printable_and_short(house: House, mode: str) -> None:
    """Each hostile value is shown escaped, cut, on the line of its field; nothing is forged."""
    await guarded(house, mode)
    body = {"data": HOSTILE, "metadata": {"annotations": {"note": HOSTILE["ansi"]}}}

    async def probe() -> Any:
        answer = await house.run(*merge("conf"), stdin=json.dumps(body))
        assert answer.returncode == (1 if mode == "Deny" else 0), answer.stderr[:500]
        return answer

    told = (await polling.eventually(probe)).stderr

    assert is_clean(told), told
    lines = told.rstrip("\n").split("\n")
    for name in HOSTILE:
        (line,) = [line for line in lines if f"data.{name}" in line.replace(":", " ").split()]
        assert len(line) < 300
        assert "yours " in line
    assert "metadata.annotations.note" in told
    assert told.count("managed from Git") == 1
    if mode == "Deny":
        assert sum(line.startswith("  Source      ") for line in lines) == 1
    else:
        assert all(line.startswith("Warning: ") for line in lines)
        assert len(lines) == 1 + len(HOSTILE) + 1


@pytest.mark.parametrize("mode", ["Deny", "Flag"])
async def test_500_fields_are_25_and_a_number(house: House, mode: str) -> None:
    """None of the warnings is dropped by the API server either."""
    await guarded(house, mode)
    body = {"data": {f"key-{number:03}": "1" for number in range(500)}}

    async def probe() -> Any:
        answer = await house.run(*merge("bulk"), stdin=json.dumps(body))
        assert answer.returncode == (1 if mode == "Deny" else 0), answer.stderr[:500]
        return answer

    told = (await polling.eventually(probe)).stderr

    assert told.count("yours ") == 25
    assert ("  and 475 more\n" if mode == "Deny" else "Warning: and 475 more fields\n") in told
    record = [one for one in house.records() if one.object.name == "bulk" and not one.dry_run][-1]
    assert len(record.changes) == 500

"""`holdfast diff` against a real API server."""

import datetime as dt
import json
import re
from typing import Any

import pytest

pytestmark = pytest.mark.integration


def drift(namespace: str, name: str = "web") -> dict[str, Any]:
    """Give a drift of a Deployment, as a guard process reports it."""
    since = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=30)
    return {
        "object": {
            "group": "apps",
            "version": "v1",
            "kind": "Deployment",
            "namespace": namespace,
            "name": name,
            "uid": "",
        },
        "state": "Drifted",
        "since": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "file": "apps/web.yaml",
        "message": "restoring is switched off",
        "fields": [{"path": "spec.replicas", "kind": "changed", "expected": "3", "live": "5"}],
    }


async def test_without_drift_nothing_is_said_and_the_status_is_0(shop: Any, holdfast: Any) -> None:
    """No drift is no output and exit status 0, before and after there is a report."""
    first = holdfast("diff", "-n", shop.namespace)
    await shop.report_drift()
    second = holdfast("diff", "shop-prod", "-n", shop.namespace)

    assert (first.stdout, first.stderr, first.returncode) == ("", "", 0)
    assert (second.stdout, second.stderr, second.returncode) == ("", "", 0)


@pytest.mark.parametrize("what", [(), ("{namespace}/shop-prod",)])
async def test_a_drift_is_shown_by_field(shop: Any, holdfast: Any, what: tuple[str, ...]) -> None:
    """A drift shows both values, since when, and where the source says so; for all and by Guard."""
    await shop.report_drift(drift(shop.namespace))
    words = [word.format(namespace=shop.namespace) for word in what]

    result = holdfast("diff", *words, "-n", shop.namespace)

    place = f"apps/web.yaml, main@3f2c1d9, Guard {shop.namespace}/shop-prod"
    assert re.sub(r"3[01]m", "30m", result.stdout).splitlines() == [
        f"Deployment {shop.namespace}/web  Drifted for 30m  ({place})",
        "  restoring is switched off",
        "  spec.replicas",
        "    - 3",
        "    + 5",
    ]
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.parametrize("what", [("deployments.apps/web",), ("deploy", "web")])
async def test_one_object_is_found_by_any_name_of_its_kind(
    shop: Any, holdfast: Any, what: tuple[str, ...]
) -> None:
    """An object is named by short name, plural or kind; the drift of others is not shown."""
    await shop.guard(shop.deployment(), "apps/web.yaml")
    await shop.report_drift(drift(shop.namespace), drift(shop.namespace, "other"))

    result = holdfast("diff", *what, "-n", shop.namespace, "-o", "json")

    (found,) = json.loads(result.stdout)
    assert found["object"]["name"] == "web"
    assert found["fields"] == [
        {"path": "spec.replicas", "kind": "changed", "expected": 3, "live": 5}
    ]
    assert result.returncode == 1


async def test_an_object_in_order_differs_in_nothing(shop: Any, holdfast: Any) -> None:
    """A guarded object that no report names is in order: exit status 0."""
    await shop.guard(shop.deployment(), "apps/web.yaml")

    result = holdfast("diff", "deploy/web", "-n", shop.namespace)

    assert (result.stdout, result.returncode) == ("", 0)


async def test_an_object_that_nobody_guards_is_an_error(shop: Any, holdfast: Any) -> None:
    """No difference would be a lie about an object that no Guard looks at."""
    result = holdfast("diff", "sa/default", "-n", shop.namespace)

    assert result.returncode == 2
    assert "not guarded" in result.stderr or "no Guard declares" in result.stderr

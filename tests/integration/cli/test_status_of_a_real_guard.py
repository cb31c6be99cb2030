"""`holdfast status` against a real API server."""

import datetime as dt
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from guard.api.verdicts import Verdict
from guard.audit import record, store

pytestmark = pytest.mark.integration

SYNCED = ("Ready", "True", "Synced", "14 objects are as main@3f2c1d9 says")


def squeezed(text: str) -> list[str]:
    """Give the lines of a table with its gaps made equal."""
    return [re.sub(r" {2,}", "  ", line) for line in text.splitlines()]


async def test_a_guard_in_order_is_one_line_and_exit_status_0(shop: Any, holdfast: Any) -> None:
    """A Guard in order is one line with its counts, and the exit status is 0."""
    await shop.report_status(SYNCED, objects=14, synced=14)

    result = holdfast("status", "-n", shop.namespace)

    header, line = squeezed(result.stdout)
    assert header == "GUARD  REVISION  STATE  OBJECTS  DRIFTED  RESTORED 24H  DENIED 24H  AGE"
    assert re.fullmatch(
        rf"{shop.namespace}/shop-prod  main@3f2c1d9  Synced  14  0  -  -  \d+s", line
    )
    assert (result.returncode, result.stderr) == (0, "")


async def test_drift_is_exit_status_1_with_a_line_that_says_why(shop: Any, holdfast: Any) -> None:
    """Drift is exit status 1, and the message stands below the table."""
    await shop.report_status(
        SYNCED, ("Drifted", "True", "Drifted", "Deployment shop/web differs"), drifted=1
    )

    result = holdfast("status", f"{shop.namespace}/shop-prod")

    assert "  Drifted  " in squeezed(result.stdout)[1]
    assert result.stdout.endswith(
        f"\n{shop.namespace}/shop-prod: Drifted: Deployment shop/web differs\n"
    )
    assert result.returncode == 1


async def test_a_guard_that_nobody_has_looked_at_is_starting(shop: Any, holdfast: Any) -> None:
    """A Guard without a status is Starting, shows no password, and is not in sync."""
    result = holdfast("status", "shop-prod", "-n", shop.namespace, "-o", "json")

    (guard,) = json.loads(result.stdout)
    assert guard["state"] == "Starting"
    assert guard["source"] == SOURCE_SHOWN
    assert "hunter2" not in result.stdout
    assert result.returncode == 1


SOURCE_SHOWN = "https://git.example/shop.git#apps"


async def test_restored_and_denied_are_counted_in_the_audit_store(
    shop: Any, holdfast: Any, tmp_path: Path
) -> None:
    """What was restored and denied within 24 hours is counted, by the store of the Guard."""
    await shop.report_status(SYNCED, objects=14, synced=14)
    state = tmp_path / "state"
    now_ns = time.time_ns()
    day_ns = int(dt.timedelta(hours=25).total_seconds() * 1e9)
    moments = [
        (Verdict.RESTORED, now_ns),
        (Verdict.DENIED, now_ns),
        (Verdict.DENIED, now_ns + 1),
        (Verdict.DENIED, now_ns - day_ns),
    ]
    async with await store.Store.open(state / "audit.db") as records:
        await records.insert(
            record.Record(
                id=record.new_id(at_ns, bytes([number] * 10)),
                time=record.timestamp(at_ns),
                guard=f"{shop.namespace}/shop-prod",
                object=record.ObjectRef(kind="Deployment", name="web"),
                verdict=verdict,
            )
            for number, (verdict, at_ns) in enumerate(moments)
        )

    result = holdfast("status", "-n", shop.namespace)

    assert "  14  0  1  2  " in squeezed(result.stdout)[1]


async def test_a_name_that_no_guard_has_is_an_error(shop: Any, holdfast: Any) -> None:
    """A Guard that does not exist is one sentence on standard error and exit status 2."""
    result = holdfast("status", "shop-test", "-n", shop.namespace)

    assert result.returncode == 2
    assert result.stderr == (
        f"Error: There is no Guard shop-test in the namespace {shop.namespace}.\n"
    )
    assert result.stdout == ""


def test_an_api_server_that_is_away_is_an_error(holdfast: Any, tmp_path: Path) -> None:
    """A server that cannot be reached is one sentence and exit status 2, without a traceback."""
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )

    result = holdfast("status", "--kubeconfig", str(kubeconfig))

    assert result.returncode == 2
    assert re.fullmatch(r"Error: The API server .* cannot be reached .*\n", result.stderr)


async def test_an_account_that_may_list_nothing_is_told_so(
    shop: Any, holdfast: Any, service_account: Any
) -> None:
    """A caller without the rights is told to name a namespace, and then that this is forbidden."""
    kubeconfig = service_account("nobody", role=None)

    everywhere = holdfast("status", "--kubeconfig", str(kubeconfig))
    here = holdfast("status", "--kubeconfig", str(kubeconfig), "-n", shop.namespace)

    assert everywhere.stderr == (
        "Error: You may not list guards.holdfast.dev in all namespaces; name one with -n.\n"
    )
    assert here.stderr == (
        f"Error: You may not list guards.holdfast.dev in the namespace {shop.namespace}.\n"
    )
    assert (everywhere.returncode, here.returncode) == (2, 2)

"""Conditions: when their time moves, and when it does not."""

import datetime as dt

import pydantic

from guard.api import conditions

NOON = dt.datetime(2026, 11, 25, 12, 0, 0, 999_999, tzinfo=dt.UTC)
LATER = NOON + dt.timedelta(minutes=5)


def ready(
    known: list[conditions.Condition],
    status: conditions.Status,
    *,
    now: dt.datetime,
    generation: int = 1,
    message: str = "all is well",
) -> list[conditions.Condition]:
    """Set Ready."""
    return conditions.set_condition(
        known,
        conditions.READY,
        status=status,
        reason="Synced",
        message=message,
        generation=generation,
        now=now,
    )


def test_a_new_condition_is_appended_with_the_time_of_now() -> None:
    """In UTC and whole seconds, as Kubernetes writes times."""
    assert ready([], conditions.Status.TRUE, now=NOON) == [
        {
            "type": "Ready",
            "status": "True",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-25T12:00:00Z",
            "reason": "Synced",
            "message": "all is well",
        }
    ]


def test_the_time_stays_while_the_status_stays() -> None:
    """Reason, message and generation are news; "since when" is not."""
    before = ready([], conditions.Status.TRUE, now=NOON)

    (after,) = ready(before, conditions.Status.TRUE, now=LATER, generation=2, message="still")

    assert after["lastTransitionTime"] == "2026-11-25T12:00:00Z"
    assert after["observedGeneration"] == 2
    assert after["message"] == "still"


def test_the_time_moves_with_the_status() -> None:
    """It says since when the present status holds."""
    before = ready([], conditions.Status.TRUE, now=NOON)

    (after,) = ready(before, conditions.Status.FALSE, now=LATER)

    assert after["lastTransitionTime"] == "2026-11-25T12:05:00Z"


def test_another_time_zone_is_written_in_utc() -> None:
    """Any aware time will do."""
    tokyo = dt.timezone(dt.timedelta(hours=9))

    (after,) = ready([], conditions.Status.TRUE, now=NOON.astimezone(tokyo))

    assert after["lastTransitionTime"] == "2026-11-25T12:00:00Z"


def test_the_others_keep_their_place_and_the_old_list_is_left_alone() -> None:
    """A status is compared with the one before: nothing may move without a reason."""
    stalled = conditions.set_condition(
        ready([], conditions.Status.TRUE, now=NOON),
        conditions.STALLED,
        status=conditions.Status.FALSE,
        reason="Synced",
        message="",
        generation=1,
        now=NOON,
    )

    after = ready(stalled, conditions.Status.FALSE, now=LATER)

    assert [condition["type"] for condition in after] == ["Ready", "Stalled"]
    assert after[1] is stalled[1]
    assert stalled[0]["status"] == "True"


def test_a_condition_is_found_by_its_type() -> None:
    """Or None is."""
    known = ready([], conditions.Status.TRUE, now=NOON)

    assert conditions.find(known, conditions.READY) is known[0]
    assert conditions.find(known, conditions.DRIFTED) is None


def test_too_long_a_message_is_cut() -> None:
    """The API server would refuse the whole status otherwise."""
    (after,) = ready([], conditions.Status.TRUE, now=NOON, message="x" * 40_000)

    assert len(after["message"]) == conditions.MAX_MESSAGE_CHARS
    assert after["message"].endswith("x …")


def test_what_is_set_fits_the_schema() -> None:
    """The type that the CRD is made from takes it."""
    (after,) = ready([], conditions.Status.UNKNOWN, now=NOON)

    assert pydantic.TypeAdapter(conditions.Condition).validate_python(after) == after

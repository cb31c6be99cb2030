"""A question to the store as the query of a URL, and back. Pure.

The names are the fields of ``store.Filter``, ``verdict`` once for each; times are RFC 3339. What is
left out means any. A parameter that is unknown is refused: it would choose fewer records, and an
older guard process that ignored it would give what was not asked for.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Final

from guard.audit import errors, store

Parameters = list[tuple[str, str]]

_TEXTS: Final = ("object", "namespace", "user", "guard")
_TIMES: Final = ("since", "until")
_ALL: Final = 0
"""As a limit."""


def write(wanted: store.Filter) -> Parameters:
    """Give the query of a filter."""
    texts = [(name, getattr(wanted, name)) for name in _TEXTS]
    times = [
        (name, moment.astimezone(dt.UTC).isoformat())
        for name in _TIMES
        if (moment := getattr(wanted, name)) is not None
    ]
    return [
        *((name, text) for name, text in texts if text),
        *(("verdict", str(verdict)) for verdict in wanted.verdicts),
        *times,
        ("limit", str(_ALL if wanted.limit is None else wanted.limit)),
    ]


def read(parameters: Iterable[tuple[str, str]]) -> store.Filter:
    """Read the query of a filter. Raises BadQuery."""
    texts: dict[str, str] = {}
    times: dict[str, dt.datetime] = {}
    verdicts: list[str] = []
    limit: int | None = store.DEFAULT_LIMIT
    for name, value in parameters:
        if name in _TEXTS:
            texts[name] = value
        elif name in _TIMES:
            times[name] = moment(name, value)
        elif name == "verdict":
            verdicts.append(value)
        elif name == "limit":
            limit = _limit(value)
        else:
            message = f"there is no parameter {name!r}"
            raise errors.BadQuery(message)
    return store.Filter(
        object=texts.get("object", ""),
        namespace=texts.get("namespace", ""),
        user=texts.get("user", ""),
        guard=texts.get("guard", ""),
        since=times.get("since"),
        until=times.get("until"),
        verdicts=tuple(verdicts),
        limit=limit,
    )


def moment(name: str, value: str) -> dt.datetime:
    """Read a time. Raises BadQuery for one without an offset: whose noon would it be?"""
    try:
        found = dt.datetime.fromisoformat(value)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        message = f"{name} is no time with an offset, like 2026-01-31T08:00:00Z: {value!r}"
        raise errors.BadQuery(message)
    return found


def _limit(value: str) -> int | None:
    if not (value.isascii() and value.isdecimal()):
        message = f"limit is no number from 0 on: {value!r}"
        raise errors.BadQuery(message)
    return int(value) or None

"""Where the audit records are: in a folder of this machine, or with the guard pod of the cluster.

A person's machine has no folder of the guard process, so the records are read from the pod, through
the API server and with the rights of whoever asks. What either way takes to import is imported
there: the store 0.2 s, the API client 0.3 s.
"""

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guard.audit import record
from guard.cli import options

if TYPE_CHECKING:  # imported for its name alone, it would cost what this module saves
    from guard.audit import store
    from guard.cluster import client as clients

Counts = dict[str, dict[str, int]]
"""By Guard (``namespace/name``) and verdict: how many records."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to look: the folder ``state``, and the installation whose guard pod is asked else.

    ``is_state_given`` says that a person chose the folder: then nowhere else is looked. The last
    two lead to the API server.
    """

    state: Path
    is_state_given: bool
    namespace: str
    release: str
    kubeconfig: Path | None
    context: str | None

    @property
    def file(self) -> Path:
        """The store in the folder, which need not be there."""
        return self.state / options.AUDIT_FILE

    @property
    def is_local(self) -> bool:
        """Whether the records are read from the folder."""
        if self.is_state_given:
            return True
        try:
            return self.file.exists()
        except OSError:  # somebody else's folder
            return False


def chosen(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``place``, and the options that it is made of."""

    @functools.wraps(function)
    def with_place(
        *,
        kubeconfig: Path | None,
        context: str | None,
        holdfast_namespace: str,
        release: str,
        state: Path,
        **others: Any,
    ) -> Any:
        place = Place(
            state=state,
            is_state_given=options.is_given("state"),
            namespace=holdfast_namespace,
            release=release,
            kubeconfig=kubeconfig,
            context=context,
        )
        return function(place=place, **others)

    return options.cluster(options.installation(options.state(with_place)))


async def query(place: Place, wanted: "store.Filter") -> list[record.Record]:
    """Give the records that match, newest first. Raises AuditError, CliError, ClusterError."""
    if place.is_local:
        from guard.audit import store

        async with await store.Store.open_readonly(place.file) as opened:
            return await opened.query(wanted)
    from guard.audit import questions
    from guard.cli import forwarded, session

    async with session.connected(place.kubeconfig, place.context) as client:
        return await forwarded.records(client, place, questions.write(wanted))


async def counts_since(place: Place, since: dt.datetime, client: "clients.Client") -> Counts | None:
    """Count the records since a moment; None if the folder that was chosen has no store.

    Raises AuditError, CliError, ClusterError.
    """
    if not place.is_local:
        from guard.cli import forwarded

        return await forwarded.counts_since(client, place, since)
    if not place.file.exists():
        return None
    from guard.audit import store

    async with await store.Store.open_readonly(place.file) as opened:
        return await opened.counts_since(since)

"""What every loop of a guard process shares: the connection, and time and chance, passed in."""

import dataclasses
import datetime as dt
from collections.abc import Callable

from guard.api import guards
from guard.audit import record as records
from guard.cluster import client as clients
from guard.cluster import timing as timings
from guard.policy import secrecy
from guard.sources import source


@dataclasses.dataclass(frozen=True, slots=True)
class Tools:
    """What every loop of the process shares. Time and chance come in here.

    ``open_source`` makes a source from a spec and the Guard's ``namespace/name``; ``write_record``
    is the spool's append; ``now_ns`` gives wall time in nanoseconds since the epoch, ``entropy``
    that many random bytes; ``is_off`` tells whether the off switch is set.
    """

    client: clients.Client
    installation: str
    masker: secrecy.Masker
    open_source: Callable[[guards.SourceSpec, str], source.Source]
    write_record: Callable[[records.Record], None]
    now_ns: Callable[[], int]
    entropy: Callable[[int], bytes]
    is_off: Callable[[], bool] = lambda: False
    timing: timings.Timing = timings.REAL

    def now(self) -> dt.datetime:
        """Give the wall time, aware, in UTC."""
        return dt.datetime.fromtimestamp(self.now_ns() / 1e9, tz=dt.UTC)

    def now_text(self) -> str:
        """Give the wall time as the API writes it: RFC 3339, whole seconds."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

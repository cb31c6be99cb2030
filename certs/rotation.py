"""What becomes of the certificates next. Pure: facts are passed in, and the answer is one step.

::

    make     an authority and a leaf, where there was nothing
    begin    a new authority in front of the old one, whose key goes; the leaf stays
    sign     a new leaf by the authority in front, once every API server knows that authority
    retire   the old authorities go, once nobody serves a leaf that needs them

Each step is one write of the Secret under the lock of the version that was read, and after each of
them some authority in the bundle verifies whatever leaf a replica still serves. So a process may be
killed between any two steps, or another may take the next one: whoever comes later reads the Secret
and goes on from there.

``ca.crt`` holds the authorities, that of ``ca.key`` first: whatever reads but the first of them, or
all as a bundle, gets along.
"""

import dataclasses
import datetime as dt
import enum
from collections.abc import Sequence
from typing import Final, NamedTuple

from certs import authority, errors


class Mode(enum.StrEnum):
    """Who makes the certificates."""

    SELF = "self"
    """Holdfast."""

    GIVEN = "given"
    """A person, or cert-manager: the Secret is never written."""


class Action(enum.StrEnum):
    """What a step does; see the top of this module."""

    NOTHING = "nothing"
    MAKE = "make"
    BEGIN = "begin"
    SIGN = "sign"
    RETIRE = "retire"


class Parts(NamedTuple):
    """What the Secret holds, as PEM; an absent part is empty."""

    ca_pem: bytes = b""
    ca_key_pem: bytes = b""
    cert_pem: bytes = b""
    key_pem: bytes = b""

    @property
    def signer(self) -> authority.KeyPair:
        """The authority that signs now, possibly followed by those that signed before."""
        return authority.KeyPair(self.ca_pem, self.ca_key_pem)

    @property
    def leaf(self) -> authority.KeyPair:
        """The serving certificate."""
        return authority.KeyPair(self.cert_pem, self.key_pem)


@dataclasses.dataclass(frozen=True, slots=True)
class Lives:
    """How long certificates live; all else that takes time follows from the leaf's life.

    A leaf never outlives its authority, so it should be given less than a third of the
    authority's life: that much is left when the next authority is made.
    """

    ca: dt.timedelta = authority.CA_LIFE
    leaf: dt.timedelta = authority.LEAF_LIFE

    @property
    def settle_seconds(self) -> float:
        """How long an authority stands in the webhook configuration before it signs.

        API servers learn of a change by a watch, usually within milliseconds.
        """
        return _fraction_seconds(self.leaf, 12, max_seconds=30.0)

    @property
    def upkeep_seconds(self) -> float:
        """How often all is looked at, by wall time: a pause can hide no renewal for longer."""
        return _fraction_seconds(self.leaf, 20, max_seconds=30.0)

    @property
    def adoption_seconds(self) -> float:
        """How long a new leaf stands in the Secret before it is asked who serves it.

        Three times what a replica takes to read it, for one that is just starting with the old.
        """
        return 3 * reload_seconds(self.leaf)


DEFAULT_LIVES: Final = Lives()


def reload_seconds(life: dt.timedelta) -> float:
    """Give how often a server looks for a newer leaf than one with this life."""
    return _fraction_seconds(life, 20, max_seconds=10.0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What was seen outside of the Secret. Facts only, so that they hold for whatever it holds now.

    ``known`` are the authorities that stand in every entry of the webhook configuration, and have
    for long enough that every API server knows them; None where nobody needs to be told (there is
    no such configuration). ``served`` are the leaves that the replicas serve, all of them; None
    if that could not be found out. All PEM, as ``authority.split`` gives it.
    """

    known: frozenset[bytes] | None = None
    served: tuple[bytes, ...] | None = None


NOTHING_SEEN: Final = View()


class Step(NamedTuple):
    """What to do, why, and what the Secret holds afterwards."""

    action: Action
    why: str
    parts: Parts


def step(
    parts: Parts,
    *,
    hosts: Sequence[str],
    now: dt.datetime,
    lives: Lives = DEFAULT_LIVES,
    view: View = NOTHING_SEEN,
) -> Step:
    """Give the next step for certificates that are ours. ``now`` is aware.

    Raises BadCertificate if the authority or its key is damaged: what a person did there cannot be
    known, and those who trust it could no more be told. One that expired is replaced.
    """
    if not any(parts):
        made = _with_leaf(_with_authority(parts, now, lives), hosts, now, lives)
        return Step(Action.MAKE, "there are none", made)
    authority.check_authority(parts.signer, now=None)
    current, *former = authority.split(parts.ca_pem)
    if why := _why_begin(parts, now):
        return Step(Action.BEGIN, why, _with_authority(parts, now, lives))
    if why := _why_sign(parts, current, hosts, now):
        if view.known is not None and current not in view.known:
            return Step(Action.NOTHING, f"{why} API servers do not know the new CA yet.", parts)
        return Step(Action.SIGN, why, _with_leaf(parts, hosts, now, lives))
    needed = [one for one in former if not _may_go(one, current, now, view)]
    if len(needed) < len(former):
        why = "No replica serves a certificate that needs the former CA."
        return Step(Action.RETIRE, why, parts._replace(ca_pem=b"".join((current, *needed))))
    why = "Replicas may still need the former CA." if former else "All is in order."
    return Step(Action.NOTHING, why, parts)


def overlap(parts: Parts, standing_pem: bytes, *, now: dt.datetime, view: View) -> bytes:
    """Give the bundle for the API servers when the certificates in the Secret come from others.

    Whoever replaces the CA there replaces the leaf at the same time, so what the API servers knew
    before (``standing_pem``) stays until every replica serves the new leaf, or until it is over.
    Raises BadCertificate if the Secret's are unreadable; a standing bundle that is, counts as none.
    """
    wanted = authority.split(parts.ca_pem)
    leaf, *_ = authority.split(parts.cert_pem)
    try:
        standing = authority.split(standing_pem)
    except errors.BadCertificate:
        standing = ()
    former = [
        one
        for one in dict.fromkeys(standing)
        if one not in wanted
        and not authority.is_over(one, now=now)
        and not _is_proven(view, parts.ca_pem, now, leaf=leaf)
    ]
    return b"".join((*wanted, *former)) if former else parts.ca_pem


def _why_begin(parts: Parts, now: dt.datetime) -> str:
    try:
        authority.check_authority(parts.signer, now=now)
    except errors.BadCertificate as error:
        return str(error)
    due = authority.is_due(parts.signer, now=now)
    return "Two thirds of the life of the CA are over." if due else ""


def _why_sign(parts: Parts, current: bytes, hosts: Sequence[str], now: dt.datetime) -> str:
    try:
        authority.check_leaf(parts.leaf, ca_pem=parts.ca_pem, hosts=hosts, now=now)
        if not authority.is_trusted(parts.cert_pem, ca_pem=current, now=now):
            return "The serving certificate is signed by a former CA."
        due = authority.is_due(parts.leaf, now=now)
    except errors.BadCertificate as error:
        return str(error)
    return "Two thirds of the life of the serving certificate are over." if due else ""


def _may_go(former: bytes, current: bytes, now: dt.datetime, view: View) -> bool:
    return authority.is_over(former, now=now) or _is_proven(view, current, now)


def _is_proven(view: View, ca_pem: bytes, now: dt.datetime, *, leaf: bytes = b"") -> bool:
    """Tell whether every replica was seen, with ``leaf`` or one that ``ca_pem`` alone verifies.

    A handshake shows the leaf without the chain that it may need.
    """
    return view.served is not None and all(
        one == leaf or authority.is_trusted(one, ca_pem=ca_pem, now=now) for one in view.served
    )


def _with_authority(parts: Parts, now: dt.datetime, lives: Lives) -> Parts:
    fresh = authority.make_authority(now, life=lives.ca)
    former = authority.split(parts.ca_pem) if parts.ca_pem else ()
    kept = [one for one in former if not authority.is_over(one, now=now)]
    return parts._replace(ca_pem=b"".join((fresh.cert_pem, *kept)), ca_key_pem=fresh.key_pem)


def _with_leaf(parts: Parts, hosts: Sequence[str], now: dt.datetime, lives: Lives) -> Parts:
    leaf = authority.make_leaf(parts.signer, hosts, now=now, life=lives.leaf)
    return parts._replace(cert_pem=leaf.cert_pem, key_pem=leaf.key_pem)


def _fraction_seconds(life: dt.timedelta, divisor: int, *, max_seconds: float) -> float:
    return min(life.total_seconds() / divisor, max_seconds)

"""Each step of a rotation comes when it should, and not before."""

import datetime as dt

import pytest

from certs import authority, errors, rotation

NOW = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
HOSTS = ("a.svc",)
YEARS = dt.timedelta(days=365)


def step(
    parts: rotation.Parts, *, after: dt.timedelta = dt.timedelta(), **given: object
) -> rotation.Step:
    """Ask for the next step, some time after now."""
    arguments = {"hosts": HOSTS} | given
    return rotation.step(parts, now=NOW + after, **arguments)


def first_of(parts: rotation.Parts) -> bytes:
    """Give the authority that signs."""
    return authority.split(parts.ca_pem)[0]


MADE = step(rotation.Parts()).parts
LATER = 7 * YEARS
RENEWED = step(MADE, after=dt.timedelta(days=2400)).parts
BEGUN = step(RENEWED, after=LATER).parts
SIGNED = step(BEGUN, after=LATER).parts


def test_what_is_new_needs_nothing() -> None:
    """An authority and a leaf; asked again, nothing."""
    assert step(rotation.Parts()).action is rotation.Action.MAKE
    assert step(MADE) == (rotation.Action.NOTHING, "All is in order.", MADE)


@pytest.mark.parametrize(("days", "action"), [(243, "nothing"), (244, "sign")])
def test_a_leaf_is_renewed_at_two_thirds_of_its_life(days: int, action: str) -> None:
    """By the same authority."""
    taken = step(MADE, after=dt.timedelta(days=days))

    assert taken.action == action
    assert taken.parts.ca_pem == MADE.ca_pem


@pytest.mark.parametrize(("days", "action"), [(2433, "sign"), (2434, "begin")])
def test_an_authority_is_renewed_at_two_thirds_of_its_life(days: int, action: str) -> None:
    """The new one goes in front; the leaf stays, and its authority in the bundle."""
    taken = step(MADE, after=dt.timedelta(days=days))

    assert taken.action == action
    if taken.action is rotation.Action.BEGIN:
        assert authority.split(taken.parts.ca_pem)[1:] == authority.split(MADE.ca_pem)
        assert taken.parts.leaf == MADE.leaf


def test_the_new_authority_signs_nothing_before_api_servers_know_it() -> None:
    """gatekeeper#2261: the leaf changed before the bundle did."""
    unknown = rotation.View(known=frozenset(authority.split(RENEWED.ca_pem)))
    known = rotation.View(known=frozenset(authority.split(BEGUN.ca_pem)))

    assert step(BEGUN, after=LATER, view=unknown).action is rotation.Action.NOTHING
    assert step(BEGUN, after=LATER, view=known).action is rotation.Action.SIGN


@pytest.mark.parametrize(
    ("served", "action"),
    [
        (None, "nothing"),
        ((SIGNED.cert_pem, RENEWED.cert_pem), "nothing"),
        ((SIGNED.cert_pem, SIGNED.cert_pem), "retire"),
        ((), "retire"),
    ],
)
def test_the_former_authority_goes_when_no_replica_needs_it(
    served: tuple[bytes, ...] | None, action: str
) -> None:
    """Not while one was not seen."""
    taken = step(SIGNED, after=LATER, view=rotation.View(served=served))

    assert taken.action == action
    assert taken.parts.leaf == SIGNED.leaf
    if action == "retire":
        assert authority.split(taken.parts.ca_pem) == (first_of(SIGNED),)


def test_a_former_authority_that_is_over_goes_without_proof() -> None:
    """It verifies nothing any more."""
    late = step(SIGNED, after=LATER + dt.timedelta(days=200)).parts

    taken = step(late, after=10 * YEARS + dt.timedelta(days=1))
    while taken.action is rotation.Action.SIGN:
        taken = step(taken.parts, after=10 * YEARS + dt.timedelta(days=1))
    assert taken.action is rotation.Action.RETIRE


def test_after_years_without_us_all_comes_back() -> None:
    """kyverno#13639: authority and leaf have expired; nothing is left of the old."""
    parts, actions = MADE, []
    while (taken := step(parts, after=20 * YEARS)).action is not rotation.Action.NOTHING:
        parts = taken.parts
        actions.append(taken.action)

    assert actions == [rotation.Action.BEGIN, rotation.Action.SIGN]
    assert len(authority.split(parts.ca_pem)) == 1
    authority.check_leaf(parts.leaf, ca_pem=parts.ca_pem, hosts=HOSTS, now=NOW + 20 * YEARS)


def test_certificates_from_the_future_are_replaced() -> None:
    """Made by a clock that ran ahead: to the API server they are not valid."""
    taken = step(MADE, after=-YEARS)

    assert taken.action is rotation.Action.BEGIN
    authority.check_authority(taken.parts.signer, now=NOW - YEARS)


@pytest.mark.parametrize("parts", [RENEWED, BEGUN, SIGNED])
def test_the_layout_is_that_of_every_version(parts: rotation.Parts) -> None:
    """ca.key is that of the first in ca.crt, and ca.crt verifies tls.crt: an upgrade contract.

    A version that knows no rotation reads it, and renews the leaf from it.
    """
    then = NOW + LATER
    authority.check_authority(parts.signer, now=then if parts != RENEWED else NOW)
    for leaf in (parts.leaf, authority.make_leaf(parts.signer, HOSTS, now=then)):
        authority.check_leaf(leaf, ca_pem=parts.ca_pem, hosts=HOSTS, now=then)


@pytest.mark.parametrize(
    "damage", [{"ca_pem": b"junk"}, {"ca_key_pem": b"junk"}, {"ca_pem": SIGNED.cert_pem}]
)
def test_a_damaged_authority_is_an_error(damage: dict[str, bytes]) -> None:
    """A person did something there; whatever we made could surprise."""
    with pytest.raises(errors.BadCertificate):
        step(MADE._replace(**damage))


@pytest.mark.parametrize("damage", [{"cert_pem": b"junk"}, {"key_pem": b""}])
def test_a_damaged_leaf_is_made_anew(damage: dict[str, bytes]) -> None:
    """By the same authority."""
    taken = step(MADE._replace(**damage))

    assert taken.action is rotation.Action.SIGN
    assert taken.parts.ca_pem == MADE.ca_pem


def test_what_takes_time_follows_from_the_life_of_the_leaf() -> None:
    """Half a minute for a year; never more than a fraction of a short life."""
    short = rotation.Lives(dt.timedelta(minutes=2), dt.timedelta(minutes=1))

    assert rotation.Lives().settle_seconds == rotation.Lives().upkeep_seconds == 30
    assert rotation.reload_seconds(rotation.Lives().leaf) == 10
    assert (short.settle_seconds, short.upkeep_seconds, short.adoption_seconds) == (5, 3, 9)


class TestGiven:
    """The certificates come from others, who replace CA and leaf at once."""

    BEFORE = first_of(MADE)
    AFTER = SIGNED._replace(ca_pem=first_of(SIGNED), ca_key_pem=b"")
    THEN = NOW + LATER

    def overlap(self, standing: bytes, *served: bytes, unseen: bool = False) -> bytes:
        """Give the bundle for the API servers."""
        view = rotation.View(served=None if unseen else served)
        return rotation.overlap(self.AFTER, standing, now=self.THEN, view=view)

    def test_the_former_ca_stays_while_it_is_needed(self) -> None:
        """Or may be."""
        both = self.AFTER.ca_pem + self.BEFORE

        assert self.overlap(self.BEFORE, RENEWED.cert_pem) == both
        assert self.overlap(self.BEFORE, unseen=True) == both
        assert self.overlap(both + b"\n" + both, RENEWED.cert_pem) == both

    def test_it_goes_with_the_last_replica_that_serves_the_former_leaf(self) -> None:
        """And with its own end."""
        assert self.overlap(self.BEFORE, SIGNED.cert_pem) == self.AFTER.ca_pem
        late = rotation.overlap(
            self.AFTER, self.BEFORE, now=NOW + 11 * YEARS, view=rotation.NOTHING_SEEN
        )
        assert late == self.AFTER.ca_pem

    @pytest.mark.parametrize("standing", [b"", b"junk", AFTER.ca_pem])
    def test_nothing_is_kept_of_nothing(self, standing: bytes) -> None:
        """The first time, and after somebody broke it: as in the Secret, to the byte."""
        assert self.overlap(standing, unseen=True) == self.AFTER.ca_pem

"""Whatever happens to the processes that renew: API servers accept every replica, at any time."""

import datetime as dt
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import certworld

from certs import authority, rotation

LIVES = rotation.Lives(ca=dt.timedelta(days=30), leaf=dt.timedelta(days=9))
_WRONG_CLOCKS = [
    dt.timedelta(),
    dt.timedelta(hours=2),
    dt.timedelta(days=400),
    dt.timedelta(hours=-40),  # more than a third of the leaf's life behind would be too late
]


def act(world: certworld.World, chance: random.Random) -> None:
    """Let one thing happen."""
    keeper = chance.choice(world.keepers)
    acts = ("advance", "round", "kill", "clock", "start", "time")
    match chance.choices(acts, (8, 4, 1, 1, 1, 6))[0]:
        case "advance":
            keeper.advance()
        case "round":
            world.settle(keeper)
        case "kill":
            keeper.restart()
        case "clock":
            keeper.offset = chance.choice(_WRONG_CLOCKS)
        case "start":
            world.start_replica()
        case "time":
            steps = (1.0, 5.0, 15.0, 31.0) if world.is_stirring else (3_600.0, 43_200.0, 43_200.0)
            world.pass_time(chance.choice(steps))
            # One of them is always well enough for a round: else certificates run out.
            world.settle(chance.choice(world.keepers))


@settings(max_examples=6)
@given(seed=st.integers(0, 2**32))
def test_every_bundle_verifies_every_leaf_at_every_moment(seed: int) -> None:
    """Months with kills between any two requests, two processes that race, and clocks that jump."""
    chance = random.Random(seed)
    world = certworld.World(LIVES, chance)

    for _ in range(600):
        act(world, chance)
        assert world.refusals() == []


def test_the_months_of_the_test_see_whole_rotations() -> None:
    """Else it would prove nothing: several authorities came, and went."""
    chance = random.Random(1)
    world = certworld.World(LIVES, chance)
    authorities: set[bytes] = set()
    sizes: set[int] = set()

    for _ in range(2_000):
        act(world, chance)
        standing = world.cluster.bundle_history[-1][1][0]
        authorities.update(authority.split(standing))
        sizes.add(len(authority.split(standing)))

    assert world.cluster.elapsed_seconds > dt.timedelta(days=60).total_seconds()
    assert len(authorities) >= 4
    assert sizes >= {1, 2}
    assert len({leaf for _, leaf in world.cluster.leaf_history}) > 10


@pytest.mark.parametrize("pauses", range(1, 16))
def test_a_process_that_was_away_for_a_rotation_does_no_harm_when_it_wakes(pauses: int) -> None:
    """Wherever it stood: what it read before is not written over what is right now."""
    world = certworld.World(LIVES, random.Random(pauses))
    sleeper, other = world.keepers
    for _ in range(3):
        world.pass_time(dt.timedelta(days=6.2).total_seconds())
        world.settle(other)
    for _ in range(pauses):
        sleeper.advance()
    before = world.cluster.bundle_history[-1][1]
    world.pass_time(dt.timedelta(days=1.6).total_seconds())
    for _ in range(25):
        world.pass_time(20.0)
        world.settle(other)

    while not sleeper.advance():
        pass
    world.pass_time(60.0)

    assert world.refusals() == []
    assert set(world.cluster.bundle_history[-1][1]).isdisjoint(before)

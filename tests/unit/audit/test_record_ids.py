"""Ids of records."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from guard.audit import record

moments = st.integers(0, (1 << 48) * 1_000_000 - 1)
noise = st.binary(min_size=8, max_size=16)


@given(moments, noise)
def test_an_id_is_a_uuid_of_version_7(now_ns: int, random_bytes: bytes) -> None:
    """Other tools can read the time from it (RFC 9562)."""
    made = uuid.UUID(record.new_id(now_ns, random_bytes))

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == now_ns // 1_000_000


@given(moments, moments, noise, noise)
def test_ids_sort_by_time(one: int, other: int, noise_one: bytes, noise_other: bytes) -> None:
    """As text, down to the quarter of a microsecond."""
    earlier, later = sorted([one, other])
    if later - earlier > 500:
        assert record.new_id(earlier, noise_one) < record.new_id(later, noise_other)


def test_ids_of_one_moment_differ() -> None:
    """62 bits of the random bytes are in it."""
    assert record.new_id(1, b"\x00" * 8) != record.new_id(1, b"\x00" * 7 + b"\x01")

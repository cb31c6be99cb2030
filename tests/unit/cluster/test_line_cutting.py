"""A stream is cut into lines wherever its chunks begin and end."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.cluster import errors, lines


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_lines_do_not_depend_on_the_chunks(data: bytes, cuts: list[int]) -> None:
    """Any cutting gives the same lines, in order, and the same rest."""
    cutter = lines.LineCutter(max_bytes=1000)
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    found = []
    for begin, end in itertools.pairwise(bounds):
        found += cutter.feed(data[begin:end])

    *complete, rest = data.split(b"\n")
    assert found == [line for line in complete if line]
    assert cutter.rest() == rest


def test_an_endless_line_is_refused() -> None:
    """A server that never ends its line does not fill the memory."""
    cutter = lines.LineCutter(max_bytes=10)
    cutter.feed(b"12345\n1234567890")

    with pytest.raises(errors.Unintelligible):
        cutter.feed(b"1")

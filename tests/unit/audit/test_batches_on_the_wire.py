"""A batch of records on its way, and the receipt for it."""

from collections.abc import Callable

import pytest

from guard.audit import errors, framing, record, wire

MakeRecord = Callable[..., record.Record]


def _lines(make_record: MakeRecord, number: int) -> list[record.Line]:
    made = [make_record() for _ in range(number)]
    return [record.Line(one, record.encode(one)) for one in made]


@pytest.mark.parametrize("number", [1, 2, 500, wire.MAX_RECORDS])
def test_a_batch_arrives_as_it_was_sent(make_record: MakeRecord, number: int) -> None:
    """Records, their order and their very bytes are the same at the other end."""
    sent = _lines(make_record, number)

    parcel = wire.unpack(wire.pack(sent))

    assert parcel.lines == tuple(sent)
    assert parcel.receipt == wire.Receipt(received=number)


def test_fields_of_a_newer_writer_are_kept(make_record: MakeRecord) -> None:
    """An older guard process stores what it does not know."""
    entry = make_record()
    data = record.encode(entry)[:-1] + b',"weather":"fine"}'

    assert wire.unpack(framing.line_of(data)).lines == (record.Line(entry, data),)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line.replace(b"alice", b"mallo"),
        lambda line: b"00000000" + line[8:],
        lambda _: b"\n",
        lambda _: framing.line_of(b'{"schema":2}'),
        lambda _: b"\xff" * 30 + b"\n",
    ],
    ids=["altered", "checksum", "empty", "no record", "binary"],
)
def test_a_bad_record_is_named_and_holds_up_no_other(
    make_record: MakeRecord, spoil: Callable[[bytes], bytes]
) -> None:
    """The others are taken, and the receipt names the bad one by its place."""
    first, second, third = _lines(make_record, 3)
    body = wire.pack([first]) + spoil(wire.pack([second])) + wire.pack([third])

    parcel = wire.unpack(body)

    assert parcel.lines == (first, third)
    assert parcel.receipt.received == 3
    assert [refusal.index for refusal in parcel.receipt.refused] == [1]


@pytest.mark.parametrize("body", [b"", b"no end", b"a\nno end", b"\n" * (wire.MAX_RECORDS + 1)])
def test_what_is_no_batch_is_refused_as_a_whole(body: bytes) -> None:
    """An empty or torn body, or one with too many records, is no batch."""
    with pytest.raises(errors.BadParcel):
        wire.unpack(body)


def test_a_receipt_comes_back_as_it_was_written() -> None:
    """With the refusals, each with its reason."""
    receipt = wire.Receipt(received=3, refused=(wire.Refusal(2, "torn"),))

    assert wire.read_receipt(wire.write_receipt(receipt), sent=3) == receipt


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"ok\n",
        b"<html>",
        b"{}",
        b'{"received":2}',
        b'{"received":3,"refused":[{"index":3,"why":"x"}]}',
        b'{"received":3,"refused":[{"index":-1,"why":"x"}]}',
        b'{"received":true}',
    ],
)
def test_nothing_else_passes_for_a_receipt(answer: bytes) -> None:
    """Only a receipt that counts right lets records be forgotten."""
    with pytest.raises(errors.BadParcel):
        wire.read_receipt(answer, sent=3)

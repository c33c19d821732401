"""The bytes of lines and receipts: one form each, the same in and out."""

from __future__ import annotations

import uuid

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from agent.canonical import parse
from agent.ledger.lines import JudgedRow, PollRow, event_line, judged_body, ordered, poll_body, target_of
from agent.ledger.receipt import Receipt, pack, pack_ids, unpack, unpack_ids

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
requests = st.one_of(st.none(), text, st.uuids().map(str), st.uuids().map(lambda one: str(one).upper()))
receipts = st.builds(Receipt, st.integers(0, 2**40), st.integers(0, 2**40), st.integers(-(2**40), 2**40), requests)
ROW = PollRow(
    4711, 17, 1760000000000, 1760000000112, 21900, 1760000000112, 1759996400000, 1760000000000, 0, None, 74, 0, 446,
    None, b"", "aws.s3/1.4.0", bytes(32),
)  # fmt: skip


@given(receipts)
def test_receipt_round_trip(receipt: Receipt) -> None:
    assert unpack(pack(receipt)) == receipt


@given(st.binary(max_size=30))
def test_receipt_bytes_have_one_form(data: bytes) -> None:
    """Whatever decodes is exactly what is encoded for it."""
    try:
        receipt = unpack(data)
    except ValueError:
        return
    assert pack(receipt) == data


def test_request_id_is_small() -> None:
    assert len(pack(Receipt(3, 74, -12, str(uuid.uuid4())))) == 20


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\x80\x00\x01\x01\x00",
        b"\x01\x01\x01\x03",
        b"\x01\x01\x01\x00x",
        b"\x01\x01\x01\x01short",
        b"\x01\x01\x01\x02\xff",
        b"\x01\x01\x01\x02" + str(uuid.UUID(int=5)).encode(),
        b"\xff" * 12,
    ],
)
def test_receipt_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of them; what matters is that none is read
        unpack(data)


@given(st.sets(st.integers(0, 10_000)))
def test_unseen_targets_round_trip(ids: set[int]) -> None:
    assert unpack_ids(pack_ids(sorted(ids))) == sorted(ids)


@pytest.mark.parametrize("data", [b"", b"\x01\x00", b"\x80\x00", b"\x80"])
def test_unseen_targets_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        unpack_ids(data)


def test_unseen_targets_ascend() -> None:
    with pytest.raises(ValueError, match="ascend"):
        pack_ids([3, 2])


@given(receipts, st.sampled_from(["state", "life", "events"]), text)
def test_poll_line_is_rfc_8785(receipt: Receipt, kind: str, collector: str) -> None:
    body = poll_body(ROW._replace(col=collector), receipt, None, kind)
    line = ordered(body)
    assert line == rfc8785.dumps(body)
    assert parse(line) == body
    assert ("from" in body) == ("to" in body) == (kind != "state")


def test_poll_line_is_the_one_of_the_specification() -> None:
    """ledger.md 4.3, member by member."""
    receipt = Receipt(3, 74, -12, "0f8fad5b-d9cb-469f-a165-70867728950e")
    assert ordered(poll_body(ROW, receipt, bytes(range(32)), "state")) == (
        b'{"asof":1760000000112,"calls":446,"col":"aws.s3/1.4.0","dur":21900,"gaps":0,"idx":4711,"k":"poll","n":74,'
        b'"rcpt":{"doc":"' + b"00" * 32 + b'","pages":3,"req":"0f8fad5b-d9cb-469f-a165-70867728950e","rows":74,'
        b'"skew":-12},"root":"' + bytes(range(32)).hex().encode() + b'","slot":1760000000000,'
        b'"start":1760000000112,"status":0,"t":17,"v":1,"why":null}'
    )


def test_judged_line_is_the_one_of_the_specification() -> None:
    row = JudgedRow(4790, 3, 1760000031000, 4788, None, 126, None, bytes(32))
    line = ordered(judged_body(row, [17], bytes(range(32))))
    assert line == (
        b'{"at":1760000031000,"fn":126,"froot":"' + bytes(range(32)).hex().encode() + b'","idx":4790,"k":"judged",'
        b'"rules":"' + b"00" * 32 + b'","s":3,"unseen":[17],"upto":4788,"v":1}'
    )
    assert line == rfc8785.dumps(parse(line))


@pytest.mark.parametrize("body", [{"at": 1}, {"idx": 1}, {"k": "x"}, {"v": 2}, {"docs": []}])
def test_events_cannot_set_what_is_the_ledgers(body: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="cannot set"):
        event_line("note", body, 5, 6)


@pytest.mark.parametrize("kind", ["poll", "judged"])
def test_events_cannot_pose_as_polls(kind: str) -> None:
    with pytest.raises(ValueError, match="cannot set"):
        event_line(kind, {}, 5, 6)


def test_target_of_a_finding() -> None:
    assert target_of("17/bucket-tls-only/arn:aws:s3:::a/b") == 17
    with pytest.raises(ValueError, match="invalid literal"):
        target_of("bucket-tls-only/x")

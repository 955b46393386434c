"""Our ids survive the venue's numbers: each decodes to what was sent, after a restart too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import OrderIdentity, Slot
from desk.units import Side
from venues.zo.client_ids import (
    LIMIT,
    LONGEST_TEXT,
    MAX_CYCLE,
    MAX_EPOCH,
    MAX_LEVEL,
    ClientIds,
    pack,
    unpack,
)

TAGS = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=7, max_size=7)
IDENTITIES = st.builds(
    OrderIdentity,
    tag=TAGS,
    epoch=st.integers(0, MAX_EPOCH),
    cycle=st.integers(0, MAX_CYCLE),
    slot=st.builds(Slot, st.sampled_from(Side), st.integers(0, MAX_LEVEL)),
    exit=st.booleans(),
)


@given(IDENTITIES)
def test_an_identity_comes_back_whole_on_its_market(identity: OrderIdentity) -> None:
    number = pack(identity)
    assert 2**60 <= number < LIMIT
    assert unpack(number, identity.tag) == identity
    assert len(identity.encode()) <= LONGEST_TEXT


@given(IDENTITIES)
def test_a_process_that_never_sent_it_reads_the_same_text(identity: OrderIdentity) -> None:
    text = identity.encode()
    number = ClientIds().number(text)
    assert ClientIds().text(number, identity.tag) == text
    decoded = OrderIdentity.decode(ClientIds().text(number, identity.tag))
    assert decoded == identity


@given(st.lists(IDENTITIES, max_size=40, unique=True), TAGS)
def test_within_a_market_no_two_ids_share_a_number(found: list[OrderIdentity], tag: str) -> None:
    mine = {
        OrderIdentity(
            tag=tag, epoch=one.epoch, cycle=one.cycle, slot=one.slot, exit=one.exit
        ).encode()
        for one in found
    }
    ids = ClientIds()
    assert len({ids.number(text) for text in mine}) == len(mine)
    assert {ids.text(ids.number(text), "other00") for text in mine} == mine


@given(st.integers(0, 2**60 - 1), TAGS)
def test_counters_and_clocks_of_others_are_never_taken_for_ours(number: int, tag: str) -> None:
    text = ClientIds().text(number, tag)
    assert text == str(number)
    assert OrderIdentity.decode(text) is None
    assert ClientIds().number(text) == number


@pytest.mark.parametrize(
    ("epoch", "cycle", "level", "part"),
    [
        (MAX_EPOCH + 1, 0, 0, "epoch"),
        (0, MAX_CYCLE + 1, 0, "cycle"),
        (0, 0, MAX_LEVEL + 1, "level"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    epoch: int, cycle: int, level: int, part: str
) -> None:
    identity = OrderIdentity(tag="abcdefg", epoch=epoch, cycle=cycle, slot=Slot(Side.BUY, level))
    with pytest.raises(ValueError, match=f"{part} .* is not from 0 to"):
        ClientIds().number(identity.encode())


@pytest.mark.parametrize("text", ["", "c0", "-1", "01", "1.5", str(LIMIT), "9" * 30, "f-1-1-b0"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither ours nor a number"):
        ClientIds().number(text)


def test_two_texts_of_one_number_are_not_confused() -> None:
    ids = ClientIds()
    first = OrderIdentity(tag="aaaaaaa", epoch=1, cycle=1, slot=Slot(Side.BUY, 0))
    others = (
        OrderIdentity(tag=f"b{number:06}", epoch=1, cycle=1, slot=Slot(Side.BUY, 0))
        for number in range(100)
    )
    twin = next(other for other in others if pack(other) == pack(first))
    ids.number(first.encode())
    with pytest.raises(ValueError, match="same number"):
        ids.number(twin.encode())


def test_memory_is_bounded_and_forgets_the_oldest() -> None:
    ids = ClientIds(kept=2)
    texts = [
        OrderIdentity(tag="aaaaaaa", epoch=1, cycle=cycle, slot=Slot(Side.BUY, 0)).encode()
        for cycle in range(3)
    ]
    numbers = [ids.number(text) for text in texts]
    assert ids.text(numbers[2], "zzzzzzz") == texts[2]
    assert ids.text(numbers[0], "aaaaaaa") == texts[0]
    assert ids.number(texts[0]) == numbers[0]

"""Our ids survive the venue's numbers: each decodes to what was sent, after a restart too."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import OrderIdentity, Slot
from desk.units import Side
from venues.zo.client_ids import (
    FIRST,
    LIMIT,
    LONGEST_TEXT,
    MAX_CYCLE,
    MAX_EPOCH,
    MAX_LEVEL,
    MAX_MARKET,
    ClientIds,
    pack,
    unpack,
)

TAGS = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=7, max_size=7)
MARKETS = st.integers(0, MAX_MARKET)
IDENTITIES = st.builds(
    OrderIdentity,
    tag=TAGS,
    epoch=st.integers(0, MAX_EPOCH),
    cycle=st.integers(0, MAX_CYCLE),
    slot=st.builds(Slot, st.sampled_from(Side), st.integers(0, MAX_LEVEL)),
    exit=st.booleans(),
)


@given(IDENTITIES, MARKETS)
def test_an_identity_comes_back_whole_on_its_market(identity: OrderIdentity, market: int) -> None:
    number = pack(identity, market)
    assert FIRST <= number < LIMIT
    assert unpack(number, identity.tag) == unpack(number, identity.tag, market) == identity
    assert len(identity.encode()) <= LONGEST_TEXT


@given(IDENTITIES, MARKETS)
def test_a_process_that_never_sent_it_reads_the_same_text(
    identity: OrderIdentity, market: int
) -> None:
    text = identity.encode()
    number = ClientIds().number(text, identity.tag, market)
    assert ClientIds().text(number, identity.tag, market) == text
    assert OrderIdentity.decode(ClientIds().text(number, identity.tag)) == identity


@given(IDENTITIES, IDENTITIES, st.lists(MARKETS, min_size=2, max_size=2, unique=True))
def test_no_two_markets_share_a_number(
    one: OrderIdentity, other: OrderIdentity, markets: list[int]
) -> None:
    here, there = markets
    assert pack(one, here) != pack(other, there)
    # The same cycle of both, as two fresh markets send it.
    assert pack(one, here) != pack(replace(one, tag=other.tag), there)


@given(IDENTITIES, st.lists(MARKETS, min_size=2, max_size=2, unique=True))
def test_a_number_of_another_market_is_not_ours_here(
    identity: OrderIdentity, markets: list[int]
) -> None:
    here, there = markets
    ids = ClientIds()
    number = ids.number(identity.encode(), "elsewhe", there)
    assert ids.text(number, "here000", here) == str(number)
    assert ids.text(number, "elsewhe", there) == identity.encode()


@given(st.lists(IDENTITIES, max_size=40, unique=True), TAGS)
def test_within_a_market_no_two_ids_share_a_number(found: list[OrderIdentity], tag: str) -> None:
    mine = {
        OrderIdentity(
            tag=tag, epoch=one.epoch, cycle=one.cycle, slot=one.slot, exit=one.exit
        ).encode()
        for one in found
    }
    ids = ClientIds()
    assert len({ids.number(text, "other00", 3) for text in mine}) == len(mine)
    assert {ids.text(ids.number(text, "other00", 3), "other00") for text in mine} == mine


@given(st.integers(0, FIRST - 1), TAGS)
def test_counters_and_clocks_of_others_are_never_taken_for_ours(number: int, tag: str) -> None:
    text = ClientIds().text(number, tag)
    assert text == str(number)
    assert OrderIdentity.decode(text) is None
    assert ClientIds().number(text, tag, 0) == number


def test_a_clock_in_nanoseconds_stays_below_our_numbers() -> None:
    year_2040_ns = 2_208_988_800 * 10**9
    assert year_2040_ns < FIRST


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
        ClientIds().number(identity.encode(), "abcdefg", 0)
    with pytest.raises(ValueError, match=f"{part} .* is not from 0 to"):
        ClientIds().check(identity.encode())


@pytest.mark.parametrize("market", [-1, MAX_MARKET + 1, 2**32 - 1])
def test_a_market_beyond_the_number_is_refused_by_name(market: int) -> None:
    identity = OrderIdentity(tag="abcdefg", epoch=1, cycle=1, slot=Slot(Side.BUY, 0))
    with pytest.raises(ValueError, match=f"market {market} is not from 0 to 1023"):
        ClientIds().number(identity.encode(), "abcdefg", market)


@pytest.mark.parametrize("text", ["", "c0", "-1", "01", "1.5", str(LIMIT), "9" * 30, "f-1-1-b0"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither ours nor a number"):
        ClientIds().number(text, "abcdefg", 0)
    with pytest.raises(ValueError, match="neither ours nor a number"):
        ClientIds().check(text)


def test_two_texts_of_one_number_are_not_confused() -> None:
    ids = ClientIds()
    first = OrderIdentity(tag="aaaaaaa", epoch=1, cycle=1, slot=Slot(Side.BUY, 0))
    others = (
        OrderIdentity(tag=f"b{number:06}", epoch=1, cycle=1, slot=Slot(Side.BUY, 0))
        for number in range(100)
    )
    twin = next(other for other in others if pack(other, 0) == pack(first, 0))
    ids.number(first.encode(), "aaaaaaa", 0)
    with pytest.raises(ValueError, match="same number"):
        ids.number(twin.encode(), "aaaaaaa", 0)
    assert ids.number(twin.encode(), "bbbbbbb", 1) != ids.number(first.encode(), "aaaaaaa", 0)


def test_memory_is_bounded_and_forgets_the_oldest() -> None:
    ids = ClientIds(kept=2)
    texts = [
        OrderIdentity(tag="aaaaaaa", epoch=1, cycle=cycle, slot=Slot(Side.BUY, 0)).encode()
        for cycle in range(3)
    ]
    numbers = [ids.number(text, "zzzzzzz", 0) for text in texts]
    assert ids.text(numbers[2], "zzzzzzz") == texts[2]
    assert ids.text(numbers[0], "zzzzzzz") != texts[0]
    assert ids.text(numbers[0], "aaaaaaa") == texts[0]
    assert ids.number(texts[0], "zzzzzzz", 0) == numbers[0]

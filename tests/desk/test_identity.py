"""A client order id says whose it is, fits every venue, and reads back as it was written."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import MarketId, OrderIdentity, Slot
from desk.units import Side

words = st.text(
    st.characters(codec="ascii", exclude_characters="/", categories=["L", "N", "P"]),
    min_size=1,
    max_size=20,
)
markets = st.builds(MarketId, words, words, words)
identities = st.builds(
    OrderIdentity,
    tag=markets.map(lambda market: market.tag),
    epoch=st.integers(0, 10**6 - 1),
    cycle=st.integers(0, 10**9 - 1),
    slot=st.builds(Slot, st.sampled_from(Side), st.integers(0, 99)),
    exit=st.booleans(),
)


@given(identities)
def test_an_id_reads_back_as_written(identity: OrderIdentity) -> None:
    assert OrderIdentity.decode(identity.encode()) == identity


@given(identities)
def test_an_id_fits_every_venue(identity: OrderIdentity) -> None:
    assert re.fullmatch(r"[a-z0-9-]{1,32}", identity.encode())


@given(identities, identities)
def test_different_orders_have_different_ids(one: OrderIdentity, other: OrderIdentity) -> None:
    assert (one == other) == (one.encode() == other.encode())


@given(st.text() | st.from_regex(r"f[a-z0-9]{7}-[^-]*-[^-]*-x?[bs]?.*"))
def test_any_text_is_read_or_refused_without_an_error(text: str) -> None:
    decoded = OrderIdentity.decode(text)
    assert decoded is None or decoded.tag == text[1:8]


@given(markets)
def test_a_market_reads_back_from_its_path(market: MarketId) -> None:
    assert MarketId.parse(market.path) == market


def test_a_path_without_account_means_main() -> None:
    assert MarketId.parse("market/ocx/BTC") == MarketId("ocx", "main", "BTC")
    with pytest.raises(ValueError, match="VENUE/ACCOUNT/SYMBOL"):
        MarketId.parse("ocx//BTC")

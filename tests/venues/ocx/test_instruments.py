"""What the market list is read to say, and what it is not taken to say."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from desk.instrument import Instrument, Settlement
from venues.ocx.config import OcxConfig
from venues.ocx.instruments import Catalog, WireFees, decode_markets, settlement_of
from venues.ocx.signing import Secret

WHOLE: dict[str, Any] = {"event": "CUP", "outcome": "A", "outcomes": 3, "pays": "1"}
GRID = {"priceDecimals": 2, "sizeDecimals": 0}
CUP_A = Settlement(event="CUP", outcome="A", outcomes=3)


def read(*markets: dict[str, Any], **settings: Any) -> list[Instrument]:
    config = OcxConfig(base_url="http://127.0.0.1:1", api_key=Secret("k"), **settings)
    return Catalog(config).learn(decode_markets(msgspec.json.encode(markets)), WireFees())


def test_a_whole_settlement_is_read() -> None:
    assert settlement_of(WHOLE) == CUP_A
    assert settlement_of({**WHOLE, "pays": "1.00", "paid": "0", "more": 7}) == CUP_A


@pytest.mark.parametrize("missing", list(WHOLE))
def test_a_settlement_with_a_part_missing_is_none(missing: str) -> None:
    told = {key: value for key, value in WHOLE.items() if key != missing}
    assert settlement_of(told) is None
    assert settlement_of({**WHOLE, missing: None}) is None


@pytest.mark.parametrize(
    "told",
    [
        None,
        "2030-01-01",
        [WHOLE],
        {},
        {**WHOLE, "event": ""},
        {**WHOLE, "event": 7},
        {**WHOLE, "outcome": ""},
        {**WHOLE, "outcomes": "3"},
        {**WHOLE, "outcomes": 3.0},
        {**WHOLE, "outcomes": True},
        {**WHOLE, "outcomes": 1},
        {**WHOLE, "pays": 1},
        {**WHOLE, "pays": "100"},
        {**WHOLE, "pays": "one"},
        {**WHOLE, "pays": "sNaN"},
    ],
)
def test_a_settlement_that_is_not_clear_is_none_and_spoils_no_other_market(told: object) -> None:
    assert settlement_of(told) is None
    odd, plain = read(
        {"id": "X", "marketType": "outcome", **GRID, "settlement": told},
        {"id": "A", "marketType": "outcome", **GRID, "settlement": WHOLE},
    )
    assert (odd.settlement, plain.settlement) == (None, CUP_A)
    assert odd.active


def test_a_date_of_expiry_is_no_settlement() -> None:
    (future,) = read({"id": "F", "marketType": "future", "expiry": "2030-01-01", **GRID})
    assert (future.settlement, future.active) == (None, True)


@pytest.mark.parametrize(
    "told",
    [
        {"id": "BTC-PERP", "baseSymbol": "BTC", "quoteSymbol": "USDC"},
        {"marketId": "BTC-PERP", "base": "BTC", "quote": "USDC"},
    ],
)
def test_currencies_are_read_in_both_spellings(told: dict[str, Any]) -> None:
    (known,) = read({**told, **GRID})
    assert (known.base, known.quote) == ("BTC", "USDC")


def test_currencies_nobody_names_are_not_guessed_from_the_symbol() -> None:
    (bare,) = read({"id": "BTC-USDC-SPOT", "baseSymbol": None, **GRID})
    assert (bare.base, bare.quote) == ("", "")


@pytest.mark.parametrize(
    ("market", "active"),
    [
        ({"marketType": "outcome", "settlement": WHOLE}, True),
        ({"marketType": "outcome", "settlement": {**WHOLE, "paid": None}}, True),
        ({"marketType": "outcome", "settlement": {**WHOLE, "paid": "0"}}, False),
        ({"type": "outcome", "tradingStatus": "settled", "settlement": WHOLE}, False),
        ({"marketType": "option"}, False),
    ],
)
def test_an_outcome_that_was_paid_is_not_active(market: dict[str, Any], active: bool) -> None:
    (found,) = read({"id": "CUP-A", **GRID, **market})
    assert found.active is active


def test_spot_pairs_are_offered_only_where_we_are_told_where_their_orders_go() -> None:
    spot = {"id": "BTC-USDC-SPOT", "marketType": "spot", **GRID}
    (unrouted,) = read(spot)
    (routed,) = read(spot, spot_route="perps")
    assert (unrouted.active, routed.active) == (False, True)
    given = {"base_url": "http://127.0.0.1:1", "api_key": "k", "spot_route": "perps"}
    assert OcxConfig.from_mapping(given).spot_route == "perps"
    assert OcxConfig(base_url="http://127.0.0.1:1").spot_route == "none"


def test_a_price_of_one_is_a_whole_number_of_ticks() -> None:
    (found,) = read({"id": "CUP-A", **GRID, "marketType": "outcome", "settlement": WHOLE})
    assert found.exact_ticks(Decimal(1)) == 100
    assert found.notional(100, 7) == 7

"""Settings are refused with one sentence that names the field; guesses have the agreed defaults."""

from decimal import Decimal

import pytest

from desk.errors import ConfigurationFault
from venues.ocx.config import OcxConfig
from venues.ocx.signing import Secret
from venues.registry import BUILDERS, builder

BASE = {"base_url": "https://api.example", "api_key": "ocx_sk_x"}


def test_defaults_are_the_agreed_ones() -> None:
    config = OcxConfig.from_mapping(BASE)
    assert config.api_key == Secret("ocx_sk_x")
    assert (config.levels_key, config.trade_ids, config.key_header) == (
        "levels",
        "derived",
        "x-api-key",
    )
    assert config.credentials["bulk"] == ("key", "session")
    assert config.heartbeat_timeout_s == 40
    able = config.capabilities()
    assert able.atomic_ladder
    assert not able.venue_dead_man
    assert not able.pushes_trade_ids


def test_settings_nest_or_are_dotted() -> None:
    nested = OcxConfig.from_mapping(
        {**BASE, "bulk": {"levels_key": "quotes"}, "rate": {"order_per_min": 1200}}
    )
    dotted = OcxConfig.from_mapping(
        {**BASE, "bulk.levels_key": "quotes", "rate.order_per_min": "1200"}
    )
    assert nested == dotted
    assert nested.order_per_min == 1200


def test_a_shared_budget_leaves_headroom_below_the_venues_limit() -> None:
    law = OcxConfig.from_mapping(BASE).shared_rate()
    assert (law.capacity, law.reserved, law.window_s) == (108, 10, 60.0)
    all_of_it = OcxConfig.from_mapping({**BASE, "rate.headroom": "0"}).shared_rate()
    assert all_of_it.capacity == 120


def test_a_shared_budget_without_room_for_orders_is_refused() -> None:
    config = OcxConfig.from_mapping({**BASE, "rate.order_per_min": 11})
    with pytest.raises(ConfigurationFault, match="rate.reserve_for_cancel: 10 leaves nothing of"):
        config.shared_rate()


def test_markets_and_paths_are_overridden_one_by_one() -> None:
    config = OcxConfig.from_mapping(
        {
            **BASE,
            "paths": {"open_orders": "/perps/orders/open"},
            "auth": {"per_endpoint": {"positions": ["key"]}},
            "markets": {"BTC-PERP": {"tick": "0.5"}},
            "trade_ids": "venue",
        }
    )
    assert config.paths["open_orders"] == "/perps/orders/open"
    assert config.paths["bulk"] == "/perps/quotes/bulk"
    assert config.credentials["positions"] == ("key",)
    assert config.markets["BTC-PERP"].tick == Decimal("0.5")
    assert config.capabilities().pushes_trade_ids


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"base_url": "http://api.example"}, "base_url"),
        ({"base_url": "api.example"}, "base_url"),
        ({"base_url": None}, "base_url"),
        ({"api_key": ""}, "api_key"),
        ({"wallet_key": "nonsense"}, "wallet_key"),
        ({"rate": {"order_per_min": "many"}}, "rate.order_per_min"),
        ({"rate": {"order_per_min": True}}, "rate.order_per_min"),
        ({"rate": {"reserve_for_cancel": 120}}, "rate.reserve_for_cancel"),
        ({"rate": {"order_per_minute": 5}}, "rate.order_per_minute"),
        ({"sse": {"book_interval_ms": 10}}, "sse.book_interval_ms"),
        ({"sse": {"depth": 500}}, "sse.depth"),
        ({"trade_ids": "both"}, "trade_ids"),
        ({"paths": {"bulk": "perps"}}, "paths.bulk"),
        ({"paths": {"nowhere": "/"}}, "paths.nowhere"),
        ({"auth": {"per_endpoint": {"bulk": "cookie"}}}, "auth.per_endpoint.bulk"),
        ({"markets": {"X": {"tick": "-1"}}}, "markets.X.tick"),
        ({"markets": {"X": {"tock": "1"}}}, "markets.X.tock"),
        ({"speed": "fast"}, "speed"),
    ],
)
def test_bad_settings_are_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        OcxConfig.from_mapping({**BASE, **change})
    assert str(caught.value).startswith(f"{named}: ")
    assert "ocx_sk_x" not in str(caught.value)


def test_venues_are_found_by_name_and_unknown_names_list_the_known() -> None:
    assert callable(builder("ocx"))
    with pytest.raises(ConfigurationFault, match=r"use one of .*ocx"):
        builder("nyse")
    assert all(":" in place for place in BUILDERS.values())

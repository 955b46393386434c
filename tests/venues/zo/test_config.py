"""Settings are read whole or refused in one sentence, and keys never come out of them."""

from decimal import Decimal

import pytest

from desk.errors import ConfigurationFault
from tests.venues.zo.vectors import (
    SESSION_ADDRESS,
    SESSION_SEED,
    WALLET_ADDRESS,
    WALLET_SECRET,
    WALLET_SEED,
)
from venues.zo import ZoConfig

BASE = {"base_url": "https://zo-devnet.n1.xyz", "wallet_key": WALLET_SECRET}
SESSION = "0x" + SESSION_SEED.hex()


def test_defaults_are_the_careful_ones() -> None:
    config = ZoConfig.from_mapping(BASE)
    assert config.streams == "wss://zo-devnet.n1.xyz"
    assert config.user == WALLET_ADDRESS
    assert (config.max_subactions, config.schema_guard) == (4, "strict")
    assert config.ping_s is None
    capabilities = config.capabilities()
    assert not capabilities.venue_dead_man
    assert not capabilities.replaces_orders


def test_nested_and_dotted_names_mean_the_same() -> None:
    nested = ZoConfig.from_mapping({**BASE, "rate": {"orders_per_s": 50}, "markets": {}})
    dotted = ZoConfig.from_mapping({**BASE, "rate.orders_per_s": 50})
    assert nested == dotted
    assert nested.orders_per_s == 50
    assert nested.request_law(shared=True).capacity == 540


def test_a_registered_session_key_needs_no_wallet_key() -> None:
    config = ZoConfig.from_mapping(
        {
            "base_url": "http://127.0.0.1:1",
            "session_key": SESSION,
            "wallet_address": WALLET_ADDRESS,
        }
    )
    assert (config.user, config.streams) == (WALLET_ADDRESS, "ws://127.0.0.1:1")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"base_url": None}, "base_url: it is missing"),
        ({"base_url": "http://zo-mainnet.n1.xyz"}, "plain http"),
        ({"stream_url": "ws://zo-mainnet.n1.xyz"}, "stream_url"),
        ({"wallet_key": None}, "wallet_key: it is missing"),
        ({"wallet_key": None, "session_key": SESSION}, "wallet_key: it is missing"),
        ({"wallet_address": SESSION_ADDRESS}, "belongs to"),
        ({"session_key": "0x12"}, "session_key: it is not an Ed25519 key"),
        ({"max_subactions": 11}, "max_subactions: 11 is not a whole number from 1 to 10"),
        ({"max_batch_orders": 11}, "can never be sent within"),
        ({"schema_guard": "maybe"}, "use strict or warn or off"),
        ({"session": {"renew_before_s": 90_000}}, "session.renew_before_s"),
        ({"rate": {"reserve_for_cancel": 600}}, "leaves nothing"),
        ({"rate": {"headroom": 1}}, "rate.headroom"),
        ({"session": {"revoke_on_close": "perhaps"}}, "neither true nor false"),
        ({"markets": {"BTCUSD": {"tick": 1}}}, "markets.BTCUSD.tick: unknown"),
        ({"depth": 3}, "depth: no such zo setting"),
        ({"streams": {"silence_s": 0}}, "not above zero"),
    ],
)
def test_bad_settings_are_one_sentence(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigurationFault, match=sentence):
        ZoConfig.from_mapping({**BASE, **given})


def test_keys_are_in_no_repr() -> None:
    config = ZoConfig.from_mapping({**BASE, "session_key": SESSION})
    shown = f"{config!r} {config!s}"
    for secret in (WALLET_SECRET, WALLET_SEED.hex(), SESSION_SEED.hex()):
        assert secret not in shown


def test_a_market_may_be_told_what_the_venue_does_not_say() -> None:
    config = ZoConfig.from_mapping({**BASE, "markets": {"BTCUSD": {"min_notional": "5.5"}}})
    assert config.markets["BTCUSD"].min_notional == Decimal("5.5")

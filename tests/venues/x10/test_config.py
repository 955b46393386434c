"""Settings are read whole or refused with a sentence that names the field and the remedy."""

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from desk.errors import ConfigurationFault
from tests.venues.ocx.scripted import SystemClock
from venues._transport.secret import Secret
from venues.x10 import X10Config, build

_KEY = "x10-key-0123456789"
_PRIVATE = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986"
_PUBLIC = "0x61c5e7e8339b7d56f197f54ea91b776776690e3232313de0f2ecbd0ef76f466"
_LOCAL: dict[str, object] = {
    "base_url": "http://127.0.0.1:9/api/v1",
    "stream_url": "ws://127.0.0.1:9/stream.extended.exchange/v1",
    "domain": "SN_SEPOLIA",
    "api_key": _KEY,
    "private_key": _PRIVATE,
    "vault": 10_002,
    "dead_man": {"unit": "seconds"},
}
_MAINNET = "https://api.starknet.extended.exchange/api/v1"
_TESTNET = "https://api.starknet.sepolia.extended.exchange/api/v1"


def _read(**changes: object) -> X10Config:
    return X10Config.from_mapping({**_LOCAL, **changes})


def _without(*names: str, **changes: object) -> X10Config:
    given = {name: value for name, value in {**_LOCAL, **changes}.items() if name not in names}
    return X10Config.from_mapping(given)


@pytest.mark.parametrize(
    ("url", "domain", "host"),
    [
        (_MAINNET, "SN_MAIN", "api.starknet.extended.exchange"),
        (_TESTNET, "SN_SEPOLIA", "api.starknet.sepolia.extended.exchange"),
    ],
)
def test_domain_and_streams_follow_from_the_venues_own_hosts(
    url: str, domain: str, host: str
) -> None:
    config = _without("domain", "stream_url", base_url=url)
    assert config.domain == domain
    assert config.stream_url == f"wss://{host}/stream.extended.exchange/v1"


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("base_url", "base_url"),
        ("api_key", "api_key"),
        ("private_key", "private_key"),
        ("vault", "vault"),
        ("domain", "domain: it is missing and does not follow from 127.0.0.1"),
        ("stream_url", "stream_url: it is missing and does not follow"),
        ("dead_man", "dead_man.unit: it is missing; say in what the venue counts"),
    ],
)
def test_what_may_not_be_guessed_has_to_be_given(missing: str, words: str) -> None:
    with pytest.raises(ConfigurationFault, match=words):
        _without(missing)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dead_man.unti": "seconds"}, "dead_man.unti: no such X10 setting"),
        ({"dead_man": {"unit": "minutes"}}, "dead_man.unit: 'minutes' is unknown"),
        ({"funding": {"fee_is": "given"}}, "funding.fee_is: 'given' is unknown"),
        ({"dead_man.timer_s": 2}, "dead_man.timer_s"),
        ({"domain": "SN_GOERLI"}, "domain: 'SN_GOERLI' is unknown"),
        ({"base_url": _MAINNET}, "checks signatures for SN_MAIN, not SN_SEPOLIA"),
        ({"base_url": "http://venue.example/api/v1"}, "base_url: plain http"),
        ({"stream_url": "ws://venue.example/v1"}, "stream_url: plain http .* is refused; use wss"),
        ({"stream_url": "ftp://venue.example/v1"}, "stream_url: it must be wss"),
        ({"vault": 0}, "vault: 0 is not a whole number"),
        ({"vault": 1.5}, "vault"),
        ({"public_key": "0x1"}, "public_key: private_key belongs to 0x61c5"),
        ({"public_key": "key"}, "public_key: it is not a hex number"),
        ({"rate": {"tier": "9"}}, "rate.tier"),
        ({"rate.headroom": 1}, "rate.headroom"),
        ({"rate": {"per_min": 10, "reserve_for_cancel": 9}}, "leaves nothing of 9"),
        ({"order_expiry_s": 3}, "order_expiry_s"),
        ({"streams": {"ping_s": 30}}, "streams.ping_s: 30.0 is not below"),
        ({"request_timeout_s": 0}, "request_timeout_s"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "a\nb"}, "api_key"),
        ({"user_agent": "a\r\nX: b"}, "user_agent"),
        ({"max_in_flight": True}, "max_in_flight"),
    ],
)
def test_bad_settings_are_refused_with_a_sentence(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationFault, match=words):
        _read(**changes)


@pytest.mark.parametrize("key", ["hello-secret", "0x0", "0x" + "f" * 70])
def test_a_bad_private_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationFault) as fault:
        _read(private_key=key)
    assert "private_key" in str(fault.value)
    assert key not in f"{fault.value!r}{fault.value.__cause__!r}{fault.value.__context__!r}"


def test_defaults_and_capabilities() -> None:
    config = _read(public_key=_PUBLIC)
    can = config.capabilities()
    assert not can.atomic_ladder
    assert can.replaces_orders
    assert can.pushes_order_updates
    assert can.pushes_trade_ids
    assert can.venue_dead_man
    assert can.finds_by_client_id
    assert (can.max_batch_orders, can.client_order_id_length, can.settling_ms) == (20, 64, 1_000)
    assert (config.dead_man_timer_s, config.order_expiry_s, config.max_in_flight) == (30, 900, 4)


@pytest.mark.parametrize(
    ("rate", "capacity", "reserved"),
    [
        ({}, 900, 135),
        ({"tier": "mm"}, 10_800, 1_620),
        ({"tier": 1}, 3_600, 540),
        ({"per_min": 100, "headroom": "0.2"}, 80, 12),
        ({"per_min": 100, "headroom": 0, "reserve_for_cancel": 5}, 100, 5),
    ],
)
def test_the_budget_is_the_tier_less_headroom(
    rate: dict[str, object], capacity: int, reserved: int
) -> None:
    config = _read(rate=rate)
    assert (config.capacity, config.reserved) == (capacity, reserved)
    law = config.rate_law()
    assert (law.capacity, law.reserved, law.window_s) == (capacity, reserved, 60.0)


def test_settings_may_be_nested_or_dotted_and_numbers_may_be_text() -> None:
    nested = _read(streams={"depth": "10"}, fees={"taker_bps": "3"})
    dotted = _read(**{"streams.depth": 10, "fees.taker_bps": Decimal(3)})
    assert nested == dotted


def test_no_secret_shows() -> None:
    config = _read()
    venue = build(_LOCAL, account="main", clock=SystemClock(), random=random.Random(1))
    shown = f"{config!r} {config!s} {config.api_key} {venue!r} {vars(venue)!r}"
    assert _KEY not in shown
    assert _PRIVATE[2:] not in shown


def test_a_config_object_is_checked_too() -> None:
    config = replace(_read(), private_key=Secret("0x0"))
    with pytest.raises(ConfigurationFault, match="private_key"):
        build(config, account="main", clock=SystemClock(), random=random.Random(1))

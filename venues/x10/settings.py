"""Reads settings people wrote into the fields of `X10Config`.

Unknown names are refused, so that a misspelt safety setting cannot pass as its default.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, TypeAlias

from desk.errors import ConfigurationFault
from venues._transport.secret import Secret

TIERS: Mapping[str, int] = {"default": 1_000, "1": 4_000, "2": 8_000, "3": 12_000, "mm": 12_000}
"""Requests per minute and address (x10.md section 16)."""

Reader: TypeAlias = Callable[[str, object], Any]
_LONGEST_EXPIRY_S = 28 * 86_400


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable() or not value.isascii():
        raise ConfigurationFault(f"{name}: it is not a printable text; give one that is not empty")
    return value


def _secret(name: str, value: object) -> Secret:
    if isinstance(value, Secret) and value:
        return value
    text = value.strip() if isinstance(value, str) else ""
    if not text or not text.isascii() or not text.isprintable():
        raise ConfigurationFault(f"{name}: it is not printable text; give the secret itself")
    return Secret(text)


def _hex(name: str, value: object) -> int:
    try:
        return int(value, 16) if isinstance(value, str) else _not_hex(name)
    except ValueError:
        return _not_hex(name)


def _not_hex(name: str) -> NoReturn:
    raise ConfigurationFault(f"{name}: it is not a hex number; give it as 0x and hex digits")


def _one_of(*choices: str) -> Reader:
    def read(name: str, value: object) -> str:
        if str(value) not in choices:
            raise ConfigurationFault(f"{name}: {value!r} is unknown; use {' or '.join(choices)}")
        return str(value)

    return read


def _whole(low: int, high: int) -> Reader:
    def read(name: str, value: object) -> int:
        number = _number(name, value)
        if number != int(number) or not low <= number <= high:
            raise ConfigurationFault(f"{name}: {value} is not a whole number from {low} to {high}")
        return int(number)

    return read


def _number(name: str, value: object) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or isinstance(value, bool):
        raise ConfigurationFault(f"{name}: {value!r} is not a number; give one")
    return number


def _seconds(name: str, value: object) -> float:
    number = _number(name, value)
    if number <= 0:
        raise ConfigurationFault(f"{name}: {value} is not above zero; give a positive number")
    return float(number)


def _share(name: str, value: object) -> Decimal:
    number = _number(name, value)
    if not 0 <= number < 1:
        raise ConfigurationFault(f"{name}: {value} is not a share; give one from 0 to below 1")
    return number


_READERS: Mapping[str, tuple[str, Reader]] = {
    "base_url": ("base_url", _text),
    "stream_url": ("stream_url", _text),
    "api_key": ("api_key", _secret),
    "private_key": ("private_key", _secret),
    "public_key": ("public_key", _hex),
    "vault": ("vault", _whole(1, 2**32 - 1)),
    "domain": ("domain", _one_of("SN_MAIN", "SN_SEPOLIA")),
    "dead_man.timer_s": ("dead_man_timer_s", _whole(3, 86_400)),
    "dead_man.unit": ("dead_man_unit", _one_of("seconds", "milliseconds")),
    "rate.per_min": ("rate_per_min", _whole(1, 1_000_000)),
    "rate.tier": ("rate_tier", _one_of(*TIERS)),
    "rate.headroom": ("rate_headroom", _share),
    "rate.reserve_for_cancel": ("reserve_for_cancel", _whole(0, 1_000_000)),
    "rate.key": ("rate_key", _text),
    "max_in_flight": ("max_in_flight", _whole(1, 64)),
    "max_batch_orders": ("max_batch_orders", _whole(1, 200)),
    "order_connections": ("order_connections", _whole(1, 64)),
    "order_expiry_s": ("order_expiry_s", _whole(10, _LONGEST_EXPIRY_S)),
    "sign_in_threads": ("sign_in_threads", _whole(0, 32)),
    "request_timeout_s": ("request_timeout_s", _seconds),
    "read_timeout_s": ("read_timeout_s", _seconds),
    "settling_ms": ("settling_ms", _whole(0, 60_000)),
    "cancel_grace_ms": ("cancel_grace_ms", _whole(0, 10_000)),
    "markets_refresh_s": ("markets_refresh_s", _seconds),
    "trades_page": ("trades_page", _whole(2, 1_000)),
    "streams.idle_timeout_s": ("idle_timeout_s", _seconds),
    "streams.book_silence_s": ("book_silence_s", _seconds),
    "streams.ping_s": ("ping_s", _seconds),
    "streams.refused_wait_s": ("refused_wait_s", _seconds),
    "streams.depth": ("depth", _whole(1, 10_000)),
    "user_agent": ("user_agent", _text),
    "fees.maker_bps": ("maker_bps", _number),
    "fees.taker_bps": ("taker_bps", _number),
    "fees.post_only": ("post_only_fee", _one_of("maker", "taker")),
    "funding.fee_is": ("funding_fee_is", _one_of("received", "paid")),
}
_GROUPS = frozenset(name.partition(".")[0] for name in _READERS if "." in name)
_REQUIRED = {
    "base_url": "give the venue's REST URL, /api/v1 included",
    "api_key": "give the account's API key",
    "private_key": "give the account's Stark private key in hex",
    "vault": "give the account's position id",
    "dead_man.unit": "say in what the venue counts its dead-man timer, seconds or milliseconds "
    "(x10.md section 10: sources disagree; try it on testnet)",
}


def read_settings(given: Mapping[str, object]) -> dict[str, Any]:
    """Field values for `X10Config`; ConfigurationFault for unknown, missing or bad ones."""
    found: dict[str, Any] = {}
    for name, value in _flat(given):
        if name not in _READERS:
            raise ConfigurationFault(f"{name}: no such X10 setting; remove it or correct its name")
        target, read = _READERS[name]
        if value is not None:
            found[target] = read(name, value)
    for name, remedy in _REQUIRED.items():
        if _READERS[name][0] not in found:
            raise ConfigurationFault(f"{name}: it is missing; {remedy}")
    return found


def _flat(given: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in given.items():
        if name in _GROUPS and isinstance(value, Mapping):
            for inner, item in value.items():
                yield f"{name}.{inner}", item
        else:
            yield name, value

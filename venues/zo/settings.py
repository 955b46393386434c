"""Reads settings people wrote into the fields of `ZoConfig`.

Unknown names are refused, so that a misspelt safety setting cannot pass as its default.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from desk.errors import ConfigurationFault
from venues._transport.secret import Secret

Reader: TypeAlias = Callable[[str, object], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOverride:
    """What the operator states about a market; None leaves it to the venue or its default."""

    min_notional: Decimal | None = None
    min_lots: int | None = None


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable() or not value.isascii():
        raise ConfigurationFault(f"{name}: it is not a printable text; give one that is not empty")
    return value


def _secret(name: str, value: object) -> Secret | None:
    if isinstance(value, Secret):
        return value or None
    if value == "":
        return None
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise ConfigurationFault(f"{name}: it is not printable text; give the secret itself")
    return Secret(value.strip())


def _one_of(*choices: str) -> Reader:
    def read(name: str, value: object) -> str:
        if value not in choices:
            raise ConfigurationFault(f"{name}: {value!r} is unknown; use {' or '.join(choices)}")
        return str(value)

    return read


def _flag(name: str, value: object) -> bool:
    words = {"true": True, "false": False}
    found = value if isinstance(value, bool) else words.get(str(value).lower())
    if found is None:
        raise ConfigurationFault(f"{name}: {value!r} is neither true nor false; give one of them")
    return found


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


def _markets(name: str, value: object) -> Mapping[str, MarketOverride]:
    if not isinstance(value, Mapping):
        raise ConfigurationFault(f"{name}: it is not a mapping; give symbols with their settings")
    readers: Mapping[str, Reader] = {"min_notional": _number, "min_lots": _whole(1, 2**48)}
    found = {}
    for symbol, given in value.items():
        place = f"{name}.{symbol}"
        if not isinstance(given, Mapping):
            raise ConfigurationFault(f"{place}: it is not a mapping; give names with values")
        for key in given:
            if key not in readers:
                raise ConfigurationFault(f"{place}.{key}: unknown; use one of {', '.join(readers)}")
        chosen = {key: readers[key](f"{place}.{key}", item) for key, item in given.items()}
        found[str(symbol)] = MarketOverride(**chosen)
    return found


_READERS: Mapping[str, tuple[str, Reader]] = {
    "base_url": ("base_url", _text),
    "stream_url": ("stream_url", _text),
    "wallet_key": ("wallet_key", _secret),
    "wallet_address": ("wallet_address", _text),
    "session_key": ("session_key", _secret),
    "account_id": ("account_id", _whole(1, 2**32 - 1)),
    "session.ttl_s": ("session_ttl_s", _whole(60, 90 * 86_400)),
    "session.renew_before_s": ("session_renew_before_s", _whole(1, 30 * 86_400)),
    "session.revoke_on_close": ("revoke_on_close", _flag),
    "session.timeout_s": ("session_timeout_s", _seconds),
    "schema_guard": ("schema_guard", _one_of("strict", "warn", "off")),
    "max_subactions": ("max_subactions", _whole(1, 10)),
    "max_body_bytes": ("max_body_bytes", _whole(256, 8_192)),
    "max_batch_orders": ("max_batch_orders", _whole(1, 200)),
    "reduce_only_fill_mode": ("reduce_only_fill_mode", _one_of("ioc", "any")),
    "rate.orders_per_s": ("orders_per_s", _whole(1, 100_000)),
    "rate.cancels_per_s": ("cancels_per_s", _whole(1, 100_000)),
    "rate.requests_per_min": ("requests_per_min", _whole(1, 10_000_000)),
    "rate.reserve_for_cancel": ("reserve_for_cancel", _whole(0, 10_000_000)),
    "rate.headroom": ("rate_headroom", _share),
    "streams.ping_s": ("ping_s", _seconds),
    "streams.silence_s": ("silence_s", _seconds),
    "streams.compare_ids": ("compare_ids", _flag),
    "streams.first_delta": ("first_delta", _one_of("any", "strict")),
    "account_poll_s": ("account_poll_s", _seconds),
    "fills_interval_s": ("fills_interval_s", _seconds),
    "clock_refresh_s": ("clock_refresh_s", _seconds),
    "clock_max_age_s": ("clock_max_age_s", _seconds),
    "cancel_connections": ("cancel_connections", _whole(1, 16)),
    "order_connections": ("order_connections", _whole(1, 64)),
    "request_timeout_s": ("request_timeout_s", _seconds),
    "read_timeout_s": ("read_timeout_s", _seconds),
    "cancel_all_s": ("cancel_all_s", _seconds),
    "settling_ms": ("settling_ms", _whole(0, 60_000)),
    "trades_page": ("trades_page", _whole(2, 50)),
    "user_agent": ("user_agent", _text),
    "fees.maker_bps": ("maker_bps", _number),
    "fees.taker_bps": ("taker_bps", _number),
    "markets": ("markets", _markets),
}
_GROUPS = frozenset(name.partition(".")[0] for name in _READERS if "." in name)
_REQUIRED = {"base_url": "give the venue's HTTP base, such as https://zo-devnet.n1.xyz"}


def read_settings(given: Mapping[str, object]) -> dict[str, Any]:
    """Field values for `ZoConfig`; ConfigurationFault for unknown, missing or bad ones."""
    found: dict[str, Any] = {}
    for name, value in _flat(given):
        if name not in _READERS:
            raise ConfigurationFault(f"{name}: no such zo setting; remove it or correct its name")
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

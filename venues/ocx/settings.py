"""Reads settings people wrote into the fields of `OcxConfig`.

Unknown names are refused, so that a misspelt safety setting cannot pass as its default.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from desk.errors import ConfigurationFault
from venues.ocx.signing import Secret, wallet_address

CREDENTIALS: Mapping[str, tuple[str, ...]] = {
    "bulk": ("key", "session"),
    "cancel_all": ("key", "session"),
    "close": ("key", "session"),
    "user_stream": ("key", "session"),
    "open_orders": ("session", "key"),
    "own_trades": ("session", "key"),
    "positions": ("session", "key"),
    "balances": ("session", "key"),
    "fees": ("key", "session"),
}
"""Which credential each endpoint gets first, and which second after a 401 or 403."""

PATHS: Mapping[str, str] = {
    "markets": "/perps/markets",
    "fees": "/perps/fees",
    "bulk": "/perps/quotes/bulk",
    "cancel_all": "/perps/orders/cancel-all",
    "close": "/perps/positions/close",
    "open_orders": "/perps/orders",
    "own_trades": "/perps/trades",
    "positions": "/perps/positions",
    "balances": "/perps/balances",
    "book_stream": "/perps/book-stream",
    "user_stream": "/perps/stream/user",
    "nonce": "/auth/nonce",
    "siwe": "/auth/siwe",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOverride:
    """What the operator states about a market; None leaves it to the venue."""

    tick: Decimal | None = None
    step: Decimal | None = None
    min_qty: Decimal | None = None
    min_notional: Decimal | None = None
    band_low: Decimal | None = None
    band_high: Decimal | None = None
    multiplier: Decimal | None = None


Reader: TypeAlias = Callable[[str, object], Any]


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationFault(f"{name}: it is not a text; give one that is not empty")
    return value


def _secret(name: str, value: object) -> Secret | None:
    if value is None or value == "":
        return None
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise ConfigurationFault(f"{name}: it is not printable text; give the secret itself")
    return Secret(value.strip())


def _wallet(name: str, value: object) -> Secret | None:
    key = _secret(name, value)
    if key is not None:
        wallet_address(key)
    return key


def _one_of(*choices: str) -> Reader:
    def read(name: str, value: object) -> str:
        if value not in choices:
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


def _above_zero(name: str, value: object) -> Decimal:
    number = _number(name, value)
    if number <= 0:
        raise ConfigurationFault(f"{name}: {value} is not above zero; give a positive number")
    return number


def _seconds(name: str, value: object) -> float:
    return float(_above_zero(name, value))


def _headroom(name: str, value: object) -> Decimal:
    number = _number(name, value)
    if not 0 <= number < 1:
        raise ConfigurationFault(f"{name}: {value} is not from 0 to below 1; 0.1 keeps a tenth")
    return number


def _mapping(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigurationFault(f"{name}: it is not a mapping; give names with values")
    return {str(key): item for key, item in value.items()}


def _paths(name: str, value: object) -> Mapping[str, str]:
    chosen = dict(PATHS)
    for key, path in _mapping(name, value).items():
        if key not in PATHS:
            raise ConfigurationFault(f"{name}.{key}: unknown; use one of {', '.join(PATHS)}")
        chosen[key] = _text(f"{name}.{key}", path)
        if not chosen[key].startswith("/"):
            raise ConfigurationFault(f"{name}.{key}: {path} does not start with /; put it there")
    return chosen


def _per_endpoint(name: str, value: object) -> Mapping[str, tuple[str, ...]]:
    chosen = dict(CREDENTIALS)
    for key, order in _mapping(name, value).items():
        if key not in CREDENTIALS:
            raise ConfigurationFault(f"{name}.{key}: unknown; use one of {', '.join(CREDENTIALS)}")
        kinds = (order,) if isinstance(order, str) else order
        if not isinstance(kinds, list | tuple) or not kinds or set(kinds) - {"key", "session"}:
            raise ConfigurationFault(f"{name}.{key}: list key, session or both, the first first")
        chosen[key] = tuple(kinds)
    return chosen


def _markets(name: str, value: object) -> Mapping[str, MarketOverride]:
    fields = dict.fromkeys(MarketOverride.__slots__, _above_zero)
    found = {}
    for symbol, given in _mapping(name, value).items():
        chosen = {}
        for key, item in _mapping(f"{name}.{symbol}", given).items():
            if key not in fields:
                raise ConfigurationFault(
                    f"{name}.{symbol}.{key}: unknown; use one of {', '.join(fields)}"
                )
            chosen[key] = fields[key](f"{name}.{symbol}.{key}", item)
        found[symbol] = MarketOverride(**chosen)
    return found


_READERS: Mapping[str, tuple[str, Reader]] = {
    "base_url": ("base_url", _text),
    "api_key": ("api_key", _secret),
    "session_jwt": ("session_jwt", _secret),
    "wallet_key": ("wallet_key", _wallet),
    "siwe.domain": ("siwe_domain", _text),
    "siwe.uri": ("siwe_uri", _text),
    "siwe.chain_id": ("siwe_chain_id", _whole(1, 2**53)),
    "siwe.expiry_s": ("siwe_expiry_s", _whole(1, 86_400)),
    "siwe.statement": ("siwe_statement", _text),
    "auth.header_style": ("key_header", _one_of("x-api-key", "bearer")),
    "auth.session_style": ("session_style", _one_of("cookie", "bearer")),
    "auth.session_cookie": ("session_cookie", _text),
    "auth.session_renew_after_s": ("session_renew_after_s", _whole(1, 6 * 86_400)),
    "auth.per_endpoint": ("credentials", _per_endpoint),
    "paths": ("paths", _paths),
    "bulk.levels_key": ("levels_key", _text),
    "bulk.max_levels": ("max_levels", _whole(1, 1_000)),
    "margin_mode": ("margin_mode", _one_of("isolated", "cross")),
    "spot_route": ("spot_route", _one_of("none", "perps")),
    "trade_ids": ("trade_ids", _one_of("derived", "venue")),
    "trades_page": ("trades_page", _whole(2, 500)),
    "rate.order_per_min": ("order_per_min", _whole(1, 1_000_000)),
    "rate.reserve_for_cancel": ("reserve_for_cancel", _whole(0, 1_000_000)),
    "rate.headroom": ("rate_headroom", _headroom),
    "sse.heartbeat_timeout_s": ("heartbeat_timeout_s", _seconds),
    "sse.user_interval_ms": ("user_interval_ms", _whole(100, 5_000)),
    "sse.book_interval_ms": ("book_interval_ms", _whole(50, 2_000)),
    "sse.depth": ("depth", _whole(1, 100)),
    "order_connections": ("order_connections", _whole(1, 64)),
    "request_timeout_s": ("request_timeout_s", _seconds),
    "read_timeout_s": ("read_timeout_s", _seconds),
    "settling_ms": ("settling_ms", _whole(0, 60_000)),
    "client_order_id.max_len": ("client_order_id_max_len", _whole(8, 256)),
    "fees.maker_bps": ("maker_bps", _number),
    "fees.taker_bps": ("taker_bps", _number),
    "markets": ("markets", _markets),
}
_ALIASES = {"levels_key": "bulk.levels_key", "max_levels": "bulk.max_levels"}
_GROUPS = frozenset(name.partition(".")[0] for name in _READERS if "." in name)


def read_settings(given: Mapping[str, object]) -> dict[str, Any]:
    """Field values for `OcxConfig`; ConfigurationFault for unknown, missing or bad ones."""
    found: dict[str, Any] = {}
    for name, value in _flat(given):
        known = _ALIASES.get(name, name)
        if known not in _READERS:
            raise ConfigurationFault(f"{name}: no such OCX setting; remove it or correct its name")
        target, read = _READERS[known]
        found[target] = read(name, value)
    if "base_url" not in found:
        raise ConfigurationFault("base_url: it is missing; give the venue's full https URL")
    return found


def _flat(given: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in given.items():
        if name in _GROUPS and isinstance(value, Mapping):
            for inner, item in value.items():
                yield f"{name}.{inner}", item
        else:
            yield name, value

"""Reads request bodies and queries strictly: what is not exactly right is refused, never guessed.

Malformed is 400; well-formed but against a market's rules is a business rejection.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from desk.instrument import Instrument
from desk.orders import TimeInForce
from desk.units import Side
from venues.ocx.simulator.answers import ApiError, invalid
from venues.ocx.simulator.world import World
from venues.simulation.orders import OrderKind, OrderRequest, OrderSource

_NUMBER = re.compile(r"\A(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,12})?\Z")
_CLIENT_ID = re.compile(r"\A[A-Za-z0-9_-]+\Z")
_Choice = TypeVar("_Choice", bound=StrEnum)


class MarginMode(StrEnum):
    """How an order asks to be margined; the simulator margins the account as a whole."""

    ISOLATED = "isolated"
    CROSS = "cross"


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object read field by field; absent and null are the same."""

    raw: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        """A non-empty string."""
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            raise invalid(f"{name} must be a non-empty string")
        return value

    def needed(self, name: str) -> str:
        """A non-empty string that must be there."""
        value = self.text(name)
        if value is None:
            raise invalid(f"{name} is required")
        return value

    def decimal(self, name: str) -> Decimal | None:
        """A positive decimal string without sign or exponent."""
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not _NUMBER.match(value):
            raise invalid(f"{name} must be a decimal string")
        number = Decimal(value)
        if number <= 0:
            raise invalid(f"{name} must be positive")
        return number

    def choice(self, name: str, values: type[_Choice], default: _Choice | None) -> _Choice:
        """One of an enumeration."""
        value = self.raw.get(name)
        if value is None and default is not None:
            return default
        try:
            return values(value if isinstance(value, str) else "")
        except ValueError:
            allowed = ", ".join(values)
            raise invalid(f"{name} must be one of {allowed}") from None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A JSON boolean."""
        value = self.raw.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise invalid(f"{name} must be true or false")
        return value


def whole(query: Mapping[str, str], name: str, default: int | None) -> int | None:
    """A whole number of a query string."""
    text = query.get(name)
    if text is None or text == "":
        return default
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise invalid(f"{name} must be a whole number")
    return int(text)


def client_order_id(world: World, fields: Fields) -> str | None:
    """A client's id, held to length and charset."""
    value = fields.text("clientOrderId")
    limit = world.settings.client_order_id_max
    if value is not None and (len(value) > limit or not _CLIENT_ID.match(value)):
        raise invalid(f"clientOrderId must be at most {limit} letters, digits, - or _")
    return value


def read_order(
    world: World,
    fields: Fields,
    *,
    symbol: str,
    source: OrderSource = OrderSource.ORDER,
    tag: str | None = None,
) -> OrderRequest:
    """An order or ladder entry as the engine takes it; ApiError when it is not right."""
    instrument = world.instrument(symbol)
    side = fields.choice("side", Side, None)
    kind = fields.choice("type", OrderKind, OrderKind.LIMIT)
    limit = TimeInForce.GTC if kind is OrderKind.LIMIT else TimeInForce.IOC
    time_in_force = fields.choice("timeInForce", TimeInForce, limit)
    mode = fields.choice("marginMode", MarginMode, MarginMode.CROSS)
    post_only, reduce_only = fields.flag("postOnly"), fields.flag("reduceOnly")
    name = client_order_id(world, fields)
    _refuse_triggers(fields)
    return OrderRequest(
        symbol=symbol,
        side=side,
        kind=kind,
        lots=_lots(world, instrument, fields),
        price=_price(world, instrument, fields) if kind is OrderKind.LIMIT else None,
        time_in_force=time_in_force,
        post_only=post_only,
        reduce_only=reduce_only,
        client_order_id=name,
        tag=tag,
        source=source,
        margin_mode=mode.value,
    )


def _refuse_triggers(fields: Fields) -> None:
    for name in ("stopPrice", "takeProfitPrice", "stopLossPrice"):
        if fields.decimal(name) is not None:
            raise ApiError(422, "UNSUPPORTED", f"{name} is not simulated")


def _lots(world: World, instrument: Instrument, fields: Fields) -> int:
    quantity = fields.decimal("quantity")
    if quantity is None:
        raise invalid("quantity is required")
    return lots_of(world, instrument, quantity)


def lots_of(world: World, instrument: Instrument, quantity: Decimal) -> int:
    """Lots of a quantity; ApiError when it is off the grid or too small."""
    try:
        lots = instrument.exact_lots(quantity)
    except ValueError as fault:
        raise _precision(world, str(fault)) from None
    if lots < instrument.min_lots:
        least = format(instrument.quantity(instrument.min_lots), "f")
        raise ApiError(422, "MIN_QUANTITY", f"the smallest quantity is {least}")
    return lots


def _price(world: World, instrument: Instrument, fields: Fields) -> int:
    price = fields.decimal("price")
    if price is None:
        raise invalid("price is required for a limit order")
    try:
        ticks = instrument.exact_ticks(price)
    except ValueError as fault:
        raise _precision(world, str(fault)) from None
    low, high = world.band(instrument.symbol)
    if (low is not None and price < low) or (high is not None and price > high):
        raise ApiError(422, "PRICE_BAND", f"price {price} is outside the band {low} to {high}")
    return ticks


def _precision(world: World, message: str) -> ApiError:
    return ApiError(world.settings.precision_status, "INVALID_PRECISION", message)

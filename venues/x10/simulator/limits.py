"""Rules that look at the venue and the account: modes, price band, numbers, position (5.3, 7, 18).

Asking changes nothing.
"""

from decimal import Decimal

from desk.units import Side
from venues.simulation.faults import FaultKind, Site
from venues.x10.simulator.asked import Asked
from venues.x10.simulator.codes import ApiRefused, Code
from venues.x10.simulator.register import OrderRecord
from venues.x10.simulator.settings import MarketStatus
from venues.x10.simulator.world import World

_MARKET_ORDER_REACH = Decimal("0.05")
_SHUT = frozenset({MarketStatus.DELISTED, MarketStatus.PRELISTED, MarketStatus.DISABLED})


def check_maintenance(world: World, account: str, symbol: str | None) -> None:
    """Refuse what changes orders while the venue is in maintenance."""
    site = Site(account=account, market=symbol)
    if world.faults.active(FaultKind.MAINTENANCE_MODE, site) is not None:
        raise ApiRefused(Code.MAINTENANCE_MODE)


def check_modes(world: World, account: str, asked: Asked) -> None:
    """Modes of the venue (1010 to 1012) and of the market (1002, 1014)."""
    symbol = asked.market.symbol
    check_maintenance(world, account, symbol)
    site = Site(account=account, market=symbol)
    if not asked.post_only and world.faults.active(FaultKind.POST_ONLY_MODE, site) is not None:
        raise ApiRefused(Code.POST_ONLY_MODE)
    reducing = world.faults.active(FaultKind.REDUCE_ONLY_MODE, site) is not None
    if reducing and not asked.reduce_only:
        raise ApiRefused(Code.REDUCE_ONLY_MODE)
    status = world.status(symbol)
    if status in _SHUT:
        raise ApiRefused(Code.MARKET_DISABLED)
    if status is MarketStatus.REDUCE_ONLY and not asked.reduce_only:
        raise ApiRefused(Code.MARKET_REDUCE_ONLY)


def check_limits(world: World, account: str, asked: Asked, old: OrderRecord | None) -> None:
    """Band, reduce-only, number of orders and position value; `old` is about to leave."""
    freed = None if world.settings.orders.replace_counts_both else old
    _check_band(world, asked)
    if asked.reduce_only:
        _check_reduce_only(world, account, asked)
    _check_count(world, account, asked, freed)
    if not asked.reduce_only:
        _check_position(world, account, asked, freed)


def _check_band(world: World, asked: Asked) -> None:
    """One-sided: only buys far above the mark and sells far below it are stopped."""
    mark = world.engine.mark(asked.market.symbol)
    if mark is None:
        return
    market = asked.market
    up, down = market.limit_price_cap, market.limit_price_floor
    if asked.market_order:
        up = down = _MARKET_ORDER_REACH
    price = market.min_price_change * asked.price
    buying = asked.side is Side.BUY
    if (buying and price > mark * (1 + up)) or (not buying and price < mark * (1 - down)):
        raise ApiRefused(Code.PRICE_BAND, f"order price {price}, mark price {mark}")


def _check_reduce_only(world: World, account: str, asked: Asked) -> None:
    held = world.engine.position(account, asked.market.symbol).lots
    if held == 0:
        raise ApiRefused(Code.REDUCE_ONLY_NO_POSITION)
    if held * asked.side.sign > 0:
        raise ApiRefused(Code.REDUCE_ONLY_SAME_SIDE)
    if asked.lots > abs(held):
        raise ApiRefused(Code.REDUCE_ONLY_SIZE)


def _check_count(world: World, account: str, asked: Asked, freed: OrderRecord | None) -> None:
    resting = len(_open(world, account, asked.market.symbol, freed))
    if not asked.immediate and resting >= asked.market.max_num_orders:
        raise ApiRefused(Code.TOO_MANY_ORDERS)


def _check_position(world: World, account: str, asked: Asked, freed: OrderRecord | None) -> None:
    symbol = asked.market.symbol
    mark = world.engine.mark(symbol)
    if mark is None:
        return
    same = [
        each.lots - each.filled - each.cancelled
        for each in _open(world, account, symbol, freed)
        if each.side is asked.side and not each.reduce_only
    ]
    held = world.engine.position(account, symbol).lots
    reached = held * asked.side.sign + sum(same) + asked.lots
    if mark * asked.market.min_order_size_change * reached > asked.market.max_position_value:
        raise ApiRefused(Code.POSITION_TOO_LARGE)


def _open(world: World, account: str, symbol: str, freed: OrderRecord | None) -> list[OrderRecord]:
    return [
        each
        for each in world.register.of(account).open.values()
        if each.symbol == symbol and each is not freed
    ]

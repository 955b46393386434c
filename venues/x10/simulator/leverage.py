"""`PATCH /user/leverage` (x10.md section 18): one number a market, for position and orders."""

from decimal import Decimal

from venues.x10.simulator.bodies import leverage_body, number
from venues.x10.simulator.calls import Answer, Call, Route
from venues.x10.simulator.codes import ApiRefused, Code
from venues.x10.simulator.settings import SimMarket
from venues.x10.simulator.world import World

_CENT = Decimal("0.01")


def update(world: World, call: Call) -> Answer:
    """Set it; refused when the account could not carry what it has."""
    body = leverage_body(call.raw)
    market = world.market(body.market)
    wanted = number(body.leverage, "leverage")
    _check(world, call.account, market, wanted)
    before = call.who.leverage[market.symbol]
    world.engine.set_initial_margin(call.account, market.symbol, 1 / wanted)
    view = world.engine.balance(call.account)
    if wanted < before and view.initial_margin > view.equity:
        world.engine.set_initial_margin(call.account, market.symbol, 1 / before)
        raise ApiRefused(Code.LEVERAGE_MARGIN)
    call.who.leverage[market.symbol] = wanted
    return Answer(empty=world.settings.answers.empty_leverage_body)


def _check(world: World, account: str, market: SimMarket, wanted: Decimal) -> None:
    if wanted < 1:
        raise ApiRefused(Code.LEVERAGE_TOO_LOW)
    if wanted > market.max_leverage:
        raise ApiRefused(Code.LEVERAGE_TOO_HIGH)
    if wanted != wanted.quantize(_CENT):
        raise ApiRefused(Code.LEVERAGE_PRECISION)
    held = world.engine.position(account, market.symbol)
    value = (held.mark or Decimal(0)) * market.min_order_size_change * abs(held.lots)
    steps = int(value / market.risk_step)
    if wanted * market.risk_factor * (1 + steps) > 1:
        raise ApiRefused(Code.LEVERAGE_FOR_POSITION)


ROUTES = (Route(method="PATCH", path="/user/leverage", handler=update),)

"""Private reads: orders, fills, positions, balance, fees, leverage, who I am (x10.md section 4.3).

Lists are newest first and paged by the last id shown.
"""

from collections.abc import Sequence
from typing import Any

from venues.simulation.endpoint import told_balance, told_positions
from venues.simulation.views import AccountTrade, PositionView
from venues.x10.simulator import shapes
from venues.x10.simulator.calls import Answer, Call, Route
from venues.x10.simulator.codes import ApiRefused, Code
from venues.x10.simulator.customers import Customer
from venues.x10.simulator.register import OrderRecord
from venues.x10.simulator.world import World

_PAGE = 100
_MOST = 10_000


def open_orders(world: World, call: Call) -> Answer:
    """`GET /user/orders`: what may still fill."""
    found = [each for each in world.register.of(call.account).open.values() if _fits(call, each)]
    return Answer(data=[world.reporter.order(each) for each in reversed(found)])


def order_by_external_id(world: World, call: Call) -> Answer:
    """`GET /user/orders/external/{id}`: a list, empty when nothing is known."""
    record = world.register.of(call.account).by_external.get(call.parts["id"])
    return Answer(data=[] if record is None else [world.reporter.order(record)])


def order_by_number(world: World, call: Call) -> Answer:
    """`GET /user/orders/{id}`."""
    text = call.parts["id"]
    book = world.register.of(call.account)
    record = book.by_number.get(int(text)) if text.isdecimal() else None
    if record is None:
        raise ApiRefused(Code.NOT_FOUND, "order")
    return Answer(data=world.reporter.order(record))


def order_history(world: World, call: Call) -> Answer:
    """`GET /user/orders/history`: ended orders, as far as they are kept (section 11.4)."""
    found = [each for each in world.register.of(call.account).closed if _in_history(call, each)]
    by_update = call.text("sort") == "UPDATED_AT"
    found.sort(key=lambda each: each.updated_ms if by_update else each.number, reverse=True)
    rows = [(each.number, world.reporter.order(each)) for each in found]
    return page(call, rows)


def fills(world: World, call: Call) -> Answer:
    """`GET /user/trades`."""
    rows = []
    for trade in reversed(world.engine.trades(call.account)):
        if named(call, "market", trade.symbol) and named(call, "side", shapes.side(trade.side)):
            shown = _fill(world, call.who, trade)
            if named(call, "type", shown["tradeType"]):
                rows.append((shown["id"], shown))
    return page(call, rows)


def positions(world: World, call: Call) -> Answer:
    """`GET /user/positions`: what is not flat."""
    shown = [world.reporter.position_of(call.account, each) for each in _held(world, call)]
    return Answer(data=[each for each in shown if named(call, "side", each["side"])])


def position_history(_world: World, _call: Call) -> Answer:
    """`GET /user/positions/history`: the simulator keeps none."""
    return Answer(data=[], pagination={"cursor": 0, "count": 0})


def balance(world: World, call: Call) -> Answer:
    """`GET /user/balance`: 404 when there is no money (section 11.3)."""
    view = told_balance(world, call.account, call.site)
    if view.collateral == 0 and view.equity == 0:
        raise ApiRefused(Code.NOT_FOUND, "balance")
    held = told_positions(world, call.account, call.site)
    return Answer(data=world.reporter.balance_of(view, held))


def fees(world: World, call: Call) -> Answer:
    """`GET /user/fees`."""
    money = world.settings.money
    rates = {
        "makerFeeRate": shapes.plain(money.maker_fee),
        "takerFeeRate": shapes.plain(money.taker_fee),
        "builderFeeRate": "0",
    }
    return Answer(data=[{"market": symbol, **rates} for symbol in _asked_markets(world, call)])


def leverage(world: World, call: Call) -> Answer:
    """`GET /user/leverage`."""
    chosen = call.who.leverage
    return Answer(
        data=[
            {"market": symbol, "leverage": shapes.plain(chosen[symbol])}
            for symbol in _asked_markets(world, call)
        ]
    )


def account_info(_world: World, call: Call) -> Answer:
    """`GET /user/account/info`."""
    return Answer(data=_account(call.who))


def accounts(world: World, call: Call) -> Answer:
    """`GET /user/accounts`: all of the client's."""
    return Answer(data=[_account(each) for each in world.customers.of_owner(call.who.owner)])


def client_info(_world: World, call: Call) -> Answer:
    """`GET /user/client/info`."""
    return Answer(data={"id": call.who.number, "evmWalletAddress": None})


def nothing(_world: World, _call: Call) -> Answer:
    """A list that is always empty here."""
    return Answer(data=[])


def _account(customer: Customer) -> dict[str, Any]:
    return {
        "id": customer.number,
        "accountId": customer.number,
        "description": customer.name,
        "accountIndex": 0,
        "status": "ACTIVE",
        "l2Key": hex(customer.seed.stark_public_key),
        "l2Vault": customer.seed.vault,
    }


def _fill(world: World, customer: Customer, trade: AccountTrade) -> dict[str, Any]:
    book = world.register.of(customer.name)
    record = book.by_external.get(trade.client_order_id or "")
    number = 0 if record is None else record.number
    return shapes.fill(world.instrument(trade.symbol), customer.number, number, trade)


def _held(world: World, call: Call) -> list[PositionView]:
    held = told_positions(world, call.account, call.site)
    return [each for each in held if named(call, "market", each.symbol)]


def _asked_markets(world: World, call: Call) -> list[str]:
    asked = call.markets or list(world.markets)
    return [world.market(symbol).symbol for symbol in asked]


def named(call: Call, name: str, value: str) -> bool:
    """Whether a filter of the query lets a value through."""
    wanted = call.query.get(name, ())
    return not wanted or value in wanted


def _fits(call: Call, record: OrderRecord) -> bool:
    return (
        named(call, "market", record.symbol)
        and named(call, "type", record.kind)
        and named(call, "side", shapes.side(record.side))
    )


def _in_history(call: Call, record: OrderRecord) -> bool:
    return (
        _fits(call, record)
        and named(call, "id", str(record.number))
        and named(call, "externalId", record.external_id)
    )


def page(call: Call, rows: Sequence[tuple[int, Any]], most: int = _MOST) -> Answer:
    """One page of rows with their ids, newest first."""
    limit = min(call.whole("limit") or _PAGE, most)
    cursor = call.whole("cursor")
    if cursor is not None:
        rows = [row for row in rows if row[0] < cursor]
    shown = rows[:limit]
    last = shown[-1][0] if shown else cursor or 0
    return Answer(data=[row[1] for row in shown], pagination={"cursor": last, "count": len(shown)})


ROUTES = (
    Route(method="GET", path="/user/orders", handler=open_orders),
    Route(method="GET", path="/user/orders/history", handler=order_history),
    Route(method="GET", path="/user/orders/external/{id}", handler=order_by_external_id),
    Route(method="GET", path="/user/orders/{id}", handler=order_by_number),
    Route(method="GET", path="/user/trades", handler=fills),
    Route(method="GET", path="/user/positions", handler=positions),
    Route(method="GET", path="/user/positions/history", handler=position_history),
    Route(method="GET", path="/user/balance", handler=balance),
    Route(method="GET", path="/user/spot/balances", handler=nothing),
    Route(method="GET", path="/user/fees", handler=fees),
    Route(method="GET", path="/user/leverage", handler=leverage),
    Route(method="GET", path="/user/account/info", handler=account_info),
    Route(method="GET", path="/user/accounts", handler=accounts),
    Route(method="GET", path="/user/client/info", handler=client_info),
)

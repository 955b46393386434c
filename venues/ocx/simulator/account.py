"""Account reads and transfers between buckets."""

from decimal import Decimal
from enum import StrEnum
from typing import Any

from desk.orders import RejectReason
from venues.ocx.simulator import shapes
from venues.ocx.simulator.answers import Answer, ApiError, invalid
from venues.ocx.simulator.calls import Call, Route
from venues.ocx.simulator.credentials import Access
from venues.ocx.simulator.world import World
from venues.simulation.endpoint import told_balance, told_positions
from venues.simulation.views import BalanceView, Bucket, PositionView


class BucketName(StrEnum):
    """Buckets as transfers name them."""

    WALLET = "wallet"
    PERPS = "perps"
    OPTIONS = "options"
    SPOT = "spot"


def positions(world: World, call: Call) -> Answer:
    """`GET /perps/positions`: what is open."""
    return Answer(body=[_position(world, view) for view in _held(world, call)])


def balances(world: World, call: Call) -> Answer:
    """`GET /perps/balances`: margin headroom of the perps bucket."""
    return Answer(body=shapes.perps_balance(_money(world, call)))


def portfolio(world: World, call: Call) -> Answer:
    """`GET /portfolio/me`: money, margin and positions in one read."""
    view = _money(world, call)
    usage = view.initial_margin / view.equity if view.equity > 0 else Decimal(0)
    held = _held(world, call)
    body = {
        "equity": shapes.money(view.equity),
        "tradableBalance": shapes.money(view.available),
        "balances": {
            "walletBalance": shapes.money(view.wallet),
            "perpsBalance": shapes.money(view.collateral),
            "optionsBalance": shapes.money(view.options),
        },
        "pnl": {
            "unrealized": shapes.money(view.unrealized_pnl),
            "realized24h": shapes.money(sum((p.realized_pnl for p in held), Decimal(0))),
        },
        "margin": {
            "initialMargin": shapes.money(view.initial_margin),
            "maintenanceMargin": shapes.money(view.maintenance_margin),
            "marginUsage": shapes.money(usage),
        },
        "positions": [
            shapes.portfolio_position(world.engine.market_rules(p.symbol).instrument, p)
            for p in held
        ],
        "optionPositions": [],
    }
    return Answer(body=body)


def portfolio_balances(world: World, call: Call) -> Answer:
    """`GET /portfolio/balances`: buckets and assets."""
    view = _money(world, call)
    return Answer(body=shapes.wallet_balance(view) | {"assets": _assets(view, buckets=False)})


def wallet_balance(world: World, call: Call) -> Answer:
    """`GET /wallet/balance`."""
    return Answer(body=shapes.wallet_balance(_money(world, call)))


def wallet_assets(world: World, call: Call) -> Answer:
    """`GET /wallet/assets`: USDC by bucket."""
    return Answer(body=_assets(_money(world, call), buckets=True))


def transfer(world: World, call: Call) -> Answer:
    """`POST /wallet/transfer`: instant; 400 when the bucket does not hold enough."""
    fields = call.fields
    source = fields.choice("from", BucketName, None)
    target = fields.choice("to", BucketName, None)
    amount = fields.decimal("amount")
    if source is target or amount is None:
        raise invalid("from and to must differ and amount is required")
    refused = world.engine.treasury.move(
        call.account, Bucket(source.value), Bucket(target.value), amount
    )
    if refused is RejectReason.INVALID:
        raise ApiError(400, "INSUFFICIENT_BALANCE", f"the {source} bucket does not hold {amount}")
    if refused is not None:
        raise ApiError(400, "INSUFFICIENT_BALANCE", f"{amount} of {source} backs open risk")
    return Answer(body=shapes.wallet_balance(world.engine.balance(call.account)))


def _held(world: World, call: Call) -> list[PositionView]:
    return told_positions(world, call.account, call.site)


def _money(world: World, call: Call) -> BalanceView:
    return told_balance(world, call.account, call.site)


def _position(world: World, view: PositionView) -> dict[str, Any]:
    return shapes.position(world.engine.market_rules(view.symbol).instrument, view)


def _assets(view: BalanceView, *, buckets: bool) -> list[dict[str, str]]:
    rows = (
        ("wallet", view.wallet, view.wallet),
        ("perps", view.collateral, min(view.collateral, view.available)),
        ("options", view.options, view.options),
        ("spot", view.spot, view.spot),
    )
    if not buckets:
        total = sum((row[1] for row in rows), Decimal(0))
        free = sum((row[2] for row in rows), Decimal(0))
        return [_asset(total, free)]
    return [{"bucket": name, **_asset(total, free)} for name, total, free in rows]


def _asset(total: Decimal, free: Decimal) -> dict[str, str]:
    return {
        "asset": "USDC",
        "available": shapes.money(free),
        "locked": shapes.money(total - free),
        "total": shapes.money(total),
    }


ROUTES = (
    Route(method="GET", path="/perps/positions", handler=positions, access=Access.READ),
    Route(method="GET", path="/perps/balances", handler=balances, access=Access.READ),
    Route(method="GET", path="/portfolio/me", handler=portfolio, access=Access.READ),
    Route(method="GET", path="/portfolio/balances", handler=portfolio_balances, access=Access.READ),
    Route(method="GET", path="/wallet/balance", handler=wallet_balance, access=Access.READ),
    Route(method="GET", path="/wallet/assets", handler=wallet_assets, access=Access.READ),
    Route(method="POST", path="/wallet/transfer", handler=transfer, access=Access.TRANSFER),
)

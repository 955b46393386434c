"""Account reads and transfers between buckets.

Of a spot pair, positions list what was bought there less what was sold, so that they compare with
fills; what is owned in all stands among the assets.
"""

from collections.abc import Sequence
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
from venues.simulation.spot import AssetView
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
    held = [view for view in _held(world, call) if not world.markets[view.symbol].spot]
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
    assets = _in_all(view, world.engine.assets.of(call.account))
    return Answer(body=shapes.wallet_balance(view) | {"assets": assets})


def wallet_balance(world: World, call: Call) -> Answer:
    """`GET /wallet/balance`."""
    return Answer(body=shapes.wallet_balance(_money(world, call)))


def wallet_assets(world: World, call: Call) -> Answer:
    """`GET /wallet/assets`: USDC by bucket, and what else the spot bucket holds."""
    return Answer(body=_by_bucket(_money(world, call), world.engine.assets.of(call.account)))


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


def _by_bucket(view: BalanceView, spot: Sequence[AssetView]) -> list[dict[str, str]]:
    """The collateral in every bucket (it comes first among the spot assets), then the rest."""
    cash = spot[0].currency
    rows = (
        ("wallet", cash, view.wallet, view.wallet),
        ("perps", cash, view.collateral, min(view.collateral, view.available)),
        ("options", cash, view.options, view.options),
        *(("spot", one.currency, one.total, one.total - one.locked) for one in spot),
    )
    return [
        {"bucket": bucket, **_asset(currency, total, free)}
        for bucket, currency, total, free in rows
    ]


def _in_all(view: BalanceView, spot: Sequence[AssetView]) -> list[dict[str, str]]:
    cash, *others = spot
    total = view.wallet + view.collateral + view.options + cash.total
    free = view.wallet + min(view.collateral, view.available) + view.options
    return [
        _asset(cash.currency, total, free + cash.total - cash.locked),
        *(_asset(one.currency, one.total, one.total - one.locked) for one in others),
    ]


def _asset(currency: str, total: Decimal, free: Decimal) -> dict[str, str]:
    return {
        "asset": currency,
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

"""What this deployment ever owned, from the ledger alone: for when Temporal has forgotten it.

The one rule: it only reads; nothing starts because it was once owned.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from desk.book_ports import ReconciliationBook
from desk.control_ports import OwnershipBook
from desk.errors import ConfigurationFault, Unavailable
from desk.identity import MarketId
from desk.ownership import BookedExposure
from flotilla.control import open_temporal
from flotilla.wiring import open_owned
from infra.settings import Settings, load_settings
from workflows import names

_ASK: Final = timedelta(seconds=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """One market as the ledger knows it: base units held, orders that rest, its last step.

    `workflow` is `running`, `none`, or `unknown` where Temporal does not answer.
    """

    market: MarketId
    held: Decimal
    orders: int
    last_step: str
    workflow: str

    @property
    def left_alone(self) -> bool:
        """Whether something is left and nobody is known to answer for it."""
        kept = BookedExposure(market=self.market, quantity=self.held, last_step=self.last_step).kept
        return self.workflow != "running" and bool(self.orders or (self.held and not kept))


async def owned_markets(settings: Settings | None = None) -> Sequence[Owned]:
    """Every market that ever had an epoch. Raises Unavailable without Postgres."""
    chosen = settings or load_settings()
    async with open_owned(chosen) as (answers, ownership, books):
        markets = sorted(await answers.markets("fleet"))
        booked, orders = await _booked(markets, ownership, books)
    running = await _running(chosen, markets)
    return tuple(
        Owned(
            market=market,
            held=booked[market].quantity if market in booked else Decimal(0),
            orders=orders.get(market, 0),
            last_step=booked[market].last_step if market in booked else "",
            workflow=running.get(market, "unknown"),
        )
        for market in markets
    )


async def _booked(
    markets: Sequence[MarketId], ownership: OwnershipBook, books: ReconciliationBook
) -> tuple[Mapping[MarketId, BookedExposure], Mapping[MarketId, int]]:
    booked: dict[MarketId, BookedExposure] = {}
    orders: dict[MarketId, int] = {}
    for (venue, account), some in groupby(markets, key=lambda one: (one.venue, one.account)):
        symbols = [market.symbol for market in some]
        for one in await ownership.exposures(venue, account, symbols):
            booked[one.market] = one
        for order in (await books.books(venue, account)).orders:
            market = MarketId(venue, account, order.symbol)
            orders[market] = orders.get(market, 0) + 1
    return booked, orders


async def _running(settings: Settings, markets: Sequence[MarketId]) -> Mapping[MarketId, str]:
    """What Temporal says of each market's workflow; nothing when it does not answer."""
    found: dict[MarketId, str] = {}
    with suppress(RPCError, Unavailable, ConfigurationFault):
        async with open_temporal(settings) as client:
            for market in markets:
                found[market] = await _workflow(client, market)
    return found


async def _workflow(client: Client, market: MarketId) -> str:
    handle = client.get_workflow_handle(names.market_workflow_id(market))
    try:
        described = await handle.describe(rpc_timeout=_ASK)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return "none"
        raise
    return "none" if described.close_time else "running"

"""Ways to make books and venue differ, and the proof that nobody else was stopped by it.

The rule: a lever gives the time right before it was pulled; what is found is counted from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import httpx

from desk.identity import OrderIdentity, Slot
from desk.lifecycle import MarketState
from desk.orders import OutcomeKind
from desk.records import OrderAnswered, OrderSent
from desk.units import NS_PER_MS, Side
from quoting.taking import read_book
from tests.chaos.break_ground import now_ms
from tests.chaos.ground import Market
from venues.zo.client_ids import pack


async def pull(market: Market, lever: str, **body: Any) -> int:
    """Pull a lever at a market's venue; unix milliseconds right before."""
    at_ms = now_ms()
    await market.venue.post(lever, body)
    return at_ms


async def calm(market: Market) -> None:
    """Disarm every fault at a market's venue."""
    async with httpx.AsyncClient(base_url=market.venue.url) as levers:
        (await levers.delete("/_sim/faults")).raise_for_status()


def id_of(market: Market, number: int) -> OrderIdentity:
    """An identity as a session of this market made it long ago, in its first epoch."""
    return OrderIdentity(tag=market.id.tag, epoch=1, cycle=1_000 + number, slot=Slot(Side.BUY, 9))


async def ghost(market: Market, number: int) -> int:
    """By our books an order rests that never reached the venue; unix milliseconds of it."""
    at_ms, name = now_ms(), id_of(market, number).encode()
    async with market.control() as ports:
        ports.writer.record(
            OrderSent(
                market=market.id,
                epoch=1,
                client_order_id=name,
                batch_id=name,
                side=Side.BUY,
                price=1,
                lots=1,
                reduce_only=False,
                sent_at_ms=at_ms,
            )
        )
        ports.writer.record(
            OrderAnswered(
                market=market.id,
                client_order_id=name,
                kind=OutcomeKind.ACCEPTED,
                venue_order_id=name,
                message="",
                answered_at_ms=at_ms,
            )
        )
        assert await ports.writer.flush(30)
    return at_ms


async def orphan(market: Market, number: int, *, taking: bool = False) -> int:
    """An order with an id of ours that no book knows, far away or filled at once; when, unix ms."""
    async with market.control() as ports:
        venue = await ports.venues.venue(market.id.venue, market.id.account)
        listed = {one.symbol: one for one in await venue.instruments()}
        instrument = listed[market.id.symbol]
        book = await read_book(venue, instrument)
    assert book.mid_x2 is not None
    far = Decimal("1.01") if taking else Decimal("0.98")
    price = instrument.price(int(book.mid_x2 * far / 2))
    identity = id_of(market, number)
    numbers = market.venue.numbers
    name = str(pack(identity, numbers[market.id.symbol])) if numbers else identity.encode()
    return await pull(
        market,
        "order",
        account="main",
        marketId=market.id.symbol,
        side="buy",
        quantity=str(instrument.quantity(20)),
        price=str(price),
        clientOrderId=name,
        postOnly=not taking,
    )


@dataclass(slots=True, kw_only=True)
class GoingOn:
    """That markets quote while others are stopped; judged by the venue's own log.

    A busy machine may end a session of theirs, and another one begins: that is no stop.
    """

    markets: Sequence[Market]
    began_ms: int

    @classmethod
    async def of(cls, *markets: Market) -> "GoingOn":
        """From now on."""
        for market in markets:
            assert await market.epoch() > 0, "it does not quote yet"
        return cls(markets=markets, began_ms=now_ms())

    async def check(self, since_ms: int | None = None) -> None:
        """Orders were taken after this time, and nobody ever paused them."""
        since_ns = (since_ms or self.began_ms) * NS_PER_MS

        async def taken(market: Market) -> bool:
            accepted = (await market.log()).accepted()
            return any(one.at_ns > since_ns and one.rests for one in accepted)

        began = datetime.fromtimestamp(self.began_ms / 1_000, UTC)
        for market in self.markets:
            path = market.id.path
            await market.until(f"{path} places orders", partial(taken, market), within_s=60)
            await market.until(f"{path} shows quotes", market.has_quotes, within_s=60)
            for change in (await market.status()).history:
                late = datetime.fromisoformat(change.at) > began
                assert not (late and change.state is MarketState.PAUSED), f"{path}: {change}"

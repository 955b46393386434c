"""Arbitrage trades as the ledger's tests record them."""

from dataclasses import replace
from decimal import Decimal

from desk.arbitrage_records import FiredLeg, HeldCapital, LegProgress, TradeFired, TradeKey
from desk.identity import MarketId
from desk.units import Side
from tests.infra.postgres.samples import START_MS

YES, NO = MarketId("ocx", "main", "RAIN-YES"), MarketId("x10", "main", "RAIN-NO")


def held(amount: str | int, *, venue: str = "ocx", quote: str = "USDC") -> HeldCapital:
    return HeldCapital(venue=venue, account="main", quote=quote, amount=Decimal(amount))


def leg(number: int, market: MarketId, *, lots: int = 30) -> FiredLeg:
    return FiredLeg(
        market=market,
        side=Side.BUY,
        lots=lots,
        limit=44,
        client_order_id=f"{market.symbol}-{number}",
    )


def fired(number: int = 1, *, set_name: str = "rain", epoch: int = 1) -> TradeFired:
    return TradeFired(
        key=TradeKey(set_name, epoch, number),
        quote="USDC",
        units=Decimal("30.5"),
        legs=(leg(number, YES), leg(number, NO)),
        capital=(held("13.2"), held("15.90", venue="x10")),
        edge_expected=Decimal("0.9"),
        payout_expected=Decimal(30),
        by="worker a",
        fired_at_ms=START_MS + 1_000 * epoch + number,
    )


def looks(number: int, *filled_and_owed: tuple[int, int]) -> tuple[LegProgress, ...]:
    legs = fired(number).legs
    return tuple(
        LegProgress(client_order_id=one.client_order_id, filled=filled, owed=owed)
        for one, (filled, owed) in zip(legs, filled_and_owed, strict=False)
    )


def poorer(trade: TradeFired) -> TradeFired:
    """The same trade, told with less."""
    return replace(trade, legs=trade.legs[:1], capital=trade.capital[:1], units=Decimal(1))

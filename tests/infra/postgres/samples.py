"""Records the ledger's tests write."""

from decimal import Decimal

from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Fill, Liquidity, OutcomeKind
from desk.records import ControlDecision, EquityMark, FillSeen, OrderAnswered, OrderSent
from desk.units import Side

MARKET = MarketId("ocx", "main", "BTC-PERP")
OTHER = MarketId("ocx", "main", "ETH-PERP")
START_MS = 1_700_000_000_000
BTC = Instrument(
    venue="ocx",
    symbol="BTC-PERP",
    tick_size=Decimal("0.5"),
    lot_size=Decimal("0.001"),
    multiplier=Decimal(2),
)


def fill(
    number: int,
    *,
    market: MarketId = MARKET,
    side: Side = Side.BUY,
    price: int = 100,
    lots: int = 3,
) -> Fill:
    return Fill(
        venue=market.venue,
        account=market.account,
        symbol=market.symbol,
        trade_id=f"t{number}",
        side=side,
        price=price,
        lots=lots,
        liquidity=Liquidity.MAKER,
        fee=Decimal("0.0100"),
        fee_estimated=False,
        traded_at_ms=START_MS + number,
        client_order_id=f"c{number}",
    )


def seen(number: int, *, lots: int = 3) -> FillSeen:
    return FillSeen(market=MARKET, fill=fill(number, lots=lots))


def sent(number: int) -> OrderSent:
    return OrderSent(
        market=MARKET,
        epoch=1,
        client_order_id=f"c{number}",
        batch_id=f"b{number}",
        side=Side.SELL,
        price=200,
        lots=5,
        reduce_only=False,
        sent_at_ms=START_MS + number,
    )


def answered(
    number: int, kind: OutcomeKind = OutcomeKind.ACCEPTED, *, after_ms: int = 10, message: str = ""
) -> OrderAnswered:
    return OrderAnswered(
        market=MARKET,
        client_order_id=f"c{number}",
        kind=kind,
        venue_order_id=f"v{number}",
        message=message,
        answered_at_ms=START_MS + number + after_ms,
    )


def mark(
    number: int,
    *,
    market: MarketId = MARKET,
    epoch: int = 1,
    pnl: str = "1.5",
    peak: str = "2.5",
) -> EquityMark:
    return EquityMark(
        market=market,
        epoch=epoch,
        pnl=Decimal(pnl),
        peak=Decimal(peak),
        position=4,
        mid=Decimal("50.25"),
        at_ms=START_MS + number,
    )


def decision(number: int, *, evidence: str = "{}") -> ControlDecision:
    return ControlDecision(
        market=MARKET,
        epoch=1,
        kind="flatten",
        reason="drawdown",
        by="rule",
        evidence=evidence,
        at_ms=START_MS + number,
    )

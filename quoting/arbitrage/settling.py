"""What the trades of an outcome set came to, put on record: at every close, and when it is decided.

The rule: everything is added up anew from all booked fills and all trades, read page by page; but
only after something was booked since the newest trade was told, for it is told last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from desk.arbitrage.sets import OutcomeSet
from desk.arbitrage_records import UNDER_WAY, ArbitrageTrade, HeldCapital, TradeStage
from quoting.arbitrage.accounts import Account, account_of, accounts_of, executions
from quoting.arbitrage.books import LegBooks, SetBooks
from quoting.arbitrage.completing import complete
from quoting.arbitrage.ports import SetPorts
from quoting.arbitrage.report import RunOrder

FILLS: Final = "fills"
SETTLEMENT: Final = "settlement"
_PAGE: Final = 1_000
_ZERO: Final = Decimal(0)


async def tell_outcomes(
    order: RunOrder, outcomes: OutcomeSet, books: SetBooks, ports: SetPorts, reason: str
) -> None:
    """Record that trades under way are balanced, and what sales brought. Raises Unavailable."""
    if not await _is_news(order, books, ports):
        return
    whole = await _with_all_fills(books, ports)
    trades = await _all_trades(order, ports)
    accounts = accounts_of(
        [account_of(outcomes, trade, whole) for trade in trades], executions(whole, trades)
    )
    complete(accounts.trades)
    telling = _Telling(
        ports=ports,
        fills=_count(whole),
        payout=1 - order.rules.settlement_cost,
        by=FILLS,
        reason=reason,
    )
    await telling.tell(accounts.trades)


async def settle_outcomes(
    order: RunOrder, outcomes: OutcomeSet, books: SetBooks, ports: SetPorts
) -> str:
    """Record what the venue paid, by trade; in a sentence, empty when it paid nothing.

    Call it when nothing is held any more and nothing is traded. Raises Unavailable.
    """
    whole = await _with_all_fills(books, ports)
    trades = await _all_trades(order, ports)
    others = executions(whole, trades)
    if not any(others.values()):
        return ""
    accounts = accounts_of(
        [account_of(outcomes, trade, whole) for trade in trades], others, paid_out=True
    )
    reason = f"{outcomes.event} was decided"
    if accounts.loose:
        reason = (
            f"{reason}; executions of {accounts.loose:f} {outcomes.quote} in all "
            "belong to no trade on record"
        )
    telling = _Telling(ports=ports, fills=_count(whole), payout=None, by=SETTLEMENT, reason=reason)
    await telling.tell(accounts.trades)
    return reason


@dataclass(frozen=True, slots=True, kw_only=True)
class _Telling:
    """`payout` is what a complete set that is left will pay; None when it was decided."""

    ports: SetPorts
    fills: int
    payout: Decimal | None
    by: str
    reason: str

    async def tell(self, accounts: Sequence[Account]) -> None:
        """The newest last, and always: what it counts, all others have been told from."""
        for account in accounts:
            await self._tell(account, always=account is accounts[-1])

    async def _tell(self, account: Account, *, always: bool) -> None:
        trade, payout, edge = account.trade, account.payout, account.edge(self.payout or _ZERO)
        holds = self.payout is not None and account.holds
        locked = account.locked() if holds else ()
        if trade.stage in UNDER_WAY and self.payout is not None:
            await self._balanced(account, edge, self.payout, locked)
            if holds and not payout:
                return
        told = trade.payout or _ZERO, trade.edge, set(trade.locked)
        settled = trade.stage is TradeStage.SETTLED
        if not holds and not settled:
            await self._settled(account, edge)
        elif always or told != (payout, edge, set() if settled else set(locked)):
            await self.ports.trades.retold(
                trade.fired.key, locked=locked, payout=payout, edge=edge, fills=self.fills
            )

    async def _balanced(
        self, account: Account, edge: Decimal, payout: Decimal, locked: Sequence[HeldCapital]
    ) -> None:
        await self.ports.trades.balanced(
            account.trade.fired.key,
            locked=locked,
            payout_expected=account.units * payout,
            edge=edge,
            by=FILLS,
            reason=self.reason,
            fills=self.fills,
        )

    async def _settled(self, account: Account, edge: Decimal) -> None:
        told = account.trade.stage in UNDER_WAY or self.payout is None
        await self.ports.trades.settled(
            account.trade.fired.key,
            payout=account.payout,
            edge=edge,
            by=self.by,
            reason=self.reason if told else "nothing of it is held any more",
            fills=self.fills,
        )


def _count(books: SetBooks) -> int:
    return sum(len(one.others) + sum(map(len, one.ours.values())) for one in books.legs)


async def _is_news(order: RunOrder, books: SetBooks, ports: SetPorts) -> bool:
    newest = await ports.trades.recent(1, order.name)
    if not newest:
        return False
    facts = [await ports.ledger.facts(one.leg.market, 0) for one in books.legs]
    booked = sum(one.fills for one in facts)
    return newest[0].fills != booked or bool(await ports.trades.open_for(order.name))


async def _all_trades(order: RunOrder, ports: SetPorts) -> list[ArbitrageTrade]:
    """In the order of their keys: epochs of a set only grow, and workers' clocks differ."""
    found: list[ArbitrageTrade] = []
    while page := await ports.trades.page(
        order.name, found[-1].fired.key if found else None, _PAGE
    ):
        found += page
    return found


async def _with_all_fills(books: SetBooks, ports: SetPorts) -> SetBooks:
    legs = []
    for one in books.legs:
        fills = await ports.ledger.fills(one.leg.market, 0)
        legs.append(LegBooks.of(one.leg, one.position, fills))
    return SetBooks(legs=tuple(legs), difference=books.difference)

"""What trades of an outcome set came to, by the fills booked for its legs: pure.

The rule: lots of each leg go first in, first out, and what they brought goes with them, so that
all trades together have what the fills brought. What no trade explains is told, and never dropped.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final

from desk.arbitrage.obligation import Booked
from desk.arbitrage.sets import OutcomeSet
from desk.arbitrage.values import decimal
from desk.arbitrage.weights import Steps
from desk.arbitrage_records import ArbitrageTrade, HeldCapital
from desk.identity import MarketId
from desk.units import Lots
from quoting.arbitrage.books import SetBooks, epochs_of

_ZERO: Final = Decimal(0)
_GRAIN: Final = Decimal("1e-12")
"""Shares are whole grains, so that sums of them are exact; whoever is last has the rest."""

Take = tuple["Account", Lots]


@dataclass(slots=True, kw_only=True)
class Account:
    """One trade by its fills. `booked` is signed by leg, `steps` are lots of a complete amount.

    `left` are lots it bought that nobody sold since, and `brought` is what the others brought,
    quote currency. `given` is what its own sales brought those that had bought, `sold` in all.
    `taken` are lots it has of other trades, at their cost (`completing`); `passed` is what they
    owe each other for it, below 0 for whoever took them.
    """

    trade: ArbitrageTrade
    unit: Fraction
    steps: Mapping[MarketId, Lots]
    booked: Mapping[MarketId, Booked]
    left: dict[MarketId, Lots] = field(default_factory=dict)
    brought: Decimal = _ZERO
    sold: Decimal = _ZERO
    given: Decimal = _ZERO
    taken: dict[MarketId, tuple[Lots, Decimal]] = field(default_factory=dict)
    passed: Decimal = _ZERO

    @property
    def units(self) -> Decimal:
        """Complete sets that are left of it."""
        return decimal(self.unit * self.whole)

    @property
    def whole(self) -> int:
        """The same, counted in `steps`."""
        return self._whole(self.left)

    @property
    def holds(self) -> bool:
        """Whether any lots of it are left, complete or not."""
        return any(self.left.values())

    @property
    def payout(self) -> Decimal:
        """What came back for what it bought, and for what it sold that nobody had bought."""
        return self.brought + self.sold - self.given

    def edge(self, payout: Decimal) -> Decimal:
        """What it brings in all if each complete set that is left pays so much."""
        cash = sum((one.cash for one in self.booked.values()), _ZERO)
        return cash + self.brought - self.given + self.passed + self.units * payout

    def cost(self, market: MarketId, lots: Lots) -> Decimal:
        """What so many lots of those it bought cost."""
        bought = self.booked[market]
        return decimal(Fraction(-bought.cash) * Fraction(lots, bought.lots)) if lots else _ZERO

    def locked(self) -> tuple[HeldCapital, ...]:
        """What its lots that are left cost, by account."""
        held: dict[tuple[str, str], Decimal] = {}
        for market, lots in self.left.items():
            others, paid = self.taken.get(market, (0, _ZERO))
            place = (market.venue, market.account)
            held[place] = held.get(place, _ZERO) + paid + self.cost(market, lots - others)
        quote = self.trade.fired.quote
        return tuple(
            HeldCapital(venue=venue, account=account, quote=quote, amount=cost)
            for (venue, account), cost in held.items()
            if cost > 0
        )

    def sold_whole(self, market: MarketId) -> Lots:
        """Of what it sold of a leg, the lots that were sold as part of complete sets."""
        sold = {leg: max(0, -one.lots) for leg, one in self.booked.items()}
        return self._whole(sold) * self.steps[market]

    def _whole(self, lots: Mapping[MarketId, Lots]) -> int:
        return min(lots.get(market, 0) // step for market, step in self.steps.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """All trades of a set, oldest first, and the quote currency that no trade explains."""

    trades: tuple[Account, ...]
    loose: Decimal


def account_of(outcomes: OutcomeSet, trade: ArbitrageTrade, books: SetBooks) -> Account:
    """What the fills under a trade's ids come to, hedges included; nothing is shared out yet."""
    epochs, steps = epochs_of(trade), Steps.of(outcomes)
    booked = {}
    for one in books.legs:
        market = one.leg.market
        booked[market] = one.booked(one.of_epoch(epochs.get(market, 0)))
    lots = {leg.market: step for leg, step in zip(outcomes.legs, steps.lots, strict=True)}
    return Account(trade=trade, unit=steps.units, steps=lots, booked=booked)


def executions(
    books: SetBooks, trades: Iterable[ArbitrageTrade]
) -> dict[MarketId, tuple[Booked, ...]]:
    """Executions of each leg that none of these trades made, one by one, oldest first.

    Somebody else's, and orders of ours for another reason, such as a flatten. What a market did
    before the first trade is left out: a set begins where nothing is held.
    """
    known = [epochs_of(trade) for trade in trades]
    found = {}
    for one in books.legs:
        market = one.leg.market
        epochs = {each[market] for each in known if market in each}
        fills = list(one.others)
        for epoch, ours in one.ours.items():
            if epoch not in epochs and epoch > min(epochs, default=epoch):
                fills += ours
        fills.sort(key=lambda fill: fill.traded_at_ms)
        found[market] = tuple(one.booked([fill]) for fill in fills)
    return found


def accounts_of(
    trades: Iterable[Account],
    others: Mapping[MarketId, Sequence[Booked]],
    *,
    paid_out: bool = False,
) -> Accounts:
    """Share out what was sold, and what executions that are not ours brought.

    Lots somebody else bought are the first that somebody else sells; once the venue has
    `paid_out`, what it paid for a leg is of those trades that have lots of it left.
    """
    ordered = sorted(trades, key=lambda one: one.trade.fired.key)
    loose = _ZERO
    for market, executed in others.items():
        leg = _Leg(market, sum(max(0, one.lots) for one in executed))
        leg.trade(ordered)
        loose += sum((one.cash for one in executed if one.lots >= 0), _ZERO)
        for one in executed:
            if one.lots < 0 and not _give(one.cash, None, leg.gone(-one.lots, paid_out=paid_out)):
                loose += one.cash
    return Accounts(trades=tuple(ordered), loose=loose)


class _Leg:
    """Lots of one leg: of trades, oldest first, and `spare` ones that somebody else bought."""

    def __init__(self, market: MarketId, spare: Lots) -> None:
        self._market = market
        self._spare = spare
        self._holders: deque[Account] = deque()

    def trade(self, accounts: Iterable[Account]) -> None:
        """Everything our trades did, and who has what it brought."""
        sales: list[tuple[Account, list[Take], Lots]] = []
        for account in accounts:
            lots = account.booked[self._market].lots
            if lots > 0:
                account.left[self._market] = lots
                self._holders.append(account)
            elif lots < 0:
                sales.append((account, *self._sold(account, -lots)))
        for account, earlier, missing in sales:
            # Only then of who bought later: its lots are gone, however it was ordered.
            takes = [*earlier, *self._take(missing)]
            booked = account.booked[self._market]
            account.sold += booked.cash
            account.given += _give(booked.cash, -booked.lots, takes)

    def gone(self, lots: Lots, *, paid_out: bool) -> list[Take]:
        """Lots that somebody else sold, or the venue paid out: of whom they were."""
        if paid_out:
            return self._take(lots)
        return self._take(lots - self._spared(lots))

    def _sold(self, account: Account, lots: Lots) -> tuple[list[Take], Lots]:
        """Complete sets are of trades first; what goes beyond was first somebody else's."""
        lots -= self._spared(lots - account.sold_whole(self._market))
        takes = self._take(lots)
        missing = lots - sum(some for _, some in takes)
        return takes, missing - self._spared(missing)

    def _spared(self, lots: Lots) -> Lots:
        some = min(self._spare, lots)
        self._spare -= some
        return some

    def _take(self, lots: Lots) -> list[Take]:
        takes = []
        while lots and self._holders:
            first = self._holders[0]
            some = min(first.left[self._market], lots)
            first.left[self._market] -= some
            lots -= some
            takes.append((first, some))
            if not first.left[self._market]:
                self._holders.popleft()
        return takes


def _give(cash: Decimal, lots: Lots | None, takes: Sequence[Take]) -> Decimal:
    """Give what `lots` brought to those they were of; None: all of it to them. How much it was."""
    taken = sum(some for _, some in takes)
    whole, unshared = lots or taken, cash
    for number, (account, some) in enumerate(takes, start=1):
        share = decimal(Fraction(cash) * Fraction(some, whole)).quantize(_GRAIN)
        if taken == whole and number == len(takes):
            share = unshared
        account.brought += share
        unshared -= share
    return cash - unshared

"""What the venue itself recorded of one set, and how far its legs were apart at every moment.

Reads the venue's events alone; only which orders are one round of a triangle is the record's word.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

from desk.arbitrage_records import ArbitrageTrade
from desk.identity import OrderIdentity
from desk.instrument import Instrument
from desk.units import NS_PER_S
from quoting.arbitrage.report import SetKind

_ZERO = Decimal(0)

Rounds: TypeAlias = Mapping[tuple[str, int], int]
"""Which round each (symbol, epoch) belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One order of ours that the venue accepted; lots are signed, the price is in ticks."""

    at_ns: int
    symbol: str
    name: str
    identity: OrderIdentity
    lots: int
    price: int
    reduce_only: bool

    @property
    def fired(self) -> bool:
        """Whether it opened a trade; later cycles work off what that left."""
        return self.identity.cycle == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One execution: signed lots, ticks, and what it cost in fees. `name` is "" for a payout."""

    at_ns: int
    symbol: str
    name: str
    lots: int
    price: int
    fee: Decimal

    @property
    def epoch(self) -> int:
        """Of its order; 0 when it is none of ours."""
        identity = OrderIdentity.decode(self.name)
        return 0 if identity is None else identity.epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLog:
    """The venue's events of one account in the markets of one set."""

    taken: tuple[Taken, ...]
    done: tuple[Done, ...]
    refused: Mapping[str, int] = field(default_factory=dict)
    """How many orders were refused, by the venue's reason."""

    @classmethod
    def of(
        cls, events: Sequence[Mapping[str, Any]], account: str, symbols: Sequence[str]
    ) -> "SetLog":
        """Sort out what concerns the set; an order that is not of our making is a failure."""
        taken, done = [], []
        refused: defaultdict[str, int] = defaultdict(int)
        for event in events:
            if event.get("symbol") not in symbols:
                continue
            mine = event.get("account") == account
            match event["event"]:
                case "OrderAccepted" if mine:
                    taken.append(_taken(event))
                case "OrderRejected" if mine:
                    refused[event["reason"]] += 1
                case "Trade" if account in {event["taker"], event["maker"]}:
                    done.append(_done(event, account))
                case "Settled" if mine:
                    done.append(_settled(event))
        return cls(taken=tuple(taken), done=tuple(done), refused=dict(refused))

    @property
    def last_ns(self) -> int:
        """When anything of it happened last."""
        times = [*(one.at_ns for one in self.taken), *(one.at_ns for one in self.done)]
        return max(times, default=0)

    def held(self) -> dict[str, int]:
        """Signed lots of each leg by its executions, payouts among them."""
        found: defaultdict[str, int] = defaultdict(int)
        for one in self.done:
            found[one.symbol] += one.lots
        return dict(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One leg as the venue lists it; `worth` is what its quote currency is about worth."""

    instrument: Instrument
    worth: Decimal = Decimal(1)

    @property
    def symbol(self) -> str:
        """At the venue."""
        return self.instrument.symbol

    @property
    def least(self) -> int:
        """Lots below which the venue takes no order."""
        return max(1, self.instrument.min_lots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """From `at_ns` on: signed lots in excess of each leg, and what they are worth (unsigned)."""

    at_ns: int
    excess: Mapping[str, int]
    worth: Decimal


def standings(
    log: SetLog, kind: SetKind, legs: Sequence[Leg], trades: Sequence[ArbitrageTrade]
) -> list[Standing]:
    """How far the legs were apart after each execution, the first one flat."""
    found = [Standing(at_ns=0, excess={}, worth=_ZERO)]
    if kind is SetKind.OUTCOME_SET:
        found += _of_outcomes(log, legs)
    else:
        found += _of_rounds(log, legs, trades)
    return found


def longest_above(
    found: Sequence[Standing],
    cap: Decimal,
    until_ns: int,
    excused: Sequence[tuple[int, int]] = (),
) -> float:
    """Seconds of the longest stretch in which they were worth more than the cap.

    Times in which nobody could have done anything about it are taken off.
    """
    longest, since, apart = 0, None, _merged(excused)
    ends = [*(one.at_ns for one in found[1:]), until_ns]
    for one, end_ns in zip(found, ends, strict=True):
        if one.worth <= cap:
            since = None
            continue
        since = one.at_ns if since is None else since
        off = sum(max(0, min(end_ns, end) - max(since, start)) for start, end in apart)
        longest = max(longest, end_ns - since - off)
    return longest / NS_PER_S


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same times, none of them twice."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def rounds_of(trades: Sequence[ArbitrageTrade]) -> Rounds:
    """By the ids on record."""
    found = {}
    for number, trade in enumerate(trades):
        for leg in trade.fired.legs:
            identity = OrderIdentity.decode(leg.client_order_id)
            assert identity is not None, leg
            found[leg.market.symbol, identity.epoch] = number
    return found


def _of_outcomes(log: SetLog, legs: Sequence[Leg]) -> Iterator[Standing]:
    held = {leg.symbol: 0 for leg in legs}
    prices = dict.fromkeys(held, 0)
    by_symbol = {leg.symbol: leg for leg in legs}
    for number, one in enumerate(log.done):
        held[one.symbol] += one.lots
        if one.name:
            prices[one.symbol] = one.price
        following = log.done[number + 1 :][:1]
        if not one.name and following and not following[0].name:
            continue  # the venue pays all legs in one step
        least, most = min(held.values()), max(held.values())
        complete = max(0, least) + min(0, most)
        excess = {symbol: lots - complete for symbol, lots in held.items()}
        worth = sum(
            (
                by_symbol[symbol].instrument.notional(prices[symbol], abs(lots))
                for symbol, lots in excess.items()
            ),
            _ZERO,
        )
        yield Standing(at_ns=one.at_ns, excess=excess, worth=worth)


def _of_rounds(
    log: SetLog, legs: Sequence[Leg], trades: Sequence[ArbitrageTrade]
) -> Iterator[Standing]:
    rounds = rounds_of(trades)
    by_symbol = {leg.symbol: leg for leg in legs}
    plans = [
        {leg.market.symbol: leg.side.sign * leg.lots for leg in trade.fired.legs}
        for trade in trades
    ]
    filled: defaultdict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(by_symbol, 0))
    prices = dict.fromkeys(by_symbol, 0)
    for one in log.done:
        number = rounds.get((one.symbol, one.epoch), -1)
        filled[number][one.symbol] += one.lots
        prices[one.symbol] = one.price
        excess: dict[str, int] = dict.fromkeys(by_symbol, 0)
        for place, lots in filled.items():
            left = lots if place < 0 else _beyond(lots, plans[place])
            excess = {symbol: excess[symbol] + left[symbol] for symbol in excess}
        worth = sum(
            (
                by_symbol[symbol].instrument.notional(prices[symbol], abs(lots))
                * by_symbol[symbol].worth
                for symbol, lots in excess.items()
            ),
            _ZERO,
        )
        yield Standing(at_ns=one.at_ns, excess=excess, worth=worth)


def _beyond(filled: Mapping[str, int], plan: Mapping[str, int]) -> dict[str, int]:
    """Signed lots beyond the share of the plan that every leg went."""
    share = max(Fraction(0), min(Fraction(filled[one], plan[one]) for one in plan))
    found = {}
    for symbol, planned in plan.items():
        sign = 1 if planned > 0 else -1
        above = -int(-share * abs(planned) // 1)
        done = sign * filled[symbol]
        found[symbol] = sign * (done - above) if done > above or done < 0 else 0
    return found


def _taken(event: Mapping[str, Any]) -> Taken:
    identity = OrderIdentity.decode(event["client_order_id"] or "")
    assert identity is not None, f"a stranger's order: {event}"
    return Taken(
        at_ns=event["at_ns"],
        symbol=event["symbol"],
        name=event["client_order_id"],
        identity=identity,
        lots=event["lots"] if event["side"] == "buy" else -event["lots"],
        price=event["price"],
        reduce_only=event["reduce_only"],
    )


def _done(event: Mapping[str, Any], account: str) -> Done:
    role = "taker" if event["taker"] == account else "maker"
    bought = (event["aggressor"] == "buy") == (role == "taker")
    return Done(
        at_ns=event["at_ns"],
        symbol=event["symbol"],
        name=event[f"{role}_client_order_id"] or "",
        lots=event["lots"] if bought else -event["lots"],
        price=event["price"],
        fee=Decimal(event[f"{role}_fee"]),
    )


def _settled(event: Mapping[str, Any]) -> Done:
    return Done(
        at_ns=event["at_ns"],
        symbol=event["symbol"],
        name="",
        lots=event["lots"] if event["side"] == "buy" else -event["lots"],
        price=event["price"],
        fee=_ZERO,
    )

"""One account's updates: what was placed, filled and cancelled, chained by `update_id`.

An update is a map by order id, so it holds at most one fill of an order (zo.md section 3.4).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from desk.instrument import Instrument
from desk.units import Lots, Side
from venues.zo.simulator import numbers
from venues.zo.simulator.register import Entry
from venues.zo.simulator.settings import FillCount, Streams


@dataclass(frozen=True, slots=True, kw_only=True)
class FillPart:
    """One fill as an account sees it. `price` is quote currency, ids are the wire's."""

    key: int
    order_id: int
    side: Side
    lots: Lots
    remaining: Lots
    price: Decimal
    market_id: int
    instrument: Instrument
    maker_id: int
    taker_id: int

    def joined(self, later: "FillPart") -> "FillPart":
        """Both as one, at the mean price."""
        lots = self.lots + later.lots
        mean = (self.price * self.lots + later.price * later.lots) / lots
        return replace(self, lots=lots, remaining=later.remaining, price=numbers.money(mean))

    def shown(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "side": side_word(self.side),
            "quantity": numbers.size(self.instrument, self.lots),
            "remaining": numbers.size(self.instrument, self.remaining),
            "price": self.price,
            "order_id": str(self.order_id),
            "market_id": self.market_id,
            "maker_id": self.maker_id,
            "taker_id": self.taker_id,
            "sender_tracking_id": None,
        }


@dataclass(slots=True, kw_only=True)
class Pending:
    """What happened to an account since its last update; orders by engine id."""

    fills: list[FillPart] = field(default_factory=list)
    placed: dict[str, Entry] = field(default_factory=dict)
    cancelled: dict[str, tuple[Entry, Lots]] = field(default_factory=dict)
    money: bool = False


class AccountFeed:
    """The chain of one account's updates."""

    def __init__(self, account_id: int, rules: Streams) -> None:
        self.account_id = account_id
        self.update_id = 1
        self._rules = rules

    def updates(
        self,
        pending: Pending,
        places: dict[str, Any],
        cancels: dict[str, Any],
        balances: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """The updates that tell what is pending; each advances the chain."""
        groups = _grouped(pending.fills, self._rules.fill_count) or [[]]
        bodies = []
        for place, group in enumerate(groups):
            final = place == len(groups) - 1
            last, self.update_id = self.update_id, self.update_id + 1
            account = {
                "last_update_id": last,
                "update_id": self.update_id,
                "account_id": self.account_id,
                "fills": {str(fill.key): fill.shown() for fill in group},
                "places": places if final else {},
                "cancels": cancels if final else {},
                "balances": balances,
            }
            bodies.append({"account": account})
        return bodies


def side_word(side: Side) -> str:
    """`bid` or `ask`."""
    return "bid" if side is Side.BUY else "ask"


def _grouped(fills: Sequence[FillPart], count: FillCount) -> list[list[FillPart]]:
    """Fills in as few groups as it takes to have every key at most once in each."""
    groups: list[dict[int, FillPart]] = []
    for fill in fills:
        if count is FillCount.MEAN:
            if not groups:
                groups.append({})
            known = groups[0].get(fill.key)
            groups[0][fill.key] = fill if known is None else known.joined(fill)
            continue
        group = next((one for one in groups if fill.key not in one), None)
        if group is None:
            group = {}
            groups.append(group)
        group[fill.key] = fill
    return [list(group.values()) for group in groups]

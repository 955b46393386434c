"""Each rule of the judge holds for an honest log, and fails for one that breaks it alone."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Fill, Liquidity
from desk.units import NS_PER_MS, NS_PER_S, Side
from tests.chaos import invariants
from tests.chaos.invariants import Facts, GateClosed, Orphaned
from tests.chaos.venue_log import ACCOUNT, VenueLog
from venues.zo.client_ids import pack

_MARKET = MarketId("ocx", "chaos", "BTC-PERP")
_INSTRUMENT = Instrument(
    venue="ocx", symbol="BTC-PERP", tick_size=Decimal(1), lot_size=Decimal("0.01")
)
_START_NS = 1_800_000_000 * NS_PER_S
_CROWD = "crowd"


@dataclass(slots=True)
class Story:
    """Events as the venue would have logged them; times are seconds after the start."""

    events: list[dict[str, Any]] = field(default_factory=list)
    booked: list[Fill] = field(default_factory=list)
    held: int = 0
    cycle: int = 0

    def order(
        self,
        at_s: float,
        *,
        epoch: int = 1,
        side: Side = Side.BUY,
        leaving: bool = False,
        name: str = "",
    ) -> str:
        self.cycle += 1
        identity = OrderIdentity(
            tag=_MARKET.tag, epoch=epoch, cycle=self.cycle, slot=Slot(side, 0), exit=leaving
        )
        order_id = f"o{self.cycle}"
        self._add(
            at_s,
            event="OrderAccepted",
            order_id=order_id,
            client_order_id=name or identity.encode(),
            time_in_force="ioc" if leaving else "gtc",
            reduce_only=leaving,
        )
        return order_id

    def cancel(self, at_s: float, order_id: str) -> None:
        self._add(at_s, event="OrderCancelled", order_id=order_id, remaining=0)

    def fill(
        self, at_s: float, order_id: str, lots: int, *, rest: int = 0, booked: bool = True
    ) -> None:
        """Our resting order trades; signed lots."""
        self.held += lots
        side = Side.BUY if lots > 0 else Side.SELL
        number = len(self.events) + 1
        self._add(
            at_s,
            event="Trade",
            price=100,
            lots=abs(lots),
            aggressor=side.opposite.value,
            maker=ACCOUNT,
            maker_order_id=order_id,
            maker_client_order_id=None,
            maker_remaining=rest,
            taker=_CROWD,
            taker_order_id=f"c{number}",
            taker_client_order_id=None,
            taker_remaining=0,
        )
        self._add(at_s, event="PositionChanged", account=ACCOUNT, lots=self.held)
        if booked:
            self.booked.append(
                Fill(
                    venue="ocx",
                    account="chaos",
                    symbol="BTC-PERP",
                    trade_id=f"t{number}",
                    side=side,
                    price=100,
                    lots=abs(lots),
                    liquidity=Liquidity.MAKER,
                    fee=Decimal(0),
                    fee_estimated=False,
                    traded_at_ms=0,
                )
            )

    def log(self) -> VenueLog:
        return VenueLog(self.events, "BTC-PERP", tag=_MARKET.tag)

    def judge(self, **facts: Any) -> list[str]:
        told = Facts(instrument=_INSTRUMENT, max_position=Decimal(20), **facts)
        return invariants.breaches(self.log(), told, self.booked)

    def _add(self, at_s: float, **event: Any) -> None:
        self.events.append(
            {
                "sequence": len(self.events) + 1,
                "at_ns": _START_NS + round(at_s * NS_PER_S),
                "symbol": "BTC-PERP",
                **event,
            }
        )


def _ms(at_s: float) -> int:
    return (_START_NS + round(at_s * NS_PER_S)) // NS_PER_MS


def _orphaned(epoch: int, at_s: float, *, gone_within_s: float = 5.0) -> Orphaned:
    at_ns = _START_NS + round(at_s * NS_PER_S)
    return Orphaned(epoch=epoch, at_ns=at_ns, gone_within_s=gone_within_s)


def honest() -> Story:
    """Quotes, a fill, a death at second 10, a successor, a flatten to zero, the end."""
    story = Story()
    first, second = story.order(1), story.order(2, side=Side.SELL)
    story.fill(3, first, 10)
    story.cancel(12, second)
    third = story.order(14, epoch=3)
    story.cancel(20, third)
    leaving = story.order(21, epoch=4, side=Side.SELL, leaving=True)
    story.fill(21, leaving, -10)
    return story


def test_an_honest_log_breaks_nothing() -> None:
    story = honest()
    gate = GateClosed(at_ms=_ms(20), exits=True)
    found = story.judge(gates=(gate,), orphaned=(_orphaned(1, 10),), flat_since=0)
    assert found == []


def _only(found: list[str], word: str) -> None:
    assert len(found) == 1, found
    assert word in found[0]


def test_an_order_after_the_gate_closed_is_found() -> None:
    story = honest()
    story.cancel(24, story.order(23, epoch=5))
    _only(story.judge(gates=(GateClosed(at_ms=_ms(22)),)), "after its gate closed")


def test_an_exit_after_the_gate_closed_is_found_when_none_was_asked_for() -> None:
    story = honest()
    _only(story.judge(gates=(GateClosed(at_ms=_ms(20)),)), "after its gate closed")


def test_what_was_on_the_wire_when_the_gate_closed_is_forgiven() -> None:
    story = honest()
    story.cancel(24, story.order(23, epoch=5))
    assert story.judge(gates=(GateClosed(at_ms=_ms(22.9)),)) == []
    strict = GateClosed(at_ms=_ms(22.9), in_flight_ns=0)
    _only(story.judge(gates=(strict,)), "after its gate closed")


def test_a_gate_that_was_opened_again_lets_orders_through_from_then_on() -> None:
    story = honest()
    story.cancel(24, story.order(23, epoch=5))
    assert story.judge(gates=(GateClosed(at_ms=_ms(22), until_ms=_ms(22.9)),)) == []
    late = GateClosed(at_ms=_ms(22), until_ms=_ms(23.1))
    _only(story.judge(gates=(late,)), "after its gate closed")


def test_an_order_of_a_dead_owner_is_found() -> None:
    story = honest()
    story.cancel(24, story.order(23, epoch=5))
    _only(story.judge(orphaned=(_orphaned(5, 22),)), "from an owner that is gone")


def test_orders_that_outlive_their_owner_are_found() -> None:
    story = honest()
    _only(story.judge(orphaned=(_orphaned(1, 10, gone_within_s=1),)), "without an owner")


def test_two_owners_are_found() -> None:
    story = honest()
    story.cancel(23, story.order(22, epoch=3))
    _only(story.judge(), "epoch 3 got an order in after epoch 4")


def test_an_id_taken_twice_is_found() -> None:
    story = honest()
    name = OrderIdentity(tag=_MARKET.tag, epoch=5, cycle=1, slot=Slot(Side.BUY, 0)).encode()
    for at_s in (22, 23):
        story.cancel(at_s, story.order(at_s, epoch=5, name=name))
    _only(story.judge(), "accepted twice")


def test_a_stranger_s_order_is_a_failure_by_itself() -> None:
    story = honest()
    story.order(22, name="somebody-else")
    with pytest.raises(AssertionError, match="stranger"):
        story.judge()


def test_a_position_past_the_cap_is_found() -> None:
    story = honest()
    order = story.order(22, epoch=5)
    story.fill(23, order, 20, rest=1)
    assert story.judge()[0:1] == ["1 orders rest at the end"]
    story.fill(24, order, 5)
    _only(story.judge(), "above 20")


def test_a_reduction_is_never_past_the_cap() -> None:
    story = honest()
    order = story.order(22, epoch=5)
    story.fill(23, order, 30)
    back = story.order(24, epoch=5, side=Side.SELL)
    story.fill(24, back, -5)
    _only(story.judge(), "position 30 lots")


@pytest.mark.parametrize("booked", [0, 2])
def test_books_that_differ_by_a_fill_are_found(booked: int) -> None:
    story = honest()
    story.booked = [story.booked[0]] * booked + story.booked[1:]
    _only(story.judge(), "in the ledger" if booked else "at the venue")


def test_a_flatten_that_leaves_something_is_found() -> None:
    story = honest()
    story.fill(23, story.order(22, epoch=5), 1)
    _only(story.judge(flat_since=0), "1 lots are left")


def test_a_flatten_that_goes_past_zero_is_found() -> None:
    story = honest()
    began = len(story.events)
    story.fill(22, story.order(22, epoch=5), 2)
    story.fill(23, story.order(23, epoch=5, side=Side.SELL), -5)
    story.fill(24, story.order(24, epoch=5), 3)
    _only(story.judge(flat_since=began), "from 2 to -3")


def test_an_order_that_rests_at_the_end_is_found() -> None:
    story = honest()
    story.order(22, epoch=5)
    _only(story.judge(), "rest at the end")


def test_ids_that_are_numbers_are_read_too() -> None:
    story = Story()
    identity = OrderIdentity(tag=_MARKET.tag, epoch=7, cycle=1, slot=Slot(Side.SELL, 2))
    story.order(1, name=str(pack(identity, 3)))
    assert story.log().accepted()[0].identity == identity

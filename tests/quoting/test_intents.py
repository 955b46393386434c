"""No order leaves before it is on record, and only so many that are not in the database yet."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from desk.instrument import Instrument
from desk.lifecycle import SessionReason
from desk.orders import Batch, BatchOutcome
from desk.permit import MANY_INTENTS, Refusal
from desk.records import OrderSent
from desk.risk.approval import Approved
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_S
from quoting.actions import Leave, SendBatch
from quoting.dispatch import Dispatcher
from quoting.inbox import Inbox
from tests.quoting.builders import (
    INSTRUMENT,
    MARKET,
    accepted,
    account,
    book,
    make_loop,
    permit,
    quoting_loop,
)
from tests.quoting.test_session_lease import FastClock
from tests.support.alone import Counts, OwnLedger


def first_step(*, max_unrecorded: int, unrecorded: int) -> tuple[list[object], int]:
    """What a loop decides that would send its first ladder, and how many orders that has."""
    given = permit()
    given.max_unrecorded_intents = max_unrecorded
    given.count_intents(unrecorded)
    loop = make_loop(given=given)
    loop.apply(account(NS_PER_S))
    loop.apply(book(NS_PER_S))
    actions = loop.decide(NS_PER_S)
    _, batch = quoting_loop()
    return list(actions), len(batch.orders)


def test_the_bound_is_exact() -> None:
    _, ladder = first_step(max_unrecorded=200, unrecorded=0)
    (sends,), _ = first_step(max_unrecorded=200, unrecorded=200 - ladder)
    assert isinstance(sends, SendBatch), "the bound itself may be reached"
    (leaves,), _ = first_step(max_unrecorded=200, unrecorded=200 - ladder + 1)
    assert isinstance(leaves, Leave)
    assert leaves.reason is SessionReason.LEDGER
    assert "more than 200" in leaves.message
    assert "Postgres is away or slow" in leaves.message


@given(st.integers(50, 10_000), st.integers(0, 20_000), st.integers(0, MANY_INTENTS))
def test_no_more_than_the_bound_is_ever_sent_unrecorded(
    most: int, unrecorded: int, orders: int
) -> None:
    one = permit()
    one.max_unrecorded_intents = most
    one.count_intents(unrecorded)
    refused = one.refusal_to_send(orders)
    over = unrecorded + orders > most
    assert (refused is Refusal.INTENTS) == (over and orders > 0)


def test_at_the_bound_what_rests_may_still_be_taken_away() -> None:
    loop, batch = quoting_loop()
    loop.permit.count_intents(10_000)
    loop.permit.kill_file = True
    (leave,) = loop.decide(2 * NS_PER_S)
    assert isinstance(leave, Leave), "leaving is what cancels, and it asks for no room"
    assert batch.orders
    assert loop.permit.refusal_to_send(0) is None, "nor does a batch that only cancels"


@dataclass
class Listening:
    """A venue that looks into the ledger when it is handed a batch."""

    ledger: OwnLedger
    known: list[set[str]] = field(default_factory=list)

    @property
    def execution(self) -> "Listening":
        return self

    def send(self, batch: Approved[Batch], instrument: Instrument) -> Awaitable[BatchOutcome]:
        del instrument
        sent = [one for one in self.ledger.records if isinstance(one, OrderSent)]
        self.known.append({one.client_order_id for one in sent})
        answer = asyncio.get_running_loop().create_future()
        answer.set_result(accepted(batch.value).outcome)
        return answer


async def test_every_order_is_with_the_writer_before_its_bytes_leave() -> None:
    loop = make_loop(limits=RiskLimits(max_position=Decimal(1_000_000)))
    loop.apply(account(NS_PER_S))
    loop.apply(book(NS_PER_S))
    (action,) = loop.decide(NS_PER_S)
    assert isinstance(action, SendBatch)
    ledger = OwnLedger()
    venue = Listening(ledger)
    async with asyncio.TaskGroup() as tasks:
        dispatcher = Dispatcher(
            market=MARKET,
            instrument=INSTRUMENT,
            epoch=1,
            venue=venue,  # type: ignore[arg-type]
            ledger=ledger,
            clock=FastClock(),
            inbox=Inbox(lambda events: None),
            meter=Counts(),
            tasks=tasks,
            clear_give_up_s=1,
            fills_since_ms=0,
        )
        dispatcher.send(action.approved)
    (known,) = venue.known
    assert known == {order.client_order_id for order in action.approved.value.orders}

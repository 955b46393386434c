"""What became of the orders that fired, as far as the venues say: it decides nothing.

The rule: whatever raised, was cancelled or never came is not known; fills say what is owed.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from desk.arbitrage_records import TradeFired
from desk.hedging import HedgeReceipt
from desk.orders import BatchOutcome, OrderOutcome, OutcomeKind
from desk.units import Lots
from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.ports import SetPorts
from quoting.arbitrage.shot import Shot
from quoting.journal import record_answer, record_over

_ANSWER_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """All legs' bytes were handed over, `sent_ns` after the book update that led to it was read.

    That was at `caused_ns` (monotonic).

    `positions` are what each leg held before, `answers` what the sends will give; both in the order
    of the shot's legs.
    """

    shot: Shot
    record: TradeFired
    positions: tuple[Lots, ...]
    answers: tuple[asyncio.Future[BatchOutcome], ...]
    caused_ns: int
    sent_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One leg's order; `order` is None when nothing at all was heard of it.

    `receipt` is what the venue said was filled: the books are not believed before they show it.
    """

    leg: LiveLeg
    order: OrderOutcome | None
    receipt: HedgeReceipt | None

    @property
    def known(self) -> bool:
        """Whether the order is certainly over."""
        return self.order is not None and self.order.kind is not OutcomeKind.UNRESOLVED


async def heard(fired: Fired, ports: SetPorts) -> tuple[Answer, ...]:
    """Wait for all answers and record them."""
    await asyncio.wait(fired.answers, timeout=_ANSWER_S)
    return tuple(
        _heard(number, fired, ports, _told(answer)) for number, answer in enumerate(fired.answers)
    )


def words(answers: Sequence[Answer]) -> str:
    """For people: how many legs were filled as ordered, and what the venues said of the others."""
    whole = [one for one in answers if one.known and one.receipt is not None]
    said = [f"{one.leg.market.path} {_word(one)}" for one in answers if one not in whole]
    return "; ".join([f"{len(whole)} of {len(answers)} legs filled at once", *said])


def _heard(number: int, fired: Fired, ports: SetPorts, outcome: BatchOutcome | None) -> Answer:
    leg, position = fired.shot.legs[number], fired.positions[number]
    if outcome is None:
        return Answer(leg=leg, order=None, receipt=None)
    record_answer(ports.writer, ports.clock, leg.market, outcome)
    (order,) = outcome.orders
    receipt = None
    if order.filled:
        filled = fired.shot.chance.legs[number].side.sign * order.filled
        receipt = HedgeReceipt(position=position, filled=filled)
    answer = Answer(leg=leg, order=order, receipt=receipt)
    if answer.known:
        record_over(ports.writer, ports.clock, leg.market, order, "immediate order is over")
    return answer


def _told(answer: asyncio.Future[BatchOutcome]) -> BatchOutcome | None:
    if not answer.done():
        answer.cancel()
        return None
    if answer.cancelled() or answer.exception() is not None:
        return None
    return answer.result()


def _word(answer: Answer) -> str:
    order = answer.order
    if order is None:
        return "was not heard of"
    why = order.message or (order.reason.value if order.reason else "")
    return f"{order.kind.value} ({why})" if why else order.kind.value

"""Events and decisions of a trace in words, as a person reads them."""

from collections.abc import Sequence
from typing import Final, assert_never

from desk.instrument import Instrument
from desk.market import BookDelta, BookSnapshot, FeedAlive, FeedLost
from desk.orders import (
    AccountAlive,
    AccountChange,
    AccountLost,
    AccountSnapshot,
    Batch,
    NewOrder,
    OrderUpdate,
)
from desk.trace_ports import REPLACES_ALL
from quoting.actions import Action, AskFate, ClearAll, Leave, Resnapshot, SendBatch, Withdraw
from quoting.inbox import (
    Answered,
    AuditBegun,
    Audited,
    Cleared,
    FundsSeen,
    InboxEvent,
    Settled,
    Tick,
)
from quoting.trace_frames import Decided, SentBatch

_SHOWN: Final = 3


def kind_of(action: Action | Decided) -> str:
    """The decision in a word, as samples on record have it."""
    match action:
        case SendBatch() | SentBatch():
            return "send"
        case ClearAll():
            return "pull"
        case AskFate():
            return "ask"
        case Withdraw():
            return "withdraw"
        case Resnapshot():
            return "resnapshot"
        case Leave():
            return "leave"
    assert_never(action)


def why(action: Action | Decided, reason: str) -> str:
    """What a decision says for itself; a batch is named, and the loop's own reason follows."""
    match action:
        case SendBatch():
            return "; ".join(filter(None, (_batch(action.approved.value, None), reason)))
        case SentBatch():
            return "; ".join(filter(None, (_batch(action.approved, None), reason)))
        case ClearAll() | Resnapshot():
            return action.reason
        case AskFate() | Withdraw():
            return action.client_order_id
        case Leave():
            return "; ".join(filter(None, (action.reason.value, action.message)))
    assert_never(action)


def decisions(actions: Sequence[Decided], instrument: Instrument) -> str:
    """All decisions of a step in one sentence."""
    return "; ".join(_decision(one, instrument) for one in actions) or "nothing"


def _decision(action: Decided, instrument: Instrument) -> str:
    match action:
        case SentBatch():
            return f"send {_batch(action.approved, instrument)}"
        case ClearAll():
            return f"cancel everything ({action.reason})"
        case AskFate():
            return f"ask what became of {action.client_order_id}"
        case Withdraw():
            return f"cancel {action.client_order_id}, which no table knows"
        case Resnapshot():
            return f"ask for a new book ({action.reason})"
        case Leave():
            return f"leave: {action.reason.value} ({action.message})"
    assert_never(action)


def _batch(batch: Batch, instrument: Instrument | None) -> str:
    """A batch by its id; with an instrument, every order of it too."""
    said = [f"{batch.batch_id}: {len(batch.orders)} orders"]
    if instrument is not None and batch.orders:
        said = [f"{batch.batch_id}: {', '.join(order(one, instrument) for one in batch.orders)}"]
    if batch.replace_all:
        said.append(REPLACES_ALL)
    if batch.cancels:
        said.append(f"cancels {', '.join(batch.cancels)}")
    return ", ".join(said)


def order(given: NewOrder, instrument: Instrument) -> str:
    """An order: side and level, size, price, and what it replaces."""
    replaces = f" for {given.replaces}" if given.replaces else ""
    return (
        f"{given.side.value} {given.slot.level}: {instrument.quantity(given.lots)} @ "
        f"{instrument.price(given.price)}{replaces}"
    )


def heard(events: Sequence[InboxEvent], instrument: Instrument) -> str:
    """What a step heard, in order; more than a few of a kind in a row are counted."""
    said: list[tuple[str, int]] = []
    for event in events:
        words = _event(event, instrument)
        if said and said[-1][0] == words:
            said[-1] = (words, said[-1][1] + 1)
        else:
            said.append((words, 1))
    return ", then ".join(
        words if times == 1 else f"{times} times {words}" for words, times in said
    )


def _event(event: InboxEvent, instrument: Instrument) -> str:  # noqa: C901, PLR0911, PLR0912 - a table
    match event:
        case Tick():
            return "time going by"
        case BookSnapshot():
            return f"a whole book{_number(event.sequence)}, {_touch(event, instrument)}"
        case BookDelta():
            levels = len(event.bids) + len(event.asks)
            return f"a change of the book{_number(event.sequence)} in {levels} levels"
        case FeedAlive():
            return "a heartbeat of the feed"
        case FeedLost():
            return f"the feed was lost ({event.reason})"
        case AccountSnapshot() | AccountChange():
            return _account(event, instrument)
        case OrderUpdate():
            return _update(event, instrument)
        case AccountAlive():
            return "a heartbeat of the account"
        case AccountLost():
            return f"the account was lost ({event.reason})"
        case Answered():
            return _answer(event)
        case Cleared():
            seen = "zero orders listed twice" if event.verified else f"failed: {event.message}"
            return f"the cancel-all is over ({seen})"
        case AuditBegun():
            return "the venue was asked what rests"
        case Audited():
            return f"the venue lists {len(event.resting)} orders"
        case Settled():
            rests = "rests" if event.resting else "rests no more"
            return f"the venue says that {event.client_order_id} {rests}"
        case FundsSeen():
            return f"the account's funds, equity {event.funds.equity}"
    assert_never(event)


def _number(sequence: int | None) -> str:
    return "" if sequence is None else f" number {sequence}"


def _touch(event: BookSnapshot, instrument: Instrument) -> str:
    if not event.bids or not event.asks:
        return "a side of it empty"
    bid, ask = instrument.price(event.bids[0][0]), instrument.price(event.asks[0][0])
    return f"best {bid} to {ask}"


def _account(event: AccountSnapshot | AccountChange, instrument: Instrument) -> str:
    fills = ", ".join(
        f"{one.side.value} {instrument.quantity(one.lots)} @ {instrument.price(one.price)}"
        for one in event.fills[:_SHOWN]
    )
    more = f" and {len(event.fills) - _SHOWN} more" if len(event.fills) > _SHOWN else ""
    said = [f"fills {fills}{more}"] if fills else []
    if event.position is not None:
        said.append(f"position {instrument.quantity(event.position.lots)}")
    return f"the account: {'; '.join(said) or 'no news'}"


def _update(event: OrderUpdate, instrument: Instrument) -> str:
    if event.resting:
        return f"{event.client_order_id} rests with {instrument.quantity(event.remaining)}"
    because = f" ({event.reason.value})" if event.reason else ""
    return f"{event.client_order_id} ended{because}, filled {instrument.quantity(event.filled)}"


def _answer(event: Answered) -> str:
    kinds = [one.kind.value for one in event.outcome.orders]
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    refused = next((one.message for one in event.outcome.orders if one.message), "")
    return f"the answer to {event.batch.batch_id}: {counted or 'no order'}" + (
        f" ({refused})" if refused else ""
    )

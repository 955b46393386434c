"""Why one order was sent and what took it away, told from its session's journal.

The rule: what is told is what the loop heard and decided; nothing is guessed from prices alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from desk.identity import OrderIdentity
from desk.orders import AccountChange, AccountSnapshot, Batch, NewOrder, OrderUpdate
from desk.trace_ports import RawJournal
from quoting.actions import AskFate, ClearAll, Leave, Withdraw
from quoting.inbox import Answered, InboxEvent, Settled
from quoting.replay import Replay, Replayed
from quoting.trace_frames import Decided, SentBatch
from quoting.trace_words import heard, order


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One thing that happened to the order: when (unix milliseconds), in which step, in words."""

    at_ms: int
    step: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStory:
    """What happened to one order, in order. `cause` is what took it away, in a sentence."""

    client_order_id: str
    moments: tuple[Moment, ...]
    cause: str


def explain(journal: RawJournal, client_order_id: str) -> OrderStory:
    """The story of an order; without moments when this session did not send it.

    Raises TraceUnreadable.
    """
    replaying = Replay(journal)
    teller = _Teller(replaying, client_order_id)
    for one in replaying.steps():
        teller.hear(one)
    return teller.story()


class _Teller:
    """Follows one order through the steps of a replay."""

    def __init__(self, replaying: Replay, client_order_id: str) -> None:
        self._loop = replaying.loop
        self._instrument = replaying.head.setup.instrument
        self._client_id = client_order_id
        self._order: NewOrder | None = None
        self._moments: list[Moment] = []
        self._causes: list[str] = []
        self._knew = False
        self._mid_then: Decimal | None = None

    def hear(self, one: Replayed) -> None:
        """Take one step: what was heard of the order first, then what was decided about it."""
        for what in (*self._heard(one.step.events), *self._decided(one)):
            moment = Moment(
                at_ms=one.head.wall_ms(one.step.now_ns), step=one.step.number, what=what
            )
            self._moments.append(moment)
        knows = self._loop.orders.knows(self._client_id)
        if self._knew and not knows and not self._causes:
            self._causes.append(f"it rested no more after {self._words(one)}")
        self._knew = knows

    def story(self) -> OrderStory:
        """All of it."""
        if not self._moments:
            cause = "this session did not send it"
        else:
            cause = self._causes[0] if self._causes else "nothing took it away in this journal"
        return OrderStory(
            client_order_id=self._client_id, moments=tuple(self._moments), cause=cause
        )

    def _heard(self, events: tuple[InboxEvent, ...]) -> Iterator[str]:
        if self._order is not None:
            for event in events:
                if _speaks_of(event, self._client_id):
                    yield f"heard: {heard([event], self._instrument)}"

    def _decided(self, one: Replayed) -> Iterator[str]:
        for action in one.step.actions:
            if isinstance(action, SentBatch) and self._order is None:
                mine = [each for each in action.approved.orders if self._is_mine(each)]
                for each in mine:
                    self._order, self._mid_then = each, self._mid()
                    yield f"sent: {order(each, self._instrument)}, mid {self._mid_then}"
            elif self._order is not None:
                yield from self._taken(action, one)

    def _taken(self, action: Decided, one: Replayed) -> Iterator[str]:
        """What a decision does to the order, once it is there."""
        said = self._cause(action, one)
        if said:
            self._causes.append(said)
            yield said
        elif isinstance(action, AskFate) and action.client_order_id == self._client_id:
            yield "asked the venue what became of it, which nobody had told in time"

    def _cause(self, action: Decided, one: Replayed) -> str:
        inputs = f"heard just before: {self._words(one)}"
        match action:
            case SentBatch() if self._goes_with(action.approved):
                return f"{self._requoted(action.approved, one)}; {inputs}"
            case ClearAll() if self._knew:
                return f"everything was cancelled: {action.reason}; {inputs}"
            case Leave() if self._knew:
                return (
                    f"the session left, and cancelled everything: {action.reason.value} "
                    f"{action.message}; {inputs}"
                )
            case Withdraw() if action.client_order_id == self._client_id:
                return f"it was cancelled alone, because no table knew it; {inputs}"
        return ""

    def _goes_with(self, batch: Batch) -> bool:
        named = {*batch.cancels, *(one.replaces for one in batch.orders)}
        return self._client_id in named or (batch.replace_all and self._knew)

    def _requoted(self, batch: Batch, one: Replayed) -> str:
        identity = OrderIdentity.decode(self._client_id)
        same = [each for each in batch.orders if identity and each.slot == identity.slot]
        mids = f"the mid was {self._mid_then} when it was sent and {self._mid()} now"
        reason = f", {one.step.reason}" if one.step.reason else ""
        if not same:
            return f"its place was left empty by batch {batch.batch_id}{reason}; {mids}"
        return f"requoted as {order(same[0], self._instrument)}{reason}; {mids}"

    def _mid(self) -> Decimal | None:
        """The mid after the step that was replayed last."""
        return self._loop.mid

    def _words(self, one: Replayed) -> str:
        return heard(one.step.events, self._instrument) or "nothing"

    def _is_mine(self, given: NewOrder) -> bool:
        return given.client_order_id == self._client_id


def _speaks_of(event: InboxEvent, client_id: str) -> bool:
    match event:
        case Answered():
            return any(one.client_order_id == client_id for one in event.outcome.orders)
        case OrderUpdate() | Settled():
            return event.client_order_id == client_id
        case AccountSnapshot() | AccountChange():
            return any(one.client_order_id == client_id for one in event.fills)
    return False

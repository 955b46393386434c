"""Stamps along the way of one book update: bytes read, event made, turn begun, order bytes sent.

Every stamp is the same monotonic clock, in the process that quotes.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from desk.market import BookDelta, FeedEvent
from desk.orders import BatchOutcome
from desk.ports import Clock
from infra.clock import SystemClock
from venues._transport import sse


class StampedReader(sse._EventReader):  # noqa: SLF001 - the moment of the read is not told outside
    """The product's stream reader, which also notes when the event loop handed bytes over."""

    entered_ns: ClassVar[int] = 0
    _clock: ClassVar[Clock] = SystemClock()

    def data_received(self, data: bytes) -> None:
        """Note the time, then read as always."""
        StampedReader.entered_ns = self._clock.monotonic_ns()
        super().data_received(data)

    @classmethod
    def install(cls) -> None:
        """Let every stream opened from now on be read by this reader."""
        sse._EventReader = cls  # type: ignore[misc]  # noqa: SLF001


@dataclass(slots=True, kw_only=True)
class Sent:
    """Stages of the sends that a book update led to in its own turn, in nanoseconds.

    `read`: bytes handed over by the event loop → frame found (`received_ns` of the event); `parse`:
    → event in the inbox; `wait`: → the market's turn begins; `decide`: → request with the socket.
    """

    read: list[int] = field(default_factory=list)
    parse: list[int] = field(default_factory=list)
    wait: list[int] = field(default_factory=list)
    decide: list[int] = field(default_factory=list)
    from_event: list[int] = field(default_factory=list)
    from_bytes: list[int] = field(default_factory=list)


class Turns:
    """Stamps of all markets. `later` counts sends made after their update's own turn.

    `causes` says of each order that an update led to in its own turn when that was received.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.counting = False
        self.sent = Sent()
        self.later: list[int] = []
        self.answers: list[int] = []
        self.levels: list[int] = []
        self.pauses: list[int] = []
        self.causes: dict[str, int] = {}
        self.refused = 0
        self._markets: dict[str, MarketMarks] = {}
        self._pause_ns = 0

    def of(self, symbol: str) -> "MarketMarks":
        """Stamps of one market."""
        return self._markets.setdefault(symbol, MarketMarks(self))

    def collecting(self, phase: str, _: dict[str, int]) -> None:
        """Note a garbage collection; for `gc.callbacks`."""
        if phase == "start":
            self._pause_ns = self.clock.monotonic_ns()
        elif self.counting:
            self.pauses.append(self.clock.monotonic_ns() - self._pause_ns)


class MarketMarks:
    """Stamps of one market. A session asks its kill file once at the start of every turn and
    tells its meter right after every send: those two calls are the stamps, at no cost of our own.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._clock = turns.clock
        self._entered_ns = 0
        self._received_ns = 0
        self._event_ns = 0
        self._turn_ns = 0
        self._news = False
        self._turn_has_news = False
        self._sending: list[str] = []

    def heard(self, event: FeedEvent) -> None:
        """A feed event is on its way to the inbox."""
        self._entered_ns = StampedReader.entered_ns
        self._received_ns = event.received_ns
        self._event_ns = self._clock.monotonic_ns()
        self._news = True
        if self._turns.counting and isinstance(event, BookDelta):
            self._turns.levels.append(len(event.bids) + len(event.asks))

    def present(self) -> bool:
        """The kill file, which is not there: a turn begins."""
        self._turn_ns = self._clock.monotonic_ns()
        self._turn_has_news, self._news = self._news, False
        self._sending = []
        return False

    def sending(self, client_order_id: str) -> None:
        """One order of a batch was handed to the adapter, just before the meter hears of it."""
        self._sending.append(client_order_id)

    def tick_to_wire(self, nanoseconds: int) -> None:
        """Order bytes are with the socket, so long after the event was made."""
        turns = self._turns
        orders, self._sending = self._sending, []
        if not turns.counting:
            return
        if not self._turn_has_news:
            turns.later.append(nanoseconds)
            return
        turns.causes.update(dict.fromkeys(orders, self._received_ns))
        sent_ns = self._received_ns + nanoseconds
        turns.sent.read.append(self._received_ns - self._entered_ns)
        turns.sent.parse.append(self._event_ns - self._received_ns)
        turns.sent.wait.append(self._turn_ns - self._event_ns)
        turns.sent.decide.append(sent_ns - self._turn_ns)
        turns.sent.from_event.append(nanoseconds)
        turns.sent.from_bytes.append(sent_ns - self._entered_ns)

    def answered(self, outcome: BatchOutcome) -> None:
        """The venue answered a batch."""
        if self._turns.counting and outcome.answered_ns is not None:
            self._turns.answers.append(outcome.answered_ns - outcome.sent_ns)

    def denied(self, reason: str) -> None:
        """Our gate refused a batch."""
        del reason
        self._turns.refused += 1

    def filled(self) -> None:
        """Nothing is filled here."""

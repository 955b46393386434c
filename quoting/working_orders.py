"""Our orders at the venue as far as we know, by client order id.

An order stays fillable here until the venue says it is gone and its fills are accounted for, and
attributable for a while after.
"""

from collections.abc import Iterable
from typing import Final

from desk.orders import (
    Batch,
    BatchOutcome,
    Fill,
    NewOrder,
    OrderOutcome,
    OrderUpdate,
    OutcomeKind,
    RejectReason,
)
from desk.units import NS_PER_MS, Lots, Side, Ticks
from desk.working import WorkingOrder, WorkingState

_KEEP_CLOSED = 64
_SETTLE_NS = 250 * NS_PER_MS
_CONFIRM_NS = 2_000 * NS_PER_MS
_LOOKS = 5
# An enum member costs 50 ns to look up in Python 3.11, and every update asks for dozens.
_IN_FLIGHT: Final = WorkingState.IN_FLIGHT
_RESTING: Final = WorkingState.RESTING
_CANCELLING: Final = WorkingState.CANCELLING
_UNRESOLVED: Final = WorkingState.UNRESOLVED
_SETTLING: Final = WorkingState.SETTLING
_FILLED: Final = "filled"
_REFUSED: Final = "refused"
_ANSWERED = frozenset({_IN_FLIGHT, _CANCELLING})


class WorkingOrders:
    """The table of one market's orders; changes follow the outcome policy.

    `pushed`: the venue acknowledges first and tells by order updates what became of an order. What
    it does not tell in time has to be asked for: see `to_ask`. `named`: fills name their orders;
    one that does not is of an order whose answer was lost, and must not be taken for another's.
    """

    def __init__(self, *, pushed: bool = False, named: bool = False) -> None:
        self._pushed = pushed
        self._named = named
        self._open: dict[str, WorkingOrder] = {}
        self._closed: dict[str, NewOrder] = {}
        self._ended: set[str] = set()
        self._asks: dict[str, int] = {}
        self._unseen: dict[str, int] = {}
        self._gone: list[tuple[str, str]] = []
        self.unattributed = 0

    @property
    def open(self) -> tuple[WorkingOrder, ...]:
        """Everything that may still fill."""
        return tuple(self._open.values())

    @property
    def unresolved(self) -> bool:
        """Whether the outcome of any order is unknown."""
        return any(one.state is _UNRESOLVED for one in self._open.values())

    @property
    def busy(self) -> bool:
        """Whether an answer is still awaited."""
        return any(one.state in _ANSWERED for one in self._open.values())

    @property
    def unbooked(self) -> bool:
        """Whether the venue may yet book an order of ours: sent, and never seen nor refused."""
        return any(
            one.state is _IN_FLIGHT or one.state is _UNRESOLVED for one in self._open.values()
        )

    def order(self, client_id: str) -> NewOrder | None:
        """The order with this id, also for a while after it has ended."""
        working = self._open.get(client_id)
        return self._closed.get(client_id) if working is None else working.order

    def knows(self, client_id: str) -> bool:
        """Whether this order may rest or fill as far as we know."""
        return client_id in self._open

    def take_gone(self) -> list[tuple[str, str]]:
        """Orders that rest no more since this was asked last, and how each ended.

        Those that the venue refused at once are left out: they never rested.
        """
        gone, self._gone = self._gone, []
        return gone

    # --- what we did -------------------------------------------------------------------------

    def sent(self, batch: Batch) -> None:
        """A batch is on its way: its orders count at once, what it replaces may still fill."""
        for client_id in self._to_cancel(batch):
            self._set(client_id, _CANCELLING)
        for order in batch.orders:
            self._open[order.client_order_id] = WorkingOrder(
                order=order, state=_IN_FLIGHT, remaining=order.lots
            )

    def answered(self, batch: Batch, outcome: BatchOutcome, now_ns: int) -> None:
        """Apply the venue's answer, or the lack of one, to a sent batch."""
        answers = {order.client_order_id: order for order in outcome.orders}
        replaced = {order.replaces for order in batch.orders}
        vanished = any(order.reason is RejectReason.UNKNOWN_ORDER for order in outcome.orders)
        for client_id in self._to_cancel(batch):
            if client_id not in replaced:
                self._after_cancel(client_id, gone=outcome.old_gone, now_ns=now_ns)
                if vanished:
                    # One of them is gone, and the venue does not say which.
                    self.doubt(client_id, now_ns)
        for order in batch.orders:
            answer = answers.get(order.client_order_id)
            if order.replaces is not None:
                self._after_replace(order.replaces, answer, now_ns)
            self._after_send(order.client_order_id, answer, now_ns)

    # --- what the venue told -----------------------------------------------------------------

    def updated(self, update: OrderUpdate, now_ns: int) -> None:
        """Take a pushed order state; it may come before the answer to the send."""
        client_id = update.client_order_id
        told_before = client_id in self._ended
        if not update.resting and (client_id in self._open or client_id in self._closed):
            self._ended.add(client_id)
        working = self._open.get(client_id)
        if working is None:
            self._reopen(update)
            return
        if update.resting:
            # A replace or cancel under way goes on; fills come as fills.
            if working.state is _IN_FLIGHT or working.state is _UNRESOLVED:
                self._set(client_id, _RESTING)
                self._asks.pop(client_id, None)
            return
        if told_before:
            return  # what is left of it is what was filled and not heard yet
        unheard = update.filled - (working.order.lots - working.remaining)
        if unheard > 0:
            self._open[client_id] = _changed(working, _SETTLING, unheard)
            self._asks[client_id] = now_ns + _SETTLE_NS
        else:
            why = update.reason.value if update.reason is not None else "cancelled"
            self._close(client_id, why if working.remaining else _FILLED)

    def filled(self, fill: Fill) -> None:
        """Take a fill off the order it belongs to.

        Venues that name no order on a fill (ocx.md section 5.4) leave side and price to go by.
        """
        client_id = fill.client_order_id
        if client_id is None and not self._named:
            client_id = self._match(fill)
        if client_id is None or client_id not in self._open:
            if client_id is None or client_id not in self._closed:
                self.unattributed += 1
            return
        working = self._open[client_id]
        left: Lots = working.remaining - fill.lots
        if left > 0:
            self._open[client_id] = _changed(working, working.state, left)
        elif fill.client_order_id is None and self._may_be_anothers(fill):
            # Nobody may say that it ended before the venue was asked; until then it counts whole.
            self.doubt(client_id, 0)
        else:
            self._ended.add(client_id)
            self._close(client_id, _FILLED)

    def settled(self, client_id: str, now_ns: int, *, resting: bool) -> str | None:
        """The venue was asked, and the fills it knows of were heard before this.

        An acknowledged order that is not found may be booked yet (x10.md section 12.4): its slot
        stays taken for some more looks, and its id comes back, to be cancelled for safety.
        """
        self._asks.pop(client_id, None)
        working = self._open.get(client_id)
        if resting:
            self._set(client_id, _RESTING)
        elif working is not None and working.state is _IN_FLIGHT and self._look_again(client_id):
            self._asks[client_id] = now_ns + _CONFIRM_NS
            return client_id
        else:
            self._close(client_id, "not at the venue")
        return None

    def _look_again(self, client_id: str) -> bool:
        looks = self._unseen[client_id] = self._unseen.get(client_id, 0) + 1
        return looks < _LOOKS

    def _reopen(self, update: OrderUpdate) -> None:
        """An order we had given up was booked late: it rests, until it is replaced or cancelled."""
        order = self._closed.get(update.client_order_id)
        if order is not None and update.resting and order.client_order_id not in self._ended:
            self._open[order.client_order_id] = WorkingOrder(
                order=order, state=_RESTING, remaining=update.remaining
            )

    def cleared(self) -> None:
        """A cancel-all was confirmed by listing: nothing rests."""
        for client_id in list(self._open):
            self._close(client_id, "cleared")

    # --- what follows from it ----------------------------------------------------------------

    def to_ask(self, now_ns: int, again_ns: int) -> tuple[str, ...]:
        """Orders whose fate was not told in time; asked again after `again_ns` without an answer.

        A vanished order is asked about after 250 ms, an acknowledged one after 2 s (x10.md
        sections 8.6 and 12.4).
        """
        due = tuple(client_id for client_id, at_ns in self._asks.items() if at_ns <= now_ns)
        for client_id in due:
            self._asks[client_id] = now_ns + again_ns
        return due

    def doubt(self, client_id: str, now_ns: int) -> None:
        """A resting order may be gone: one confirming question to the venue settles it."""
        working = self._open.get(client_id)
        if working is not None and working.state is _RESTING:
            self._set(client_id, _SETTLING)
            self._asks[client_id] = now_ns

    def lots_by_price(self, side: Side) -> dict[Ticks, Lots]:
        """What of ours may stand in the book on one side, by price."""
        lots: dict[Ticks, Lots] = {}
        for working in self._open.values():
            if working.order.side is side and working.state is not _IN_FLIGHT:
                price = working.order.price
                lots[price] = lots.get(price, 0) + working.remaining
        return lots

    def differs_from(self, resting: Iterable[str | None]) -> str:
        """What an audit found: ghosts and orphans in words, empty when the books agree."""
        listed = list(resting)
        known = {key for key, value in self._open.items() if value.state is _RESTING}
        ghosts = known.difference(listed)
        orphans = [key for key in listed if key not in self._open]
        if not ghosts and not orphans:
            return ""
        return f"{len(ghosts)} ghost, {len(orphans)} orphan orders"

    # --- one order ---------------------------------------------------------------------------

    def _to_cancel(self, batch: Batch) -> list[str]:
        if batch.replace_all:
            new_ids = {order.client_order_id for order in batch.orders}
            return [
                key
                for key, value in self._open.items()
                if key not in new_ids and value.state is not _UNRESOLVED
            ]
        replaced = [order.replaces for order in batch.orders if order.replaces]
        return [key for key in (*batch.cancels, *replaced) if key in self._open]

    def _after_cancel(self, client_id: str, *, gone: bool | None, now_ns: int) -> None:
        working = self._open.get(client_id)
        if working is None or working.state is not _CANCELLING:
            return  # an update told already
        if gone is False:
            self._set(client_id, _RESTING)
        elif self._pushed:
            # An update ends it; a cancel may be repeated, so not knowing is no danger.
            self._asks[client_id] = now_ns + _CONFIRM_NS
        elif gone:
            self._close(client_id, "cancelled")
        else:
            self._set(client_id, _UNRESOLVED)

    def _after_replace(self, client_id: str, answer: OrderOutcome | None, now_ns: int) -> None:
        working = self._open.get(client_id)
        if working is None or working.state is not _CANCELLING:
            return
        if answer is not None and answer.kind is OutcomeKind.ACCEPTED:
            self._asks[client_id] = now_ns + _CONFIRM_NS
        elif answer is None or answer.replaced_gone is None:
            self._set(client_id, _UNRESOLVED)
        elif answer.replaced_gone:
            # Gone, and nobody knows why: it may have been filled (x10.md section 8.3).
            self._set(client_id, _SETTLING)
            self._asks[client_id] = now_ns + _SETTLE_NS
        else:
            self._set(client_id, _RESTING)

    def _after_send(self, client_id: str, answer: OrderOutcome | None, now_ns: int) -> None:
        # A fill or an update may have been heard before the answer.
        working = self._open.get(client_id)
        if working is None or working.state is not _IN_FLIGHT:
            return
        if answer is None or answer.kind is OutcomeKind.UNRESOLVED:
            self._set(client_id, _UNRESOLVED)
        elif answer.kind is OutcomeKind.ACCEPTED and self._pushed:
            self._asks[client_id] = now_ns + _CONFIRM_NS
        elif answer.kind is OutcomeKind.ACCEPTED:
            self._set(client_id, _RESTING)
        elif answer.reason is RejectReason.DUPLICATE:
            self._set(client_id, _UNRESOLVED)
        else:
            self._close(client_id, _REFUSED)

    def _set(self, client_id: str, state: WorkingState) -> None:
        working = self._open.get(client_id)
        if working is not None:
            self._open[client_id] = _changed(working, state, working.remaining)

    def _close(self, client_id: str, how: str) -> None:
        self._asks.pop(client_id, None)
        working = self._open.pop(client_id, None)
        if working is None:
            return
        if how is not _REFUSED:
            self._gone.append((client_id, how))
        self._unseen.pop(client_id, None)
        self._closed[client_id] = working.order
        while len(self._closed) > _KEEP_CLOSED:
            oldest = next(iter(self._closed))
            del self._closed[oldest]
            self._ended.discard(oldest)

    def _may_be_anothers(self, fill: Fill) -> bool:
        """Whether an order that ended for another reason may have been filled before it did."""
        return any(
            order.side is fill.side and order.price == fill.price and client_id not in self._ended
            for client_id, order in self._closed.items()
        )

    def _match(self, fill: Fill) -> str | None:
        # A maker fill happens at the order's own price; newest closed orders are tried last.
        for client_id, working in self._open.items():
            if working.order.side is fill.side and working.order.price == fill.price:
                return client_id
        for client_id, order in reversed(self._closed.items()):
            if order.side is fill.side and order.price == fill.price:
                return client_id
        return None


def _changed(working: WorkingOrder, state: WorkingState, remaining: Lots) -> WorkingOrder:
    # `dataclasses.replace` takes several times as long, for every order of every batch.
    return WorkingOrder(order=working.order, state=state, remaining=remaining)

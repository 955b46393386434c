"""Our orders at the venue as far as we know, by client order id.

An order stays fillable here until the venue says it is gone, and attributable for a while after.
"""

from collections.abc import Iterable
from typing import Final

from desk.instrument import Instrument
from desk.orders import Batch, BatchOutcome, Fill, NewOrder, OutcomeKind, RejectReason
from desk.units import Lots, Side, Ticks
from desk.working import WorkingOrder, WorkingState

_KEEP_CLOSED = 64
# An enum member costs 50 ns to look up in Python 3.11, and every update asks for dozens.
_IN_FLIGHT: Final = WorkingState.IN_FLIGHT
_CANCELLING: Final = WorkingState.CANCELLING
_UNRESOLVED: Final = WorkingState.UNRESOLVED
_MAY_FILL = frozenset(
    {
        WorkingState.IN_FLIGHT,
        WorkingState.RESTING,
        WorkingState.CANCELLING,
        WorkingState.UNRESOLVED,
    }
)


class WorkingOrders:
    """The table of one market's orders; changes follow the outcome policy."""

    def __init__(self) -> None:
        self._open: dict[str, WorkingOrder] = {}
        self._closed: dict[str, NewOrder] = {}
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
        return any(
            one.state is _IN_FLIGHT or one.state is _CANCELLING for one in self._open.values()
        )

    def sent(self, batch: Batch) -> None:
        """A batch is on its way: its orders count at once, what it replaces may still fill."""
        for client_id in self._to_cancel(batch):
            self._set(client_id, WorkingState.CANCELLING)
        for order in batch.orders:
            self._open[order.client_order_id] = WorkingOrder(
                order=order, state=WorkingState.IN_FLIGHT, remaining=order.lots
            )

    def answered(self, batch: Batch, outcome: BatchOutcome) -> None:
        """Apply the venue's answer, or the lack of one, to a sent batch."""
        new_ids = {order.client_order_id for order in batch.orders}
        for client_id in [key for key in self._to_cancel(batch) if key not in new_ids]:
            self._after_cancel(client_id, gone=outcome.old_gone)
        answers = {order.client_order_id: order for order in outcome.orders}
        for client_id in new_ids:
            answer = answers.get(client_id)
            if answer is None or answer.kind is OutcomeKind.UNRESOLVED:
                self._set(client_id, WorkingState.UNRESOLVED)
            elif answer.kind is OutcomeKind.ACCEPTED:
                self._accepted(client_id)
            elif answer.reason is RejectReason.DUPLICATE:
                self._set(client_id, WorkingState.UNRESOLVED)
            else:
                self._close(client_id)

    def filled(self, fill: Fill) -> None:
        """Take a fill off the order it belongs to.

        Venues that name no order on a fill (ocx.md section 5.4) leave side and price to go by.
        """
        client_id = fill.client_order_id or self._match(fill)
        if client_id is None or client_id not in self._open:
            if client_id is None or client_id not in self._closed:
                self.unattributed += 1
            return
        working = self._open[client_id]
        left: Lots = working.remaining - fill.lots
        if left > 0:
            self._open[client_id] = _changed(working, working.state, left)
        else:
            self._close(client_id)

    def gone(self, client_id: str) -> None:
        """The venue said this order rests no more."""
        self._close(client_id)

    def cleared(self) -> None:
        """A cancel-all was confirmed by listing: nothing rests."""
        for client_id in list(self._open):
            self._close(client_id)

    def lots_by_price(self, side: Side) -> dict[Ticks, Lots]:
        """What of ours may stand in the book on one side, by price."""
        lots: dict[Ticks, Lots] = {}
        for working in self._open.values():
            if working.order.side is side and working.state is not _IN_FLIGHT:
                price = working.order.price
                lots[price] = lots.get(price, 0) + working.remaining
        return lots

    def quotes(self, instrument: Instrument) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Bids and asks as `size @ price`, best first."""
        sides: dict[Side, list[WorkingOrder]] = {Side.BUY: [], Side.SELL: []}
        for working in self._open.values():
            if working.state is not WorkingState.CANCELLING:
                sides[working.order.side].append(working)
        bids = sorted(sides[Side.BUY], key=lambda item: -item.order.price)
        asks = sorted(sides[Side.SELL], key=lambda item: item.order.price)
        return _texts(bids, instrument), _texts(asks, instrument)

    def differs_from(self, resting: Iterable[str | None]) -> str:
        """What an audit found: ghosts and orphans in words, empty when the books agree."""
        listed = list(resting)
        known = {key for key, value in self._open.items() if value.state is WorkingState.RESTING}
        ghosts = known.difference(listed)
        orphans = [key for key in listed if key not in self._open]
        if not ghosts and not orphans:
            return ""
        return f"{len(ghosts)} ghost, {len(orphans)} orphan orders"

    def _to_cancel(self, batch: Batch) -> list[str]:
        if batch.replace_all:
            new_ids = {order.client_order_id for order in batch.orders}
            return [
                key
                for key, value in self._open.items()
                if key not in new_ids and value.state is not WorkingState.UNRESOLVED
            ]
        replaced = [order.replaces for order in batch.orders if order.replaces]
        return [key for key in (*batch.cancels, *replaced) if key in self._open]

    def _after_cancel(self, client_id: str, *, gone: bool | None) -> None:
        if gone:
            self._close(client_id)
        elif gone is None:
            self._set(client_id, WorkingState.UNRESOLVED)
        else:
            self._set(client_id, WorkingState.RESTING)

    def _accepted(self, client_id: str) -> None:
        # A fill may have been heard before the answer; then the order is closed already.
        working = self._open.get(client_id)
        if working is not None and working.state is WorkingState.IN_FLIGHT:
            self._open[client_id] = _changed(working, WorkingState.RESTING, working.remaining)

    def _set(self, client_id: str, state: WorkingState) -> None:
        working = self._open.get(client_id)
        if working is not None:
            self._open[client_id] = _changed(working, state, working.remaining)

    def _close(self, client_id: str) -> None:
        working = self._open.pop(client_id, None)
        if working is None:
            return
        self._closed[client_id] = working.order
        while len(self._closed) > _KEEP_CLOSED:
            del self._closed[next(iter(self._closed))]

    def _match(self, fill: Fill) -> str | None:
        # A maker fill happens at the order's own price; newest closed orders are tried last.
        for client_id, working in self._open.items():
            if (
                working.state in _MAY_FILL
                and working.order.side is fill.side
                and working.order.price == fill.price
            ):
                return client_id
        for client_id, order in reversed(self._closed.items()):
            if order.side is fill.side and order.price == fill.price:
                return client_id
        return None


def _changed(working: WorkingOrder, state: WorkingState, remaining: Lots) -> WorkingOrder:
    # `dataclasses.replace` takes several times as long, for every order of every batch.
    return WorkingOrder(order=working.order, state=state, remaining=remaining)


def _texts(orders: list[WorkingOrder], instrument: Instrument) -> tuple[str, ...]:
    return tuple(
        f"{instrument.quantity(item.remaining)} @ {instrument.price(item.order.price)}"
        for item in orders
    )

"""What befalls an order that takes: the crowd may be gone, or half gone, when it arrives.

Only the crowd ever gives way; what customers rest stays and trades. It is all on record.
"""

from desk.units import Lots, Side, Ticks
from venues.simulation.events import AnswerHeld, CancelReason, CrowdLeft, EdgeShown
from venues.simulation.orders import OrderRequest
from venues.simulation.state import State


class Legs:
    """Moves the crowd and notes why, by `engine.legs`; unknown markets raise KeyError."""

    def __init__(self, state: State) -> None:
        self._state = state

    def thin(self, account: str, request: OrderRequest, stays: Lots, *, cause: str) -> Lots:
        """Leave at most so many lots for an order about to arrive; returns how many went.

        All the order could reach counts, down to its limit. The crowd goes from the back, after
        what customers rest there was counted; if that alone is more, it stays.
        """
        market = self._state.markets[request.symbol]
        accounts = self._state.accounts
        reach = list(market.book.against(request.side).orders(request.price))
        crowd = [order for order in reach if accounts[order.account].house]
        others = sum(order.remaining for order in reach) - sum(one.remaining for one in crowd)
        stays = max(0, stays - others)
        left = gone = 0
        for order in crowd:
            goes = min(max(0, left + order.remaining - stays), order.remaining)
            left += order.remaining - goes
            gone += goes
            if goes:
                self._state.withdraw(market, order, CancelReason.ASKED, goes)
        self._state.log.record(
            CrowdLeft(
                sequence=self._state.log.next_sequence(),
                at_ns=self._state.now_ns(),
                account=account,
                symbol=request.symbol,
                client_order_id=request.client_order_id,
                side=request.side.opposite,
                lots=gone,
                left=left + others,
                cause=cause,
            )
        )
        self._state.finish()
        return gone

    def edge_shown(self, symbol: str, side: Side, ticks: Ticks) -> None:
        """Note that the crowd is so much better to takers of this side now; 0: no more."""
        self._state.log.record(
            EdgeShown(
                sequence=self._state.log.next_sequence(),
                at_ns=self._state.now_ns(),
                symbol=symbol,
                side=side,
                ticks=ticks,
            )
        )
        self._state.finish()

    def answer_held(self, account: str, symbol: str, delay_ms: int) -> None:
        """Note that the answer to an order was kept back."""
        self._state.log.record(
            AnswerHeld(
                sequence=self._state.log.next_sequence(),
                at_ns=self._state.now_ns(),
                account=account,
                symbol=symbol,
                delay_ms=delay_ms,
            )
        )
        self._state.finish()

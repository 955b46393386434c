"""Dead-man timers: when one runs out, every resting order of its account goes, and it is told.

A timer fires once; positions are not touched.
"""

from venues.simulation.accounts import Account
from venues.simulation.events import CancelReason, TimerFired, TimerSet
from venues.simulation.state import State


class Timers:
    """The timers of all accounts; unknown accounts raise KeyError."""

    def __init__(self, state: State) -> None:
        self._state = state

    def set(self, account: str, due_ns: int | None) -> None:
        """Arm an account's timer for a wall time, or disarm it (None)."""
        state = self._state
        state.accounts[account].timer_ns = due_ns
        state.log.record(
            TimerSet(
                sequence=state.log.next_sequence(),
                at_ns=state.now_ns(),
                account=account,
                due_ns=due_ns,
            )
        )
        state.finish()

    def due_ns(self, account: str) -> int | None:
        """When an account's timer will fire; None when disarmed."""
        return self._state.accounts[account].timer_ns

    def fire(self) -> None:
        """Fire what is due, between two ticks of the engine."""
        fire_timers(self._state)
        self._state.finish()


def fire_timers(state: State) -> None:
    """Fire what is due by now."""
    now = state.now_ns()
    for account in state.accounts.values():
        if account.timer_ns is not None and account.timer_ns <= now:
            account.timer_ns = None
            _fire(state, account)


def _fire(state: State, account: Account) -> None:
    resting = tuple(account.orders.values())
    for order in resting:
        state.withdraw(state.markets[order.symbol], order, CancelReason.DEAD_MAN)
    state.log.record(
        TimerFired(
            sequence=state.log.next_sequence(),
            at_ns=state.now_ns(),
            account=account.name,
            orders=len(resting),
        )
    )

"""Account messages on their way to whoever listens: in order, and late when they are held back."""

from collections import deque
from collections.abc import Callable
from typing import Any

from desk.units import NS_PER_S
from venues.simulation.agenda import Agenda

Message = tuple[str, dict[str, Any]]
Push = Callable[[Message], None]


class Outbox:
    """One line of messages for each account; a message never overtakes an earlier one."""

    def __init__(self, agenda: Agenda, now_ns: Callable[[], int], delay_s: float) -> None:
        self._agenda = agenda
        self._now_ns = now_ns
        self._delay_ns = int(delay_s * NS_PER_S)
        self._listeners: dict[str, list[Push]] = {}
        self._held_until_ns: dict[str, int] = {}
        self._waiting: dict[str, deque[tuple[int, Message]]] = {}

    def listen(self, account: str, push: Push) -> Callable[[], None]:
        """Have an account's messages pushed; returns an undo."""
        listeners = self._listeners.setdefault(account, [])
        listeners.append(push)

        def undo() -> None:
            if push in listeners:
                listeners.remove(push)

        return undo

    def listeners(self, account: str) -> int:
        """How many listen to an account."""
        return len(self._listeners.get(account, ()))

    def hold(self, account: str, seconds: float) -> None:
        """Keep back what an account is told from now on."""
        until = self._now_ns() + int(seconds * NS_PER_S)
        self._held_until_ns[account] = max(until, self._held_until_ns.get(account, 0))

    def post(self, account: str, message: Message) -> None:
        """Tell an account's listeners."""
        now = self._now_ns()
        due = max(self._held_until_ns.get(account, 0), now + self._delay_ns)
        waiting = self._waiting.setdefault(account, deque())
        if due <= now and not waiting:
            self._tell(account, message)
            return
        waiting.append((due, message))
        self._agenda.at(max(due, waiting[0][0]), lambda: self._release(account))

    def _release(self, account: str) -> None:
        waiting = self._waiting[account]
        while waiting and waiting[0][0] <= self._now_ns():
            self._tell(account, waiting.popleft()[1])

    def _tell(self, account: str, message: Message) -> None:
        for push in tuple(self._listeners.get(account, ())):
            push(message)

"""Cancel-alls of one session: which one runs, and whether what was on its way overtook it.

A cancel-all that a batch may have overtaken proves nothing: another follows that batch's answer.
"""

from quoting.inbox import Cleared


class Pulls:
    """`wanted` says why everything must go at the next step, `failed` why it could not."""

    def __init__(self) -> None:
        self.wanted = ""
        self.failed = ""
        self.made = 0
        self._again = ""
        self._running = False
        self._unanswered: set[str] = set()

    def sent(self, batch_id: str) -> None:
        """A batch is on its way."""
        self._unanswered.add(batch_id)

    def answered(self, batch_id: str) -> None:
        """It was answered, or never will be."""
        self._unanswered.discard(batch_id)

    @property
    def awaiting(self) -> bool:
        """Whether a batch is unanswered, whatever streams told of its orders meanwhile."""
        return bool(self._unanswered)

    def begin(self, reason: str) -> None:
        """A cancel-all goes out."""
        self.made += 1
        self._running = True
        self._again = reason if self._unanswered else ""

    @property
    def due_again(self) -> str:
        """Why another cancel-all must follow now, empty when none must."""
        return "" if self._unanswered or self._running else self._again

    def ended(self, event: Cleared) -> bool:
        """Take the end of a cancel-all; whether nothing of ours rests any more."""
        self._running = False
        if not event.verified:
            self.failed = event.message or "orders could not be cleared"
            return False
        return not self._again

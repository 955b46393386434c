"""What rests at the venue against what we think rests: ghosts, orphans, and orders of others.

A difference is acted on only when it cannot be a matter of messages still under way.
"""

from dataclasses import dataclass

from desk.identity import OrderIdentity
from desk.units import NS_PER_S
from desk.working import WorkingState
from quoting.inbox import Audited
from quoting.working_orders import WorkingOrders

_SETTLED_NS = 2 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """`start_over` asks for a clearing; `ghosts` to be asked about, `orphans` to be cancelled."""

    start_over: str = ""
    ghosts: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()


class Audit:
    """Judges the lists of one market's session.

    A venue that replaces whole ladders is cured by starting over; elsewhere each order is settled
    by itself (x10.md section 21, rule 15).
    """

    def __init__(self, *, tag: str, epoch: int, whole_ladders: bool) -> None:
        self._tag = tag
        self._epoch = epoch
        self._whole_ladders = whole_ladders
        self._rested: frozenset[str] = frozenset()
        self._suspects: frozenset[str] = frozenset()
        self._doubt = ""
        self.foreign = 0

    def begin(self, working: WorkingOrders) -> None:
        """The list is being asked for: only what rests by now can be missing from it."""
        self._rested = _resting(working)

    def judge(self, event: Audited, working: WorkingOrders, last_sent_ns: int) -> Findings:
        """What a list says, given what we know when it has come."""
        self.foreign = sum(1 for client_id in event.resting if self._foreign(client_id))
        if self._whole_ladders:
            return self._as_a_whole(event, working, last_sent_ns)
        listed = {client_id for client_id in event.resting if client_id is not None}
        ghosts = (self._rested & _resting(working)) - listed
        strays = [one for one in listed if not self._foreign(one) and not working.knows(one)]
        old = {one for one in strays if self._older(one)}
        # One of this epoch may have been listed just before it went: it has to be seen twice, and
        # one we gave up may be booked late: what we closed ourselves does not make it known.
        again = self._suspects.intersection(strays)
        self._suspects = frozenset(strays) - old
        return Findings(ghosts=tuple(sorted(ghosts)), orphans=tuple(sorted(old | again)))

    def _as_a_whole(self, event: Audited, working: WorkingOrders, last_sent_ns: int) -> Findings:
        """A difference seen twice in a row, with nothing in flight, is real: start over."""
        if working.busy or event.asked_ns - last_sent_ns < _SETTLED_NS:
            return Findings()
        doubt, before = working.differs_from(event.resting), self._doubt
        self._doubt = doubt
        return Findings(start_over=f"audit: {doubt}" if doubt and before else "")

    def is_ours(self, client_id: str) -> bool:
        """Whether this market's sessions, of whatever epoch, name their orders so."""
        return not self._foreign(client_id)

    def _foreign(self, client_id: str | None) -> bool:
        identity = None if client_id is None else OrderIdentity.decode(client_id)
        return identity is None or identity.tag != self._tag

    def _older(self, client_id: str) -> bool:
        identity = OrderIdentity.decode(client_id)
        return identity is not None and identity.epoch < self._epoch


def _resting(working: WorkingOrders) -> frozenset[str]:
    return frozenset(
        one.order.client_order_id for one in working.open if one.state is WorkingState.RESTING
    )

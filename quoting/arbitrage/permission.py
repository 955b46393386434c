"""Whether the legs of a set may be traded now: one leg's no is the whole set's.

The rule: what is not known counts as no, and any kill at all closes the gate for new sets. What
only takes exposure off asks for nothing but the lease.
"""

from collections.abc import Iterable

from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.ports import SetPorts


def why_not_fire(legs: Iterable[LiveLeg], ports: SetPorts, now_ns: int) -> str:
    """Why no set may be fired at, empty when it may. A sentence that names the leg."""
    kill_file = ports.kill_file.present()
    for leg in legs:
        why = _refusal(leg, ports, now_ns, kill_file=kill_file) or leg.trouble(now_ns)
        if not why and (leg.surprised or leg.doubted):
            why = "its account told what the books do not hold yet"
        if why:
            return f"{leg.market.path}: {why}"
    return ""


def why_not_add(legs: Iterable[LiveLeg], ports: SetPorts, now_ns: int) -> str:
    """Why nothing may be sent that adds to any leg's position; empty when it may."""
    kill_file = ports.kill_file.present()
    for leg in legs:
        if why := _refusal(leg, ports, now_ns, kill_file=kill_file):
            return f"{leg.market.path}: {why}"
    return ""


def why_not_reduce(leg: LiveLeg, now_ns: int) -> str:
    """Why not even what takes exposure off may be sent; empty when it may."""
    if now_ns < leg.permit.lease_until_ns:
        return ""
    return "the lease could not be confirmed in time, or is somebody else's"


def _refusal(leg: LiveLeg, ports: SetPorts, now_ns: int, *, kill_file: bool) -> str:
    permit = leg.permit
    permit.kill_file = kill_file
    permit.count_intents(ports.writer.unrecorded(leg.market))
    refusal = permit.refusal(now_ns) or permit.refusal_to_send(1)
    if refusal is not None:
        return permit.explain(refusal)
    if kill := permit.reduce_only:
        return f"no new risk at scope {kill.scope} by {kill.by}: {kill.reason}"
    return ""

"""Funding and transfers that a venue lists and our books lack.

The rule: each kind is read on from where it was read last; what can be read no more is told.
"""

from typing import Final

from activities.ports import ActivityPorts
from desk.errors import OutOfReach
from desk.payments import PaymentKind
from desk.ports import Venue
from desk.reconciliation import Anchor
from desk.trading_day import moment
from desk.units import NS_PER_MS

_DAY_MS: Final = 86_400_000
_LISTED_WITHIN_MS: Final = {PaymentKind.FUNDING: _DAY_MS, PaymentKind.TRANSFER: 14 * _DAY_MS}
"""How late a venue may list one: a withdrawal pends for days and has the time of its beginning."""
_FIRST_MS: Final = {PaymentKind.FUNDING: 7 * _DAY_MS, PaymentKind.TRANSFER: 14 * _DAY_MS}


async def book_payments(
    ports: ActivityPorts, venue: Venue, name: str, account: str, anchor: Anchor | None
) -> None:
    """Book what the venue lists as paid lately and our books lack; a venue may list it late.

    Each kind is asked for since it was read last: when its newest payment was booked, or money was
    judged with `anchor`. Never further back than at first, as an anchor may stand on that.
    """
    for kind in sorted(venue.capabilities.tells_payments):
        last_ms = await ports.payments.last_ms(name, account, kind)
        read_ms = max(last_ms or 0, anchor.seen_ms if anchor is not None else 0)
        now_ms = ports.clock.wall_ns() // NS_PER_MS
        back_ms = _LISTED_WITHIN_MS[kind] if read_ms else _FIRST_MS[kind]
        since_ms = max(0, (read_ms or now_ms) - back_ms)
        try:
            found = await venue.account.payments(since_ms, kind)
        except OutOfReach as error:
            found = await venue.account.payments(error.reaches_ms, kind)
            if read_ms and error.reaches_ms > read_ms:
                await _tell_gap(ports, f"{name}/{account}", kind, read_ms, error.reaches_ms)
        if found:
            await ports.payments.book(found)


async def _tell_gap(
    ports: ActivityPorts, place: str, kind: PaymentKind, read_ms: int, reaches_ms: int
) -> None:
    text = (
        f"{place}: the venue lists no {kind.value} before {moment(reaches_ms)}, and our books have "
        f"it until {moment(read_ms)}: what was paid between is in no book"
    )
    await ports.alerts.alert(None, "warning", text)

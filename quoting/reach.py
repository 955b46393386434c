"""Own fills of a market as far back as its venue lists them.

The rule: who asks for more is told from when on the answer is whole, and never less than that.
"""

from collections.abc import Sequence

from desk.errors import OutOfReach
from desk.instrument import Instrument
from desk.orders import Fill
from desk.ports import Venue

_TRIES = 3


async def fills_in_reach(
    venue: Venue, instrument: Instrument, since_ms: int
) -> tuple[Sequence[Fill], int]:
    """Fills since a venue wall-clock time, or a later one; oldest first, and that time.

    Raises Refused, NotSent or Unresolved.
    """
    for _ in range(_TRIES):
        try:
            return await venue.account.fills(instrument, since_ms), since_ms
        except OutOfReach as error:
            if error.reaches_ms <= since_ms:
                raise
            since_ms = error.reaches_ms
    return await venue.account.fills(instrument, since_ms), since_ms

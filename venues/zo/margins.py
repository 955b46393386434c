"""The account's margin in plain figures (zo.md section 8): what risk gates compare."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from venues.zo.payloads import WireMargins, WirePosition


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """US dollars, but for the two fractions.

    `equity` is the account value, `available` what new orders may use. `exposure` is the sum of
    held sizes at mark, None when a mark is unknown. `margin_fraction` is equity over exposure:
    None when flat (no limit to it) or when exposure is unknown, so look at `exposure` first.
    `headroom` is the part of equity above the liquidation level, None without equity.
    """

    equity: Decimal
    available: Decimal
    initial: Decimal
    cancel: Decimal
    maintenance: Decimal
    bankrupt: bool
    exposure: Decimal | None
    margin_fraction: Decimal | None
    headroom: Decimal | None


def margins_of(
    told: WireMargins, positions: Iterable[WirePosition], marks: Mapping[int, Decimal | None]
) -> Margins:
    """Figures of one account; `marks` by market id, for the markets that are held."""
    exposure: Decimal | None = Decimal(0)
    for position in positions:
        if position.perp is None or not position.perp.base_size:
            continue
        mark = marks.get(position.market_id)
        if mark is None or exposure is None:
            exposure = None
        else:
            exposure += abs(position.perp.base_size) * mark
    return Margins(
        equity=told.mf,
        available=max(Decimal(0), told.omf - told.imf),
        initial=told.imf,
        cancel=told.cmf,
        maintenance=told.mmf,
        bankrupt=told.bankruptcy,
        exposure=exposure,
        margin_fraction=told.mf / exposure if exposure else None,
        headroom=(told.mf - told.mmf) / told.mf if told.mf > 0 else None,
    )

"""What in a market's parameters contradicts the market itself: minimum sizes and fees. Pure."""

from decimal import Decimal

from desk.instrument import Instrument
from desk.quoting.parameters import QuoteParameters, QuoteStyle
from desk.units import BPS


def against_market(parameters: QuoteParameters, instrument: Instrument) -> tuple[str, ...]:
    """Contradictions, each a sentence naming the field and the remedy; empty when there are none.

    The parameters must be sound by themselves (`QuoteParameters.problems`).
    """
    found, least = [], instrument.min_notional
    if max(parameters.level_worths) < least:
        found.append(
            f"{parameters.size_field}: no level is worth the market's minimum of {least}; raise it"
        )
    fee = instrument.maker_fee_bps
    earned = _earned_bps(parameters)
    if earned is not None and earned[1] < 2 * fee:
        field, spread = earned
        found.append(
            f"{field}: a spread of {spread} bps does not pay two maker fees of {fee} bps; "
            f"make it {2 * fee} or more"
        )
    return tuple(found)


def _earned_bps(parameters: QuoteParameters) -> tuple[str, Decimal] | None:
    """The field that sets the narrowest spread of the style, and that spread; None when derived."""
    match parameters.style:
        case QuoteStyle.SPREAD:
            spread = parameters.spread_bps
            return None if spread is None else ("spread_bps", spread)
        case QuoteStyle.TOUCH:
            return "offset_divisor", 2 * BPS / parameters.offset_divisor
        case QuoteStyle.IMBALANCE:
            return "min_spread_bps", parameters.min_spread_bps

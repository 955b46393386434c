"""Markets, parameters and views for tests of the quote model."""

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import strategies as st

from desk.instrument import Instrument
from desk.quoting.decide import QuoteModel, QuoteTarget, TargetLevel
from desk.quoting.parameters import QuoteParameters
from desk.quoting.view import View
from desk.units import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    instrument: Instrument
    parameters: QuoteParameters
    view: View
    cap_lots: int
    level_lots: int

    @property
    def model(self) -> QuoteModel:
        return QuoteModel.prepare(self.parameters, self.instrument)

    @property
    def target(self) -> QuoteTarget:
        return self.model.target(self.view)


def side_of(target: QuoteTarget, side: Side) -> list[TargetLevel]:
    return [level for level in target.levels if level.slot.side is side]


def decimals(low: str, high: str, places: int = 3) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(low), Decimal(high), places=places)


sizes = st.builds(
    lambda digit, exponent: Decimal(digit).scaleb(exponent),
    st.sampled_from([1, 2, 5, 25]),
    st.integers(-8, 1),
)


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    return Instrument(
        venue="paper",
        symbol="TEST",
        tick_size=draw(sizes),
        lot_size=draw(sizes),
        multiplier=draw(st.sampled_from([Decimal(1), Decimal("0.01"), Decimal(100)])),
        maker_fee_bps=draw(decimals("-2", "10")),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Caps and sizes are drawn in lots at the mid, so that every ratio of them comes up."""
    instrument = draw(instruments())
    best_bid = draw(st.integers(1, 2_000_000))
    best_ask = best_bid + draw(st.integers(1, 40))
    cap_lots = draw(st.integers(1, 3_000))
    level_lots = draw(st.integers(1, cap_lots))
    mid_x2 = best_bid + best_ask
    lot_at_mid = instrument.notional(mid_x2, 1) / 2
    view = View(
        best_bid=best_bid,
        best_ask=best_ask,
        mid_x2=mid_x2,
        inventory=draw(st.integers(-cap_lots - 100, cap_lots + 100)),
        sigma_bps=draw(decimals("0", "80", 4)),
    )
    least = draw(decimals("0", "50"))
    parameters = QuoteParameters(
        levels=draw(st.integers(1, 6)),
        level_notional=lot_at_mid * level_lots,
        level_spacing_bps=draw(decimals("0", "20")),
        spread_bps=draw(st.none() | decimals("50", "300")),
        min_spread_bps=least,
        skew=draw(decimals("0", "1")),
        inventory_cap=lot_at_mid * cap_lots,
    )
    return Case(
        instrument=instrument,
        parameters=parameters,
        view=view,
        cap_lots=cap_lots,
        level_lots=level_lots,
    )

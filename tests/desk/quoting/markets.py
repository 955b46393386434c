"""Markets, parameters and views for tests of the quote model."""

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import strategies as st

from desk.instrument import Instrument
from desk.quoting.decide import QuoteModel, QuoteTarget, TargetLevel
from desk.quoting.parameters import QuoteParameters, QuoteStyle, Sizing
from desk.quoting.view import Depth, View
from desk.units import Side, Ticks

CARD_INSTRUMENT = Instrument(
    venue="paper", symbol="CARD", tick_size=Decimal("0.01"), lot_size=Decimal("0.01")
)
CARD = QuoteParameters(
    levels=1,
    level_notional=Decimal(10),
    spread_bps=Decimal(100),
    skew=Decimal("0.3"),
    inventory_cap=Decimal(1000),
)
"""Mid 100, spread 1, k 0.3; the cap is 1,000 lots at that mid."""
WIDE = View(best_bid=1, best_ask=10**9, mid_x2=20_000, inventory=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    instrument: Instrument
    parameters: QuoteParameters
    view: View
    cap_lots: int

    def full_lots(self, level: TargetLevel) -> int:
        """The size of a level nothing cuts: at the mid, in other styles at its own price."""
        at_mid = self.parameters.style is QuoteStyle.SPREAD
        at = Fraction(self.view.mid_x2, 2) if at_mid else Fraction(level.price)
        lot = Fraction(self.instrument.notional(1, 1))
        return int(Fraction(self.parameters.level_worths[level.slot.level]) / (lot * at))

    @property
    def share(self) -> Fraction:
        """The holding over its cap, at the mid, never beyond the cap."""
        holding = self.view.inventory * Fraction(self.instrument.notional(self.view.mid_x2, 1)) / 2
        share = holding / Fraction(self.parameters.inventory_cap)
        return max(Fraction(-1), min(Fraction(1), share))

    def holding(self, inventory: int) -> "Case":
        """The same market while we hold something else."""
        return replace(self, view=replace(self.view, inventory=inventory))

    def alone(self) -> "Case":
        """The same prices asked for, with nobody near who could cut them."""
        return replace(self, view=replace(self.view, best_bid=0, best_ask=10**12))

    def prices(self) -> tuple[list[Ticks], list[Ticks]]:
        """Bids and asks of all levels, before sizes and limits."""
        model = self.model
        lean = model.inventory.lean(self.view.inventory, self.view.mid_x2)
        rungs = model.style.rungs(self.view, lean, model.inventory.whole)
        assert not isinstance(rungs, str)
        return [price for price, _ in rungs.bids], [price for price, _ in rungs.asks]

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


_steps = st.builds(
    lambda digit, exponent: Decimal(digit).scaleb(exponent),
    st.sampled_from([1, 2, 5, 25]),
    st.integers(-8, 1),
)


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    return Instrument(
        venue="paper",
        symbol="TEST",
        tick_size=draw(_steps),
        lot_size=draw(_steps),
        multiplier=draw(st.sampled_from([Decimal(1), Decimal("0.01"), Decimal(100)])),
        maker_fee_bps=draw(decimals("-2", "10")),
    )


depths = st.builds(
    Depth,
    bid_levels=st.integers(2, 5),
    ask_levels=st.integers(2, 5),
    bid_lots=st.integers(2, 10**6),
    ask_lots=st.integers(2, 10**6),
)
"""Deep enough to quote by."""


@st.composite
def cases(draw: st.DrawFn, style: QuoteStyle | None = None) -> Case:
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
        depth=draw(depths),
    )
    levels = draw(st.integers(1, 6))
    least = draw(decimals("0.001", "50"))
    parameters = QuoteParameters(
        style=draw(st.sampled_from(QuoteStyle)) if style is None else style,
        levels=levels,
        sizing=draw(st.sampled_from(Sizing)),
        level_percent=draw(decimals("0.01", "100", 2)),
        level_tiers=tuple(draw(st.lists(decimals("0.01", "1", 2), min_size=6, max_size=6))),
        level_notional=lot_at_mid * level_lots,
        level_spacing_bps=draw(decimals("0", "20")),
        offset_divisor=draw(st.integers(levels + 1, 20_000)),
        spread_bps=draw(st.none() | decimals("50", "300")),
        min_spread_bps=least,
        max_spread_bps=least + draw(decimals("0", "300")),
        max_book_spread_bps=Decimal(10) ** 20,
        skew_factor=draw(decimals("0", "0.1", 4)),
        skew_dead_band=draw(decimals("0", "0.99", 2)),
        skew=draw(decimals("0", "1")),
        inventory_cap=lot_at_mid * cap_lots,
    )
    return Case(instrument=instrument, parameters=parameters, view=view, cap_lots=cap_lots)

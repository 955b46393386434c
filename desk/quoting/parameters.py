"""How a market is quoted. Versioned: a change is applied as a whole, at a cycle boundary."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from desk.units import BPS


class QuoteStyle(StrEnum):
    """Where prices come from: a spread around the mid, or offsets from the touch.

    The touch is the best bid and the best ask that others show. `IMBALANCE` is a spread around the
    mid that widens as one side of the book outweighs the other.
    """

    SPREAD = "spread"
    TOUCH = "touch"
    IMBALANCE = "imbalance"


class Sizing(StrEnum):
    """What a level is worth: one amount, a percentage of the inventory cap, or a share by level."""

    FIXED = "fixed"
    PERCENTAGE = "percentage"
    TIERED = "tiered"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteParameters:
    """Parameters of the quote model; `problems` says what contradicts what.

    All styles: `inventory_cap` is quote currency. `sizing` says what each order is worth: `fixed`
    is `level_notional`, quote currency; `percentage` is `level_percent` percent of the cap;
    `tiered` is the level's entry of `level_tiers` times the cap. (The notes both come from take the
    account's free collateral instead. The cap is what this market was given: it does not move when
    another market of the account trades.)
    `requote_tolerance_bps`: a level is left alone while its target stays this near, at 0 only while
    its price is the same; `debounce_ms` is the least time between two requotes.

    Styles `spread` and `touch`: `skew` is the fraction of the distance from innermost bid to
    innermost ask that both sides move against the inventory when it is at its cap (k of the card;
    0: never).

    Style `spread`: `spread_bps` None means the production card's default, two maker fees plus one
    standard deviation of one-minute returns, never under `min_spread_bps`; `level_spacing_bps` is
    the distance between levels; sizes are had at the mid.

    Style `touch`: level i (from 0) is `(1 + i) / offset_divisor` of the best price on its own side
    away from that price, so a bigger `offset_divisor` is tighter: 400 is 25 bps a level, 200 is
    50. (The guide this style was asked for with says the reverse of its own formula; the formula
    holds.) Sizes are had at the level's own price.

    Style `imbalance`: the spread is `min_spread_bps` plus as much of the way to `max_spread_bps` as
    the imbalance says, |bids - asks| / (bids + asks) by lots over the best `imbalance_levels`
    levels of others; level i is `(1 + i) / 2` spreads away from the fair value. That is the mid,
    moved by `skew_factor` of itself times inventory over cap, down when long and up when short, and
    not at all while that ratio is at most `skew_dead_band`. (The notes this style was asked for
    with move it the other way, which makes a position grow.) Nothing is shown while a side of the
    book has fewer than `min_book_levels` levels of others or the book is wider than
    `max_book_spread_bps`. Sizes are had at the level's own price.
    """

    version: int = 1
    style: QuoteStyle = QuoteStyle.SPREAD
    levels: int = 3
    sizing: Sizing = Sizing.FIXED
    level_notional: Decimal = Decimal(500)
    level_percent: Decimal = Decimal(10)
    level_tiers: tuple[Decimal, ...] = (Decimal("0.5"), Decimal("0.3"), Decimal("0.2"))
    level_spacing_bps: Decimal = Decimal(2)
    offset_divisor: int = 400
    spread_bps: Decimal | None = None
    min_spread_bps: Decimal = Decimal(1)
    max_spread_bps: Decimal = Decimal(125)
    imbalance_levels: int = 5
    min_book_levels: int = 2
    max_book_spread_bps: Decimal = Decimal(500)
    skew: Decimal = Decimal("0.3")
    skew_factor: Decimal = Decimal("0.002")
    skew_dead_band: Decimal = Decimal("0.05")
    inventory_cap: Decimal = Decimal(5000)
    requote_tolerance_bps: Decimal = Decimal("0.5")
    debounce_ms: int = 500

    @property
    def level_worths(self) -> tuple[Decimal, ...]:
        """Quote currency each level is worth by the sizing, innermost first."""
        match self.sizing:
            case Sizing.FIXED:
                return (self.level_notional,) * self.levels
            case Sizing.PERCENTAGE:
                return (self.inventory_cap * self.level_percent.scaleb(-2),) * self.levels
            case Sizing.TIERED:
                return tuple(self.inventory_cap * tier for tier in self.level_tiers[: self.levels])

    @property
    def size_field(self) -> str:
        """The field that says how large levels are."""
        return _SIZE_FIELDS[self.sizing]

    @property
    def least_reach_bps(self) -> Decimal:
        """How far the outermost level is from the mid at least, basis points; 0 when not fixed."""
        if self.style is not QuoteStyle.TOUCH or self.offset_divisor < 1:
            return Decimal(0)
        return BPS * self.levels / self.offset_divisor

    @property
    def most_reach_bps(self) -> Decimal:
        """How far the outermost level is from the mid at most, basis points; 0 when not bounded.

        Before rounding to the tick.
        """
        if self.style is not QuoteStyle.IMBALANCE:
            return Decimal(0)
        away = self.max_spread_bps * self.levels / 2
        return away + (BPS + away) * self.skew_factor

    def problems(self) -> tuple[str, ...]:
        """Contradictions, each a sentence naming the field and the remedy; empty when sound."""
        found = [*_out_of_range(self), *_wrong_prices(self), *_wrong_sizes(self)]
        if self.style is QuoteStyle.SPREAD:
            found.extend(_wrong_spread(self))
        if self.style is QuoteStyle.IMBALANCE:
            found.extend(_wrong_imbalance(self))
        if self.debounce_ms < 100:
            found.append(f"debounce_ms: {self.debounce_ms} is below 100; use 100 or more")
        return tuple(found)


_SIZE_FIELDS = {
    Sizing.FIXED: "level_notional",
    Sizing.PERCENTAGE: "level_percent",
    Sizing.TIERED: "level_tiers",
}
_MOST_SKEW_FACTOR = Decimal("0.1")


def _out_of_range(given: QuoteParameters) -> Iterator[str]:
    for name in ("level_notional", "inventory_cap"):
        if getattr(given, name) <= 0:
            yield f"{name}: {getattr(given, name)} is not above zero; give quote currency"
    for name, most in (("levels", 20), ("imbalance_levels", 100), ("min_book_levels", 100)):
        if not 1 <= getattr(given, name) <= most:
            yield (
                f"{name}: {getattr(given, name)} is outside 1 to {most}; choose a number between"
            )
    for name in (
        "level_spacing_bps",
        "min_spread_bps",
        "requote_tolerance_bps",
        "skew",
        "skew_factor",
        "skew_dead_band",
    ):
        if getattr(given, name) < 0:
            yield f"{name}: {getattr(given, name)} is negative; give zero or more"


def _wrong_prices(given: QuoteParameters) -> Iterator[str]:
    if given.offset_divisor <= given.levels:
        yield (
            f"offset_divisor: {given.offset_divisor} is not above levels {given.levels}; the "
            "outermost bid would be at zero, use a bigger (tighter) divisor"
        )
    if given.skew > 1:
        yield f"skew: {given.skew} moves quotes by more than the spread; use 0 to 1"
    if given.skew_factor > _MOST_SKEW_FACTOR:
        yield (
            f"skew_factor: {given.skew_factor} moves quotes by more than a tenth of the price; "
            "give a fraction, 0.002 is 20 bps"
        )
    if given.skew_dead_band >= 1:
        yield (
            f"skew_dead_band: {given.skew_dead_band} leaves no inventory that moves quotes; give "
            "a fraction of the cap below 1, or skew_factor 0"
        )


def _wrong_spread(given: QuoteParameters) -> Iterator[str]:
    if given.spread_bps is not None and given.spread_bps < given.min_spread_bps:
        yield (
            f"spread_bps: {given.spread_bps} is below min_spread_bps {given.min_spread_bps}; "
            "raise the one or lower the other"
        )


def _wrong_sizes(given: QuoteParameters) -> Iterator[str]:
    if given.level_percent <= 0:
        yield f"level_percent: {given.level_percent} is not above zero; give percent of the cap"
    if any(tier <= 0 for tier in given.level_tiers):
        yield "level_tiers: a tier is not above zero; give shares of the cap, and fewer levels"
    if given.sizing is Sizing.TIERED and len(given.level_tiers) < given.levels:
        yield (
            f"level_tiers: {len(given.level_tiers)} tiers for {given.levels} levels; give one a "
            "level, or fewer levels"
        )
    largest = max(given.level_worths, default=Decimal(0))
    if largest > given.inventory_cap:
        field = given.size_field
        worth = f"{largest}" if given.sizing is Sizing.FIXED else f"a level of {largest}"
        yield (
            f"{field}: {worth} exceeds inventory_cap {given.inventory_cap}; one fill would break "
            f"the cap, lower {field}"
        )


def _wrong_imbalance(given: QuoteParameters) -> Iterator[str]:
    if given.max_spread_bps < given.min_spread_bps:
        yield (
            f"max_spread_bps: {given.max_spread_bps} is below min_spread_bps "
            f"{given.min_spread_bps}; raise the one or lower the other"
        )
    if given.min_spread_bps == 0:
        yield "min_spread_bps: 0 puts every level of a balanced book at the mid; give more"
    if given.max_spread_bps * given.levels >= 2 * BPS:
        yield (
            f"max_spread_bps: at {given.max_spread_bps} the outermost of {given.levels} bids would "
            "be at zero or below; lower it or levels"
        )
    if given.max_book_spread_bps <= 0:
        yield (
            f"max_book_spread_bps: {given.max_book_spread_bps} is not above zero; no book is "
            "that narrow"
        )

"""After the demo: every fact read back from the venue and from Postgres, nothing taken on trust."""

from dataclasses import dataclass
from decimal import Decimal

from desk.identity import MarketId
from desk.ports import LedgerReader, Venue
from quoting.agreement import look
from workflows.messages import MarketResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One market's final facts; positions in base units. `holds` when all of them are as due."""

    result: MarketResult
    venue_open_orders: int
    venue_position: Decimal
    ledger_position: Decimal
    ledger_fills: int
    venue_fills: int
    ledger_equals_venue: bool
    difference: str

    @property
    def flattened(self) -> bool:
        """Whether this life went through a flatten."""
        return bool(self.result.flatten_steps)

    @property
    def holds(self) -> bool:
        """Nothing rests, books agree, and a flatten ended at zero."""
        return (
            self.venue_open_orders == 0
            and self.ledger_equals_venue
            and (not self.flattened or self.venue_position == 0)
        )

    def as_json(self) -> dict[str, object]:
        """The market's part of the demo's JSON."""
        result, progress = self.result, self.result.progress
        return {
            "market": result.market,
            "states": [change.model_dump(mode="json") for change in result.states],
            "flatten_steps": [step.model_dump(mode="json") for step in result.flatten_steps],
            "cycles": result.cycles,
            "fills": self.venue_fills,
            "requotes": result.requotes,
            "sessions": result.sessions,
            "latency_ms": {
                "tick_to_wire": {
                    "p50": _number(progress.tick_to_wire_p50_ms if progress else None),
                    "p99": _number(progress.tick_to_wire_p99_ms if progress else None),
                }
            },
            "final": {
                "venue_open_orders": self.venue_open_orders,
                "venue_position": str(self.venue_position),
                "ledger_position": str(self.ledger_position),
                "ledger_fills": self.ledger_fills,
                "venue_fills": self.venue_fills,
                "ledger_equals_venue": self.ledger_equals_venue,
                "difference": self.difference,
            },
        }


async def verify(
    market: MarketId, result: MarketResult, venue: Venue, ledger: LedgerReader
) -> Verdict:
    """Look at venue and ledger with fresh eyes; writes nothing."""
    instrument = next(item for item in await venue.instruments() if item.symbol == market.symbol)
    seen = await look(market, instrument, venue, ledger, life_epoch=0)
    return Verdict(
        result=result,
        venue_open_orders=seen.venue_open_orders,
        venue_position=instrument.quantity(seen.venue_position),
        ledger_position=instrument.quantity(seen.ledger_position),
        ledger_fills=seen.ledger_fills,
        venue_fills=seen.venue_fills,
        ledger_equals_venue=seen.ledger_equals_venue,
        difference=seen.difference,
    )


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)

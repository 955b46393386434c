"""In whatever order words on trades come, and however often, no trade ever moves back."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desk.arbitrage_records import HeldCapital, TradeFired, TradeStage
from infra.postgres.arbitrage import PostgresArbitrageBook
from infra.postgres.engine import Database
from tests.infra.postgres.arbitrage_samples import fired, held, looks, poorer

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

_NUMBERS = iter(range(1, 1_000_000))
_ORDER = tuple(TradeStage)


@dataclass(frozen=True, slots=True)
class Word:
    """`figure` makes two words of a kind differ."""

    kind: str
    figure: int


@dataclass(slots=True)
class Model:
    """What the record must say of one trade."""

    stage: TradeStage | None = None
    locked: Sequence[HeldCapital] = ()
    rounds: int = 0
    payout: Decimal | None = None
    edge: Decimal | None = None
    fills: int = 0
    told: TradeFired | None = None

    def hear(self, word: Word, trade: TradeFired) -> None:
        if word.kind == "opened":
            if self.stage is None:
                self.told = trade if word.figure % 2 else poorer(trade)
                self.stage, self.locked = TradeStage.FIRED, self.told.capital
        elif self.stage is not None:
            self._move(word)

    def _move(self, word: Word) -> None:
        figure = Decimal(word.figure)
        if word.kind == "progress":
            if self.stage in {TradeStage.FIRED, TradeStage.HEDGING} and word.figure > self.rounds:
                self.stage, self.rounds = TradeStage.HEDGING, word.figure
        elif word.kind == "retold":
            over = self.stage not in {TradeStage.FIRED, TradeStage.HEDGING}
            if over and word.figure >= self.fills:
                self.payout, self.edge, self.fills = figure, figure, word.figure
                if self.stage is not TradeStage.SETTLED:
                    self.locked = (held(word.figure),)
        elif self._later(stage := TradeStage(word.kind)):
            self.stage = stage
            if stage is not TradeStage.HANDED_OVER:
                self.fills = max(self.fills, word.figure)
            if stage is TradeStage.BALANCED:
                self.edge, self.locked = figure, (held(word.figure),)
            if stage is TradeStage.SETTLED:
                self.payout = self.edge = figure
                self.locked = ()

    def _later(self, stage: TradeStage) -> bool:
        return self.stage is not None and _ORDER.index(stage) > _ORDER.index(self.stage)


KINDS = ("opened", "progress", "balanced", "retold", "handed_over", "settled")
WORDS = st.lists(
    st.builds(Word, st.sampled_from(KINDS), st.integers(1, 5)), min_size=1, max_size=12
)


async def say(book: PostgresArbitrageBook, word: Word, trade: TradeFired) -> TradeStage | None:
    key, figure = trade.key, Decimal(word.figure)
    match word.kind:
        case "opened":
            return await book.opened(trade if word.figure % 2 else poorer(trade))
        case "progress":
            return await book.progress(key, word.figure, looks(key.trade, (word.figure, 0)))
        case "balanced":
            return await book.balanced(
                key,
                locked=[held(word.figure)],
                payout_expected=figure,
                edge=figure,
                by="fills",
                reason="",
                fills=word.figure,
            )
        case "retold":
            return await book.retold(
                key,
                locked=[held(word.figure)],
                payout=figure,
                edge=figure,
                fills=word.figure,
            )
        case "handed_over":
            return await book.hand_over(key, "ana", "why")
        case _:
            return await book.settled(
                key, payout=figure, edge=figure, by="payout", reason="", fills=word.figure
            )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=WORDS)
async def test_the_record_says_what_the_words_amount_to(
    database: Database, words: list[Word]
) -> None:
    book, model = PostgresArbitrageBook(database), Model()
    trade = fired(next(_NUMBERS))
    for word in words:
        before = model.stage
        model.hear(word, trade)
        assert await say(book, word, trade) is model.stage
        assert before is None or (
            model.stage is not None and _ORDER.index(model.stage) >= _ORDER.index(before)
        )
    found = [one for one in await book.recent(2_000) if one.fired.key == trade.key]
    assert bool(found) == (model.stage is not None)
    for one in found:
        assert one.fired.legs == (model.told or trade).legs
        assert (one.stage, tuple(one.locked), one.rounds) == (
            model.stage,
            tuple(model.locked),
            model.rounds,
        )
        assert (one.payout, one.edge, one.fills) == (model.payout, model.edge, model.fills)
        assert len(one.steps) == len({step.stage for step in one.steps})

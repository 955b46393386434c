"""What a leg's account tells counts until books that were read later hold it."""

from typing import Any

from desk.orders import AccountAlive, AccountSnapshot, VenuePosition
from desk.risk.limits import RiskLimits
from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.ports import LegMarket
from tests.quoting.builders import INSTRUMENT, MARKET, permit

NOT_USED: Any = None


def leg() -> LiveLeg:
    market = LegMarket(
        market=MARKET, venue=NOT_USED, instrument=INSTRUMENT, epoch=3, permit=permit()
    )
    return LiveLeg(market, RiskLimits(), NOT_USED)


def told(lots: int, at_ns: int) -> AccountSnapshot:
    position = VenuePosition(symbol=MARKET.symbol, lots=lots)
    return AccountSnapshot(position=position, fills=(), received_ns=at_ns)


def test_a_position_told_while_older_books_were_looked_through_stays_in_doubt() -> None:
    late = leg()
    late.hear_account(told(5, at_ns=20))
    late.learn(0, (), read_ns=10)
    late.hear_account(AccountAlive(received_ns=30))
    assert late.doubted
    late.learn(5, (), read_ns=40)
    assert not late.doubted


def test_books_read_later_say_what_an_earlier_word_was_worth() -> None:
    settled = leg()
    settled.hear_account(told(5, at_ns=20))
    settled.learn(0, (), read_ns=20)
    assert not settled.doubted

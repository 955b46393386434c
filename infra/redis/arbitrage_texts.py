"""Claims as the scripts keep them, and back: JSON in whole numbers that a double holds exactly.

The rule: capital is kept in millionths, asked-for amounts rounded up and caps rounded down, so that
rounding never lets more through.
"""

import json
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import groupby
from typing import Final

from desk.arbitrage_ports import (
    CapitalCap,
    Claim,
    ClaimedRequests,
    ClaimedSize,
    ClaimStage,
    StandingClaim,
)
from desk.arbitrage_records import ClaimRecord, HeldCapital, LockedTrade, TradeKey
from desk.identity import MarketId
from desk.records import kill_scopes
from desk.units import Side

_PLACES: Final = 6
_MOST: Final = 1 << 53


def claim_text(claim: Claim) -> str:
    """What a claim takes, for the scripts. ValueError when it takes nothing, or what is no size."""
    sizes = [_size(size) for size in claim.sizes]
    capital = _capital(claim.capital)
    if not sizes or not capital:
        raise ValueError(f"claim: {claim.key.text} takes no size or no capital; name both")
    return _text(claim.owner, sizes, capital)


def held_text(owner: str, capital: Iterable[HeldCapital]) -> str:
    """What a trade holds that claims no size. ValueError for an amount that is no money."""
    return _text(owner, [], _capital(capital))


def asked_text(claim: Claim) -> str:
    """What else a claim is looked at for: scopes of kills, and requests by bucket."""
    scopes = dict.fromkeys(scope for size in claim.sizes for scope in kill_scopes(size.market))
    return json.dumps({"scopes": list(scopes), "requests": _requests(claim.requests)})


def record_text(record: ClaimRecord, caps: Sequence[CapitalCap]) -> str:
    """The durable record and the caps, for re-arming."""
    return json.dumps(
        {
            "caps": [[f"{cap.scope} {_quote(cap.quote)}", _down(cap.amount)] for cap in caps],
            "fences": list(record.epochs),
            "trades": [_locked(trade) for trade in record.trades],
        }
    )


def key_words(key: TradeKey) -> tuple[str, int, int]:
    """Set, epoch and number. ValueError for what no trade is known by."""
    if not key.set_name.strip() or not 0 < key.epoch < _MOST or not 0 < key.trade < _MOST:
        raise ValueError(f"key: {key.text} is no trade; epochs and numbers begin at 1")
    return key.set_name, key.epoch, key.trade


def key_of(text: str) -> TradeKey:
    """Read `EPOCH NUMBER SET` back."""
    epoch, number, name = text.split(" ", 2)
    return TradeKey(name, int(epoch), int(number))


def standing(key: str, text: str, stage: str, left_ms: int) -> StandingClaim:
    """Read one claim back."""
    said = json.loads(text)
    return StandingClaim(
        key=key_of(key),
        owner=said["owner"],
        stage=ClaimStage(stage),
        left_ms=left_ms,
        sizes=tuple(
            ClaimedSize(market=MarketId.parse(path), side=Side(side), shown=shown, lots=lots)
            for _, lots, shown, path, side in said["sizes"]
        ),
        capital=tuple(
            HeldCapital(
                venue=place.partition("/")[0],
                account=place.partition("/")[2],
                quote=quote,
                amount=money(millionths),
            )
            for place, quote, millionths in said["capital"]
        ),
    )


def money(millionths: int | str) -> Decimal:
    """Quote currency of so many millionths, without idle zeros."""
    amount = Decimal(millionths).scaleb(-_PLACES)
    return (
        amount.to_integral_value() if amount == amount.to_integral_value() else amount.normalize()
    )


def _text(owner: str, sizes: Sequence[object], capital: Sequence[object]) -> str:
    return json.dumps({"owner": owner, "sizes": sizes, "capital": capital})


def _size(size: ClaimedSize) -> tuple[str, int, int, str, str]:
    if not 0 < size.lots < _MOST or not 0 <= size.shown < _MOST:
        raise ValueError(f"size: {size.lots} of {size.shown} lots of {size.market.path} is no size")
    field = f"{size.market.venue}/{size.market.symbol} {size.side.value}"
    return field, size.lots, size.shown, size.market.path, size.side.value


def _capital(capital: Iterable[HeldCapital]) -> list[tuple[str, str, int]]:
    placed = sorted(
        (f"{one.venue}/{one.account}", _quote(one.quote), one.amount) for one in capital
    )
    merged = []
    for (place, quote), some in groupby(placed, key=lambda one: one[:2]):
        amount = sum((one[2] for one in some), start=Decimal(0))
        if not 0 <= amount < _MOST:
            raise ValueError(f"capital: {amount} {quote} of {place} is no amount of money")
        millionths = _whole(amount, ROUND_CEILING)
        if millionths:
            merged.append((place, quote, millionths))
    return merged


def _requests(requests: Iterable[ClaimedRequests]) -> list[tuple[str, int]]:
    wanted: dict[str, int] = {}
    for one in requests:
        if not 0 <= one.count < _MOST:
            raise ValueError(f"requests: {one.count} of {one.bucket} is no number of requests")
        wanted[one.bucket] = wanted.get(one.bucket, 0) + one.count
    return [(bucket, count) for bucket, count in wanted.items() if count]


def _locked(trade: LockedTrade) -> tuple[str, int, int, bool, str]:
    return *key_words(trade.key), trade.under_way, held_text(trade.owner, trade.capital)


def _quote(quote: str) -> str:
    if not quote or " " in quote:
        raise ValueError(f"quote: '{quote}' is no currency; give its code")
    return quote


def _down(amount: Decimal) -> int:
    if not 0 <= amount < _MOST:
        raise ValueError(f"cap: {amount} is no amount of money; give zero or more")
    return _whole(amount, ROUND_FLOOR)


def _whole(amount: Decimal, rounding: str) -> int:
    millionths = int(amount.scaleb(_PLACES).to_integral_value(rounding))
    if millionths >= _MOST:
        raise ValueError(f"amount: {amount} is too large to be counted in millionths")
    return millionths

"""Writes and reads whole arbitrage trades; writing one twice changes nothing.

The rule: the first word on a trade stands, with all its legs and capital, so that one that comes
late from a spool cannot lock capital again that was paid out meanwhile. Nor can the same orders be
recorded twice in an epoch: somebody who found their fills may have recorded them under a number of
his own.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.arbitrage_records import (
    ArbitrageTrade,
    FiredLeg,
    HeldCapital,
    LegProgress,
    TradeFired,
    TradeKey,
    TradeStage,
    TradeStep,
)
from desk.identity import MarketId
from desk.units import Side
from infra.postgres.rows import Columns, columns, printable
from infra.postgres.times import to_ms, to_time

_KEY: Final = "set_name, epoch, trade"
_KEYS: Final = ("set_name", "epoch", "trade")

_FIRED: Final = text(f"""
WITH new AS (
    INSERT INTO arbitrage_trades (
        {_KEY}, quote, units, edge_expected, payout_expected, fired_by, fired_at
    )
    SELECT * FROM unnest(
        CAST(:set_name AS text[]), CAST(:epoch AS bigint[]), CAST(:trade AS bigint[]),
        CAST(:quote AS text[]), CAST(:units AS numeric[]), CAST(:edge_expected AS numeric[]),
        CAST(:payout_expected AS numeric[]), CAST(:fired_by AS text[]),
        CAST(:fired_at AS timestamptz[])
    ) AS t({_KEY})
    WHERE NOT EXISTS (
        SELECT FROM unnest(
            CAST(:leg_set_name AS text[]), CAST(:leg_epoch AS bigint[]),
            CAST(:leg_trade AS bigint[]), CAST(:leg_client_order_id AS text[])
        ) AS g({_KEY}, client_order_id)
        JOIN arbitrage_legs l USING (set_name, epoch, client_order_id)
        WHERE l.trade <> g.trade
            AND (g.set_name, g.epoch, g.trade) = (t.set_name, t.epoch, t.trade)
    )
    ORDER BY 1, 2, 3
    ON CONFLICT ({_KEY}) DO NOTHING
    RETURNING {_KEY}, fired_by, fired_at
), legs AS (
    INSERT INTO arbitrage_legs (
        {_KEY}, client_order_id, place, venue, account, symbol, side, lots, limit_ticks
    )
    SELECT {_KEY}, client_order_id, place, venue, account, symbol, side, lots, limit_ticks
    FROM unnest(
        CAST(:leg_set_name AS text[]), CAST(:leg_epoch AS bigint[]), CAST(:leg_trade AS bigint[]),
        CAST(:leg_client_order_id AS text[]), CAST(:leg_place AS bigint[]),
        CAST(:leg_venue AS text[]), CAST(:leg_account AS text[]), CAST(:leg_symbol AS text[]),
        CAST(:leg_side AS text[]), CAST(:leg_lots AS bigint[]), CAST(:leg_limit_ticks AS bigint[])
    ) AS l(
        {_KEY}, client_order_id, place, venue, account, symbol, side, lots, limit_ticks
    )
    JOIN new USING ({_KEY})
), capital AS (
    INSERT INTO arbitrage_capital ({_KEY}, venue, account, quote, claimed, locked)
    SELECT {_KEY}, venue, account, quote, sum(amount), sum(amount)
    FROM unnest(
        CAST(:held_set_name AS text[]), CAST(:held_epoch AS bigint[]),
        CAST(:held_trade AS bigint[]), CAST(:held_venue AS text[]), CAST(:held_account AS text[]),
        CAST(:held_quote AS text[]), CAST(:held_amount AS numeric[])
    ) AS c({_KEY}, venue, account, quote, amount)
    JOIN new USING ({_KEY})
    GROUP BY {_KEY}, venue, account, quote
)
INSERT INTO arbitrage_steps ({_KEY}, stage, decided_by, at)
SELECT {_KEY}, 'fired', fired_by, fired_at FROM new
""")  # noqa: S608 - constants of ours

_LEGS: Final = text(f"""
SELECT l.* FROM arbitrage_legs l
JOIN unnest(
    CAST(:set_name AS text[]), CAST(:epoch AS bigint[]), CAST(:trade AS bigint[])
) AS k({_KEY}) USING ({_KEY})
ORDER BY place
""")  # noqa: S608

_CAPITAL: Final = text(f"""
SELECT c.* FROM arbitrage_capital c
JOIN unnest(
    CAST(:set_name AS text[]), CAST(:epoch AS bigint[]), CAST(:trade AS bigint[])
) AS k({_KEY}) USING ({_KEY})
ORDER BY venue, account, quote
""")  # noqa: S608

_STEPS: Final = text(f"""
SELECT s.* FROM arbitrage_steps s
JOIN unnest(
    CAST(:set_name AS text[]), CAST(:epoch AS bigint[]), CAST(:trade AS bigint[])
) AS k({_KEY}) USING ({_KEY})
ORDER BY array_position(CAST(:order AS text[]), stage)
""")  # noqa: S608

STAGES: Final = [stage.value for stage in TradeStage]
"""In the order in which a trade goes through them."""


async def write_trades(connection: AsyncConnection, fired: Iterable[TradeFired]) -> None:
    """Record trades that are not on record yet, each with its legs and capital."""
    trades = list({one.key: one for one in reversed(list(fired))}.values())
    if trades:
        await connection.execute(_FIRED, fired_columns(trades))


def fired_columns(trades: Sequence[TradeFired]) -> Columns:
    """Parameters of the bulk statement: arrays of trades, of their legs and of their capital."""
    given = columns(
        (*_KEYS, "quote", "units", "edge_expected", "payout_expected", "fired_by", "fired_at"),
        (
            (
                *key_words(one.key),
                *(one.quote, one.units, one.edge_expected, one.payout_expected),
                *(printable(one.by), to_time(one.fired_at_ms)),
            )
            for one in trades
        ),
    )
    leg_names = (
        *(*_KEYS, "client_order_id", "place", "venue", "account", "symbol"),
        *("side", "lots", "limit_ticks"),
    )
    legs = (
        (
            *(*key_words(one.key), leg.client_order_id, place),
            *(leg.market.venue, leg.market.account, leg.market.symbol),
            *(leg.side.value, leg.lots, leg.limit),
        )
        for one in trades
        for place, leg in enumerate(one.legs)
    )
    held_names = (*_KEYS, "venue", "account", "quote", "amount")
    held = (
        (*key_words(one.key), part.venue, part.account, part.quote, part.amount)
        for one in trades
        for part in one.capital
    )
    return given | _named("leg", leg_names, legs) | _named("held", held_names, held)


async def read_trades(connection: AsyncConnection, rows: Sequence[Any]) -> list[ArbitrageTrade]:
    """Trades of rows of `arbitrage_trades`, in their order."""
    if not rows:
        return []
    keys = dict(zip(_KEYS, map(list, zip(*map(_key, rows), strict=True)), strict=True))
    legs = await _by_trade(connection, _LEGS, keys)
    capital = await _by_trade(connection, _CAPITAL, keys)
    steps = await _by_trade(connection, _STEPS, {**keys, "order": STAGES})
    return [
        _trade(row, legs.get(key, []), capital.get(key, []), steps.get(key, []))
        for row in rows
        for key in (_key(row),)
    ]


def key_words(key: TradeKey) -> tuple[str, int, int]:
    """Columns that name a trade."""
    return key.set_name, key.epoch, key.trade


def _named(prefix: str, names: Sequence[str], rows: Iterable[Sequence[object]]) -> Columns:
    told = columns(names, rows)
    return {f"{prefix}_{name}": told.get(name, []) for name in names}


async def _by_trade(
    connection: AsyncConnection, statement: TextClause, given: dict[str, Any]
) -> dict[tuple[str, int, int], list[Any]]:
    found: dict[tuple[str, int, int], list[Any]] = {}
    for row in await connection.execute(statement, given):
        found.setdefault(_key(row), []).append(row)
    return found


def _key(row: Any) -> tuple[str, int, int]:
    return row.set_name, row.epoch, row.trade


def _trade(
    row: Any, legs: Sequence[Any], capital: Sequence[Any], steps: Sequence[Any]
) -> ArbitrageTrade:
    fired = TradeFired(
        key=TradeKey(*_key(row)),
        quote=row.quote,
        units=row.units,
        legs=tuple(map(_leg, legs)),
        capital=tuple(_held(one, one.claimed) for one in capital if one.claimed),
        edge_expected=row.edge_expected,
        payout_expected=row.payout_expected,
        by=row.fired_by,
        fired_at_ms=to_ms(row.fired_at),
    )
    return ArbitrageTrade(
        fired=fired,
        stage=TradeStage(row.stage),
        rounds=row.rounds,
        progress=tuple(
            LegProgress(client_order_id=leg.client_order_id, filled=leg.filled, owed=leg.owed)
            for leg in legs
            if leg.filled is not None
        ),
        locked=tuple(_held(one, one.locked) for one in capital if one.locked),
        payout=row.payout,
        edge=row.edge,
        steps=tuple(map(_step, steps)),
        fills=row.fills,
    )


def _leg(row: Any) -> FiredLeg:
    return FiredLeg(
        market=MarketId(row.venue, row.account, row.symbol),
        side=Side(row.side),
        lots=row.lots,
        limit=row.limit_ticks,
        client_order_id=row.client_order_id,
    )


def _held(row: Any, amount: Any) -> HeldCapital:
    return HeldCapital(venue=row.venue, account=row.account, quote=row.quote, amount=amount)


def _step(row: Any) -> TradeStep:
    return TradeStep(
        stage=TradeStage(row.stage), by=row.decided_by, reason=row.reason, at_ms=to_ms(row.at)
    )

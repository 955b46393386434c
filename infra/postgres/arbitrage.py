"""Arbitrage sets and trades in PostgreSQL: epochs given once, stages that only move forward.

The rule: a stage moves in the transaction that changes what is locked and notes who decided; a word
that comes late, or again, changes nothing, and is answered with the stage on record.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.arbitrage_records import (
    ArbitrageTrade,
    ClaimRecord,
    HeldCapital,
    LegProgress,
    LockedTrade,
    SetEpoch,
    SetLeg,
    SetTotals,
    TradeFired,
    TradeKey,
    TradeStage,
)
from desk.identity import MarketId
from desk.units import Side
from infra.postgres import arbitrage_sql as sql
from infra.postgres.arbitrage_trades import STAGES, key_words, read_trades, write_trades
from infra.postgres.engine import Database
from infra.postgres.rows import columns, printable
from infra.postgres.times import to_ms, to_time

_FILLS: Final = "fills"
_KEYS: Final = ("set_name", "epoch", "trade")

Given = dict[str, object]


class PostgresArbitrageBook:
    """The ArbitrageBook over PostgreSQL. Everything raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_set(
        self, name: str, kind: str, legs: Sequence[SetLeg], owner: str, run_id: str, *, beyond: int
    ) -> int:
        """Next epoch of a set, above `beyond`; concurrent callers get different ones."""
        said = [
            {"market": leg.market.path, "side": leg.side.value, "epoch": leg.epoch} for leg in legs
        ]
        given = {"set_name": name, "kind": kind, "legs": json.dumps(said)}
        given |= {"owner": owner, "run_id": run_id}

        async def work(connection: AsyncConnection) -> int:
            await connection.execute(sql.ONE_AT_A_TIME, {"name": f"arbitrage:{name}"})
            found = await connection.execute(sql.OPEN_SET, {**given, "beyond": beyond})
            return int(found.scalar_one())

        return await self._database.transaction(work)

    async def earlier(
        self, name: str, *, below: int, since_ms: int, also: Sequence[int] = ()
    ) -> Sequence[SetEpoch]:
        """Epochs of a set below one, oldest first: recent ones, and those named."""
        given = {"set_name": name, "below": below, "since": to_time(since_ms), "also": list(also)}
        return tuple(_epoch(row) for row in await self._rows(sql.EARLIER, given))

    async def opened(self, fired: TradeFired) -> TradeStage:
        """Record a trade unless it is on record, by its key or by its orders; the stage there."""

        async def work(connection: AsyncConnection) -> TradeStage:
            await write_trades(connection, [fired])
            found = await connection.execute(sql.STAGE, _place(fired.key))
            if stage := found.scalar_one_or_none():
                return TradeStage(stage)
            ids = [leg.client_order_id for leg in fired.legs]
            found = await connection.execute(sql.STAGE_BY_IDS, {**_place(fired.key), "ids": ids})
            return TradeStage(found.scalar_one())

        return await self._database.transaction(work)

    async def progress(
        self, key: TradeKey, number: int, legs: Sequence[LegProgress]
    ) -> TradeStage | None:
        """Note look `number` at what is owed, while the trade is under way and none was later."""
        names = ("client_order_id", "filled", "owed")
        looks = columns(names, ((one.client_order_id, one.filled, one.owed) for one in legs))

        async def note(connection: AsyncConnection, given: Given) -> None:
            if looks:
                await connection.execute(sql.LEGS, {**_place(key), **looks})
            await connection.execute(sql.STEP, given)

        given = {"stage": TradeStage.HEDGING.value, "by": _FILLS, "reason": "", "number": number}
        return await self._moved(key, sql.PROGRESS, given, note)

    async def balanced(
        self,
        key: TradeKey,
        *,
        locked: Sequence[HeldCapital],
        payout_expected: Decimal,
        edge: Decimal,
        by: str,
        reason: str,
        fills: int = 0,
    ) -> TradeStage | None:
        """No leg is over any more; exactly `locked` waits for the payout."""
        given = _step(TradeStage.BALANCED, by, reason)
        given |= {"payout_expected": payout_expected, "payout": None, "edge": edge}
        return await self._stepped(key, given | {"fills": fills}, locked)

    async def retold(
        self,
        key: TradeKey,
        *,
        locked: Sequence[HeldCapital],
        payout: Decimal,
        edge: Decimal,
        fills: int,
    ) -> TradeStage | None:
        """What it came to by as many booked fills; exactly `locked`, unless it is settled."""

        async def work(connection: AsyncConnection) -> TradeStage | None:
            given = {**_place(key), "payout": payout, "edge": edge, "fills": fills}
            stage = (await connection.execute(sql.RETOLD, given)).scalar_one_or_none()
            if stage is not None and stage != TradeStage.SETTLED:
                await _lock(connection, key, locked)
            found = await connection.execute(sql.STAGE, _place(key))
            stage = found.scalar_one_or_none()
            return None if stage is None else TradeStage(stage)

        return await self._database.transaction(work)

    async def hand_over(self, key: TradeKey, by: str, reason: str) -> TradeStage | None:
        """A person takes it over, with all that is locked. ValueError without a name.

        One that settled stays so, and it is noted: what becomes owed of it late is the person's.
        """
        if not by.strip() or by == _FILLS:
            raise ValueError(f"by: '{by}' is not a person's name")
        given = _step(TradeStage.HANDED_OVER, by, reason)
        noted = {**_place(key), **given}
        given |= {"payout_expected": None, "payout": None, "edge": None, "fills": 0}
        stage = await self._stepped(key, given, None)
        if stage is TradeStage.SETTLED:
            await self._database.transaction(lambda connection: connection.execute(sql.STEP, noted))
        return stage

    async def settled(
        self,
        key: TradeKey,
        *,
        payout: Decimal,
        edge: Decimal,
        by: str,
        reason: str,
        fills: int = 0,
    ) -> TradeStage | None:
        """It is over, nothing is locked. ValueError when nobody is named."""
        if not by.strip():
            raise ValueError("by: nobody is named; say what settled the trade, or who")
        given = _step(TradeStage.SETTLED, by, reason)
        given |= {"payout_expected": None, "payout": payout, "edge": edge}
        return await self._stepped(key, given | {"fills": fills}, ())

    async def open_for(self, set_name: str) -> Sequence[ArbitrageTrade]:
        """Trades of a set that are under way, oldest first."""
        return await self._trades(sql.OPEN_FOR, {"set_name": set_name})

    async def unsettled(self, set_name: str) -> Sequence[ArbitrageTrade]:
        """Trades of a set that did not settle, oldest first."""
        return await self._trades(sql.UNSETTLED, {"set_name": set_name})

    async def page(
        self, set_name: str, after: TradeKey | None, limit: int
    ) -> Sequence[ArbitrageTrade]:
        """Trades of a set in the order of their keys, those after one of them."""
        first = TradeKey(set_name, 0, 0) if after is None else after
        return await self._trades(sql.PAGE, {**_place(first), "limit": limit})

    async def totals(self, set_name: str) -> SetTotals:
        """What the trades of a set have locked and were paid."""
        (row,) = await self._rows(sql.TOTALS, {"set_name": set_name})
        return SetTotals(locked=row.locked, payout=row.payout)

    async def locked(self) -> Sequence[HeldCapital]:
        """Capital of all trades that did not settle, by venue, account and quote currency."""
        rows = await self._rows(sql.LOCKED, {})
        return tuple(_held(row) for row in rows)

    async def standing(self) -> ClaimRecord:
        """What claims are re-armed from: trades that hold capital or settled within the hour."""
        rows = await self._rows(sql.STANDING, {})
        found: dict[TradeKey, LockedTrade] = {}
        for row in rows:
            key = TradeKey(row.set_name, row.epoch, row.trade)
            held = () if row.venue is None else (_held(row),)
            known = found.get(key) or LockedTrade(
                key=key, owner=row.fired_by, under_way=row.under_way, capital=()
            )
            found[key] = replace(known, capital=known.capital + held)
        epochs = await self._rows(sql.EPOCHS, {})
        return ClaimRecord(
            trades=tuple(found.values()),
            epochs=tuple((row.set_name, row.epoch) for row in epochs),
        )

    async def recent(self, limit: int, set_name: str | None = None) -> Sequence[ArbitrageTrade]:
        """Trades of one set by their keys, or of all by their time, newest first."""
        if set_name is None:
            return await self._trades(sql.RECENT, {"limit": limit})
        return await self._trades(sql.RECENT_OF, {"limit": limit, "set_name": set_name})

    async def _stepped(
        self, key: TradeKey, given: Given, locked: Sequence[HeldCapital] | None
    ) -> TradeStage | None:
        """Move to a later stage; None for `locked` leaves it as it is."""

        async def note(connection: AsyncConnection, told: Given) -> None:
            if locked is not None:
                await _lock(connection, key, locked)
            await connection.execute(sql.STEP, told)

        return await self._moved(key, sql.MOVE, {**given, "order": STAGES}, note)

    async def _moved(
        self,
        key: TradeKey,
        statement: TextClause,
        given: Given,
        note: Callable[[AsyncConnection, Given], Any],
    ) -> TradeStage | None:
        told = {**_place(key), **given}

        async def work(connection: AsyncConnection) -> TradeStage | None:
            if (await connection.execute(statement, told)).first() is not None:
                await note(connection, told)
            stage = (await connection.execute(sql.STAGE, _place(key))).scalar_one_or_none()
            return None if stage is None else TradeStage(stage)

        return await self._database.transaction(work)

    async def _trades(
        self, statement: TextClause, given: Mapping[str, object]
    ) -> Sequence[ArbitrageTrade]:
        async def read(connection: AsyncConnection) -> Sequence[ArbitrageTrade]:
            rows = (await connection.execute(statement, given)).fetchall()
            return tuple(await read_trades(connection, rows))

        return await self._database.transaction(read)

    async def _rows(self, statement: TextClause, given: Mapping[str, object]) -> Sequence[Any]:
        async def read(connection: AsyncConnection) -> Sequence[Any]:
            return (await connection.execute(statement, given)).fetchall()

        return await self._database.transaction(read)


async def _lock(connection: AsyncConnection, key: TradeKey, locked: Sequence[HeldCapital]) -> None:
    """Make exactly this capital the trade's."""
    await connection.execute(sql.UNLOCK, _place(key))
    held = columns(
        ("venue", "account", "quote", "amount"),
        ((one.venue, one.account, one.quote, one.amount) for one in locked),
    )
    if held:
        await connection.execute(sql.LOCK, {**_place(key), **held})


def _place(key: TradeKey) -> Given:
    return dict(zip(_KEYS, key_words(key), strict=True))


def _step(stage: TradeStage, by: str, reason: str) -> Given:
    return {"stage": stage.value, "by": printable(by), "reason": printable(reason)}


def _held(row: Any) -> HeldCapital:
    return HeldCapital(venue=row.venue, account=row.account, quote=row.quote, amount=row.locked)


def _epoch(row: Any) -> SetEpoch:
    return SetEpoch(
        epoch=row.epoch,
        owner=row.owner,
        opened_at_ms=to_ms(row.opened_at),
        legs=tuple(
            SetLeg(market=MarketId.parse(one["market"]), side=Side(one["side"]), epoch=one["epoch"])
            for one in json.loads(row.legs)
        ),
    )

"""Ladders: `quotes/bulk` and the two-sided `quotes`, replaced as one step.

A malformed ladder touches nothing; what a refused one does to the old ladder is a setting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from desk.instrument import Instrument
from desk.orders import RejectReason
from venues.ocx.simulator import shapes
from venues.ocx.simulator.answers import Answer, ApiError, ErrorWriter, invalid
from venues.ocx.simulator.bodies import Fields, read_order
from venues.ocx.simulator.calls import Call, Route
from venues.ocx.simulator.credentials import Access
from venues.ocx.simulator.orders import injected, rejection
from venues.ocx.simulator.world import World
from venues.simulation.faults import FaultKind
from venues.simulation.orders import (
    CancelScope,
    OnReject,
    OrderReport,
    OrderRequest,
    OrderSource,
    RejectMode,
    ReplaceReport,
)

_WHOLE = (FaultKind.MARGIN_REJECT, FaultKind.POST_ONLY_REJECT, FaultKind.DUPLICATE_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ladder:
    symbol: str
    quote_id: str | None
    replaces: bool
    entries: tuple[OrderRequest | ApiError, ...]
    names: tuple[str | None, ...]


def bulk(world: World, call: Call) -> Answer:
    """`POST /perps/quotes/bulk`: one market's ladder."""
    rules = world.settings.bulk
    raw = call.body.get(rules.levels_key)
    if not isinstance(raw, list):
        raise invalid(f"{rules.levels_key} must be an array")
    if len(raw) > rules.max_levels:
        raise invalid(f"at most {rules.max_levels} levels in one call")
    replaces = call.fields.flag("cancelAll")
    if not raw and not (replaces and rules.empty_ladder_allowed):
        raise invalid(f"{rules.levels_key} must not be empty")
    return _show(world, call, raw, replaces=replaces)


def two_sided(world: World, call: Call) -> Answer:
    """`POST /perps/quotes`: exactly one `bid` and one `ask`."""
    sides = []
    for name, side in (("bid", "buy"), ("ask", "sell")):
        entry = call.body.get(name)
        if not isinstance(entry, dict):
            raise invalid(f"{name} must be an object with price and quantity")
        sides.append({**entry, "side": side})
    return _show(world, call, sides, replaces=call.fields.flag("cancelAll", default=True))


def _show(world: World, call: Call, raw: Sequence[Any], *, replaces: bool) -> Answer:
    ladder = _read(world, call, raw, replaces=replaces)
    _race(world, call, ladder)
    ladder = _spoil(world, call, ladder)
    refused = [entry for entry in ladder.entries if isinstance(entry, ApiError)]
    if refused and world.settings.bulk.reject_mode is RejectMode.BATCH:
        _refuse(world, call, ladder, refused[0])
    requests = [entry for entry in ladder.entries if isinstance(entry, OrderRequest)]
    for request in requests:
        world.arrive(call.site, call.account, request)
    report = world.engine.replace(
        call.account,
        ladder.symbol,
        requests,
        tag=ladder.quote_id,
        keep=not ladder.replaces,
        cancel_scope=world.settings.bulk.cancel_scope,
        reject_mode=world.settings.bulk.reject_mode,
        on_reject=world.settings.bulk.old_ladder_on_reject,
    )
    if not report.accepted:
        raise _first_reason(report)
    return Answer(body=_body(world, ladder, report))


def _read(world: World, call: Call, raw: Sequence[Any], *, replaces: bool) -> _Ladder:
    symbol = call.fields.needed("marketId")
    world.instrument(symbol)
    quote_id = call.fields.text("quoteId")
    entries: list[OrderRequest | ApiError] = []
    for item in raw:
        if not isinstance(item, dict):
            raise invalid("every level must be an object")
        entries.append(_entry(world, Fields(item), symbol, quote_id))
    names = tuple(item.get("clientOrderId") for item in raw)
    return _Ladder(
        symbol=symbol,
        quote_id=quote_id,
        replaces=replaces,
        entries=tuple(entries),
        names=names,
    )


def _entry(
    world: World, fields: Fields, symbol: str, quote_id: str | None
) -> OrderRequest | ApiError:
    if "type" in fields.raw:
        raise invalid("levels are limit orders and have no type")
    try:
        return read_order(world, fields, symbol=symbol, source=OrderSource.QUOTE, tag=quote_id)
    except ApiError as refusal:
        if refusal.code == "INVALID_REQUEST":
            raise
        return refusal


def _race(world: World, call: Call, ladder: _Ladder) -> None:
    if not ladder.replaces:
        return
    old = world.engine.open_orders(call.account, ladder.symbol)
    fault = world.faults.take(call.site, FaultKind.FILL_RACING_REPLACE) if old else None
    if fault is not None:
        world.race(call.account, old, fault)


def _spoil(world: World, call: Call, ladder: _Ladder) -> _Ladder:
    fault = world.faults.take(call.site, *_WHOLE)
    if fault is None:
        return ladder
    error = injected(fault)
    if fault.level is None:
        _refuse(world, call, ladder, error)
    entries = tuple(
        error if position == fault.level else entry for position, entry in enumerate(ladder.entries)
    )
    return _Ladder(
        symbol=ladder.symbol,
        quote_id=ladder.quote_id,
        replaces=ladder.replaces,
        entries=entries,
        names=ladder.names,
    )


def _refuse(world: World, call: Call, ladder: _Ladder, error: ApiError) -> None:
    rules = world.settings.bulk
    if ladder.replaces and rules.old_ladder_on_reject is OnReject.CANCEL_OLD:
        world.engine.replace(
            call.account, ladder.symbol, (), cancel_scope=CancelScope(rules.cancel_scope)
        )
    raise error


def _first_reason(report: ReplaceReport) -> ApiError:
    guilty = [
        one for one in report.reports if one.reason not in {None, RejectReason.OTHER}
    ] or report.reports
    return rejection(guilty[0]).error()


def _body(world: World, ladder: _Ladder, report: ReplaceReport) -> dict[str, Any]:
    instrument = world.instrument(ladder.symbol)
    writer = ErrorWriter(world.settings)
    answers = iter(report.reports)
    orders = [
        _rejected(writer, name, entry)
        if isinstance(entry, ApiError)
        else _placed(writer, instrument, next(answers))
        for name, entry in zip(ladder.names, ladder.entries, strict=True)
    ]
    return {
        "quoteId": ladder.quote_id,
        "cancelled": len(report.cancelled),
        "orders": orders,
    }


def _placed(writer: ErrorWriter, instrument: Instrument, report: OrderReport) -> dict[str, Any]:
    if not report.accepted:
        return _rejected(writer, report.client_order_id, rejection(report).error())
    shown = shapes.report(instrument, report)
    return {
        "clientOrderId": shown["clientOrderId"],
        "orderId": shown["orderId"],
        "status": shown["status"],
        "filledQuantity": shown["filledQuantity"],
        "error": None,
        "message": None,
    }


def _rejected(writer: ErrorWriter, name: str | None, error: ApiError) -> dict[str, Any]:
    return {
        "clientOrderId": name,
        "orderId": None,
        "status": "rejected",
        "filledQuantity": "0",
        "error": writer.code(error.code),
        "message": error.message,
    }


ROUTES = (
    Route(
        method="POST",
        path="/perps/quotes/bulk",
        handler=bulk,
        access=Access.QUOTE,
        limited=True,
    ),
    Route(
        method="POST",
        path="/perps/quotes",
        handler=two_sided,
        access=Access.QUOTE,
        limited=True,
    ),
)

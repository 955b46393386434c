"""`flotilla why`: what took an order away, from the record alone, when its journal is long gone."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import click

from desk.identity import OrderIdentity
from desk.trace_ports import REPLACES_ALL, DecisionSample
from flotilla.cli.kill import json_option
from flotilla.cli.render import emit_json, talk
from flotilla.wiring import open_samples
from infra.postgres.samples import LATE, OrderRecord
from infra.settings import load_settings

_TAKES_ALL: Final = frozenset({"pull", "leave"})
_SHOWN: Final = 20
_MOST_BITS: Final = 63
_EXAMPLE: Final = "f1abc2de-1-2f-b0"
_FILLED: Final = "filled"


@click.command()
@click.argument("client_order_id")
@json_option
def why(client_order_id: str, *, as_json: bool) -> int:
    """Tell what took the order CLIENT_ORDER_ID away, and why, from the record in PostgreSQL.

    Everything that takes quotes away is on record with its reason; of requotes, the next order in
    the same place. While the session's journal is there, 'flotilla replay --explain' tells more.

    Exit code 1 when the order is not on record, 2 when the id is none of ours. 'flotilla ledger
    orders' has the ids.
    """
    identity = OrderIdentity.decode(client_order_id)
    if identity is None or identity.epoch.bit_length() > _MOST_BITS:
        raise click.BadParameter(
            f"'{client_order_id}' is not an id of ours; they look like {_EXAMPLE}",
            param_hint="CLIENT_ORDER_ID",
        )
    record = asyncio.run(_read(client_order_id))
    if record is None:
        talk(f"{client_order_id} is not on record")
        return 1
    decisions = taken_by(record)
    if as_json:
        emit_json(_as_json(record, decisions))
    else:
        _say(record, decisions)
    return 0


async def _read(client_order_id: str) -> OrderRecord | None:
    async with open_samples(load_settings()) as samples:
        return await samples.order(client_order_id)


def _say(record: OrderRecord, decisions: list[DecisionSample]) -> None:
    talk(f"{record.market.path}, epoch {record.epoch}, run {record.run_id}")
    size = f"{record.side} {record.quantity} @ {record.price}"
    talk(f"{_moment(record.sent_at)}  sent in {record.batch_id}: {size}")
    if record.outcome:
        talk(f"  {record.outcome}{': ' if record.message else ''}{record.message}")
    for fill in record.fills:
        talk(f"  filled {fill}")
    for one in decisions[:_SHOWN]:
        talk(f"{_moment_ms(one.at_ms)}  {one.kind}, step {one.step}: {one.reason}")
    if record.next_order is not None:
        talk(f"{_moment(record.next_order.sent_at)}  {_replaced(record)}")
    if record.ended_at is not None:
        talk(f"{_moment(record.ended_at)}  ended: {record.ending}")
    talk(f"{record.client_order_id}: {cause(record, decisions)}")


def cause(record: OrderRecord, decisions: list[DecisionSample]) -> str:
    """What took the order away, in one sentence."""
    later = record.next_order
    taken = next(iter(decisions), None)
    if record.outcome in {"rejected", "denied"}:
        return f"it never rested: {record.outcome} {record.message}".rstrip()
    if record.ending == _FILLED:
        return "it was filled"
    before = later is None or taken is None or taken.at_ms <= later.sent_at.timestamp() * 1_000
    if taken is not None and before:
        return f"{taken.kind}: {taken.reason}"
    if later is not None:
        return _replaced(record)
    if record.fills:
        return "it was filled, and nothing on record took it away"
    return f"ended: {record.ending}" if record.ending else "nothing on record took it away"


def taken_by(record: OrderRecord) -> list[DecisionSample]:
    """Decisions that took it away while it rested: they name it, or took everything."""
    return [one for one in record.samples if _rested(one, record) and _takes(one, record)]


def _rested(sample: DecisionSample, record: OrderRecord) -> bool:
    ended = record.ended_at
    return ended is None or sample.at_ms <= (ended + LATE).timestamp() * 1_000


def _takes(sample: DecisionSample, record: OrderRecord) -> bool:
    if sample.kind in _TAKES_ALL or record.client_order_id in sample.reason:
        return True
    own = sample.reason.startswith(f"{record.batch_id}:")
    return sample.kind == "send" and REPLACES_ALL in sample.reason and not own


def _replaced(record: OrderRecord) -> str:
    later = record.next_order
    assert later is not None  # noqa: S101 - asked before
    return (
        f"requoted in {later.batch_id} by {later.client_order_id}: {later.quantity} @ "
        f"{later.price} in place of {record.quantity} @ {record.price}"
    )


def _as_json(record: OrderRecord, decisions: list[DecisionSample]) -> dict[str, object]:
    later = record.next_order
    return {
        "client_order_id": record.client_order_id,
        "market": record.market.path,
        "epoch": record.epoch,
        "run_id": record.run_id,
        "batch_id": record.batch_id,
        "side": record.side,
        "price": record.price,
        "quantity": record.quantity,
        "sent_at": record.sent_at.isoformat(),
        "outcome": record.outcome,
        "message": record.message,
        "ended_at": None if record.ended_at is None else record.ended_at.isoformat(),
        "ending": record.ending,
        "fills": list(record.fills),
        "cause": cause(record, decisions),
        "next_order": None
        if later is None
        else {"client_order_id": later.client_order_id, "sent_at": later.sent_at.isoformat()},
        "decisions": [
            {"at_ms": one.at_ms, "step": one.step, "kind": one.kind, "reason": one.reason}
            for one in decisions
        ],
    }


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def _moment_ms(at_ms: int) -> str:
    return _moment(datetime.fromtimestamp(at_ms / 1_000, UTC))

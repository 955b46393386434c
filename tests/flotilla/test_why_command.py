"""`flotilla why` tells from the record alone what took an order away."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from desk.identity import MarketId, OrderIdentity
from desk.trace_ports import DecisionSample
from flotilla.cli.why import cause, taken_by
from infra.postgres.engine import open_database
from infra.postgres.samples import LaterOrder, OrderRecord, PostgresSamples
from infra.postgres.schema import upgrade
from tests.flotilla.test_cli import USAGE, complaint, flotilla
from tests.infra.postgres.test_samples import AT_MS, name, sample, send, sending

SENT = datetime(2026, 10, 1, tzinfo=UTC)


def record(*samples: DecisionSample, **changes: object) -> OrderRecord:
    parts: dict[str, object] = {
        "market": MarketId("ocx", "main", "BTC-PERP"),
        "epoch": 1,
        "run_id": "run",
        "client_order_id": "f0000000-1-1-b0",
        "batch_id": "b0000000-1-1",
        "side": "buy",
        "price": "100",
        "quantity": "2",
        "sent_at": SENT,
        "outcome": "accepted",
        "message": "",
        "ended_at": None,
        "ending": "",
        "fills": (),
        "next_order": None,
        "samples": samples,
    }
    return OrderRecord(**{**parts, **changes})  # type: ignore[arg-type]


def ended(seconds: int, how: str) -> dict[str, object]:
    return {"ended_at": SENT + timedelta(seconds=seconds), "ending": how}


def later(seconds: int) -> LaterOrder:
    return LaterOrder(
        client_order_id="f0000000-1-2-b0",
        batch_id="b0000000-1-2",
        price="101",
        quantity="2",
        sent_at=SENT + timedelta(seconds=seconds),
    )


def at(seconds: int, kind: str, reason: str) -> DecisionSample:
    return sample(seconds, int(SENT.timestamp() + seconds) * 1_000, kind, reason)


REQUOTED = "requoted in b0000000-1-2 by f0000000-1-2-b0: 2 @ 101 in place of 2 @ 100"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (record(at(5, "pull", "feed lost: cut")), "pull: feed lost: cut"),
        (record(at(5, "pull", "feed lost: cut"), next_order=later(3)), REQUOTED),
        (record(at(2, "pull", "feed lost: cut"), next_order=later(3)), "pull: feed lost: cut"),
        (record(at(1, "withdraw", "f0000000-1-9-b0")), "nothing on record took it away"),
        (record(at(1, "withdraw", "f0000000-1-1-b0")), "withdraw: f0000000-1-1-b0"),
        (
            record(at(0, "send", "b0000000-1-1: 6 orders, in place of all that rested")),
            "nothing on record took it away",
        ),
        (
            record(at(1, "send", "b0000000-1-2: 5 orders, in place of all that rested")),
            "send: b0000000-1-2: 5 orders, in place of all that rested",
        ),
        (record(outcome="rejected", message="too late"), "it never rested: rejected too late"),
        (record(fills=("2 @ 100",)), "it was filled, and nothing on record took it away"),
        (record(ending="cleared"), "ended: cleared"),
        (record(at(5, "pull", "feed lost: cut"), **ended(5, "cleared")), "pull: feed lost: cut"),
        # What was decided once it was gone took nothing of it away.
        (record(at(20, "pull", "feed lost: cut"), **ended(5, "post_only")), "ended: post_only"),
        (record(at(20, "leave", "asked"), **ended(5, "cleared")), "ended: cleared"),
        (record(at(3, "pull", "feed lost: cut"), **ended(5, "filled")), "it was filled"),
        (record(next_order=later(6), **ended(5, "filled")), "it was filled"),
    ],
)
def test_the_first_thing_that_took_it_away_is_the_cause(found: OrderRecord, words: str) -> None:
    assert cause(found, taken_by(found)) == words


@pytest.mark.services
async def test_a_cancel_is_explained_from_the_record_alone(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    await upgrade(database_url)
    database = open_database(database_url)
    try:
        await send(database, sending(name(1), AT_MS))
        await PostgresSamples(database).record([sample(9, AT_MS + 700, reason="book: gap")])
    finally:
        await database.close()
    named = {"FLOTILLA_DATABASE_URL": database_url, "FLOTILLA_REDIS_URL": redis_url}
    done = flotilla("why", name(1), "--json", environment=named, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["cause"], told["run_id"]) == ("pull: book: gap", "run of the session")
    said = flotilla("why", name(1), environment=named, folder=tmp_path)
    assert complaint(said) == f"{name(1)}: pull: book: gap"
    missing = flotilla("why", name(2), environment=named, folder=tmp_path)
    assert (missing.returncode, complaint(missing)) == (1, f"{name(2)} is not on record")


def test_what_is_no_id_of_ours_is_told_in_a_sentence(tmp_path: Path) -> None:
    done = flotilla("why", "abc", folder=tmp_path)
    assert done.returncode == USAGE
    assert "is not an id of ours" in complaint(done)
    example = complaint(done).rpartition(" ")[2]
    assert OrderIdentity.decode(example) is not None
    done = flotilla("why", example.replace("-1-", f"-{'z' * 20}-"), folder=tmp_path)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert f"they look like {example}" in complaint(done)

"""Reads: the venue's shapes, nulls where it has none, whole pages, a schema to check."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet
from grpc_tools import protoc  # type: ignore[import-untyped]

from desk.units import Side as DeskSide
from tests.venues.zo.simulator.bench import (
    ASK,
    BID,
    IOC,
    LIMIT,
    TAKER,
    error_of,
    running,
    wallet_text,
)
from venues.simulation.hand import crowd_trade
from venues.zo.schema import nord_pb2
from venues.zo.simulator.live_schema import schema_text
from venues.zo.simulator.settings import FeeSpelling, PageSizes, Reads, Revision, SchemaShown


async def test_the_venue_tells_of_itself() -> None:
    async with running() as bench:
        info = await bench.get("/info")
        assert [one["marketId"] for one in info["markets"]] == [0, 1, 2]
        assert [one["tokenId"] for one in info["tokens"]] == [0, 1, 2, 3]
        btc = info["markets"][0]
        assert (btc["symbol"], btc["priceDecimals"], btc["sizeDecimals"]) == ("BTCUSD", 1, 3)
        assert btc["imf"] > btc["cmf"] > btc["mmf"] > 0
        assert info["markets"][2]["mode"] == "rfq"
        assert isinstance(await bench.get("/timestamp"), int)
        state = (await bench.get("/state/info"))["state"]
        assert state["action_id"] == await bench.get("/action/last-executed-id") == 999
        trader = await bench.trader()
        await trader.rest(BID, 9_900)
        (made, placed) = await bench.get("/action", **{"from": 1_000, "to": 1_001})
        assert (made["actionId"], placed["actionId"]) == ("1000", "1001")
        wide = await bench.http.get("/action", params={"from": 0, "to": 5_000})
        assert (wide.status_code, wide.json()) == (400, {"requested": 5_001, "maximal": 1_000})


async def test_books_are_best_first_and_summed() -> None:
    async with running() as bench:
        trader = await bench.trader()
        for side, price in ((BID, 9_800), (BID, 9_900), (ASK, 10_200), (ASK, 10_100)):
            await trader.rest(side, price)
        book = await bench.get("/market/0/orderbook")
        assert book["bids"] == [[990.0, 0.1], [980.0, 0.1]]
        assert book["asks"] == [[1010.0, 0.1], [1020.0, 0.1]]
        assert book["bidsSummary"] == {"sum": 0.2, "count": 2}
        unknown = await bench.http.get("/market/9/orderbook")
        assert (unknown.status_code, unknown.json()) == (404, {"market_id": 9})


async def test_statistics_are_null_before_the_first_trade_and_without_an_index() -> None:
    async with running() as bench:
        trader = await bench.trader()
        quiet = await bench.get("/market/0/stats")
        assert quiet["close24h"] is quiet["high24h"] is None
        await trader.rest(ASK, 10_000, 20)
        crowd_trade(bench.sim.engine, "BTCUSD", DeskSide.BUY, 20, None)
        busy = await bench.get("/market/0/stats")
        assert (busy["close24h"], busy["volumeBase24h"]) == (1_000, 0.02)
        bench.sim.engine.set_index("BTCUSD", None)
        lost = await bench.get("/market/0/stats")
        assert lost["indexPrice"] is lost["perpStats"]["mark_price"] is None
        live = await bench.get("/market/0/live")
        assert live["perpetuals"]["markPrice"] is None
        assert len(await bench.get("/markets/live")) == 3
        assert (await bench.get("/tv/history", symbol="BTCUSD", resolution="1"))["c"] == [1_000]
        assert (await bench.get("/tv/history", market_id=1))["s"] == "no_data"


async def test_orders_are_found_open_and_finished() -> None:
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        filled = await maker.rest(ASK, 10_000, 50, client_order_id=9)
        gone = await maker.rest(BID, 9_000)
        rests = await maker.rest(BID, 9_100)
        await taker.place(BID, 10_000, 80, IOC)
        await maker.cancel(gone)
        page = await bench.get("/account/1/orders")
        told = {one["orderId"]: one.get("finalizationReason") for one in page["items"]}
        assert told == {str(filled): "Filled", str(gone): "Canceled", str(rests): None}
        one = await bench.get(f"/order/{filled}")
        assert (one["filledSize"], one["clientOrderId"], one["fillMode"]) == (0.05, 9, "PostOnly")
        (took,) = (await bench.get("/account/2/orders"))["items"]
        assert (took["finalizationReason"], took["fillMode"]) == ("Taken", "ImmediateOrCancel")
        (trade,) = (await bench.get(f"/order/{filled}/trades"))["items"]
        assert (trade["makerId"], trade["takerId"], trade["baseSize"]) == (1, 2, 0.05)
        assert trade["orderId"] == str(filled)
        for path in ("/order/5", "/account/99", "/account/x/orders"):
            missing = await bench.http.get(path)
            assert (missing.status_code, missing.text) == (404, "null")


async def test_positions_margins_and_money() -> None:
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        await maker.rest(ASK, 10_000, 50)
        await taker.place(BID, 10_000, 50, LIMIT)
        await taker.rest(BID, 9_000)
        body = await bench.get("/account/2")
        (held,) = body["positions"]
        assert (held["openOrders"], held["perp"]["baseSize"], held["perp"]["isLong"]) == (
            1,
            0.05,
            True,
        )
        short = (await bench.get("/account/1"))["positions"][0]["perp"]
        assert (short["baseSize"], short["isLong"], short["price"]) == (-0.05, False, 1_000)
        fee = await bench.get("/market/0/fees/taker/2")
        assert body["balances"][0]["amount"] == pytest.approx(100_000 + 50 * fee)
        assert body["margins"]["imf"] == pytest.approx(15)
        assert body["margins"]["bankruptcy"] is False
        (volume,) = await bench.get("/account/volume", accountId=2, marketId=0)
        assert volume == {"marketId": 0, "volumeBase": 0.05, "volumeQuote": 50}
        assert await bench.get("/account/2/pubkey") == wallet_text(TAKER)
        assert await bench.get("/account/2/fee/tier") == 0


async def test_realized_results_are_listed() -> None:
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        await maker.rest(ASK, 10_000, 50)
        await taker.place(BID, 10_000, 50, LIMIT)
        await maker.rest(BID, 9_990, 50)
        await taker.place(ASK, 9_990, 20, LIMIT)
        (paid,) = (await bench.get("/account/1/pnl"))["items"]
        assert (paid["accountId"], paid["pricePnlDelta"], paid["pnl"]) == (1, 0.02, 0.02)


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_pages_lose_and_repeat_nothing(size: int) -> None:
    async with running() as bench:
        trader = await bench.trader()
        ids = [await trader.rest(BID, 9_000 + place) for place in range(5)]
        seen: list[int] = []
        query: dict[str, Any] = {"pageSize": size}
        while True:
            page = await bench.get("/account/1/orders", **query)
            seen += [int(one["orderId"]) for one in page["items"]]
            if page.get("nextStartInclusive") is None:
                break
            query["startInclusive"] = page["nextStartInclusive"]
        assert seen == ids[::-1]


async def test_page_sizes_and_filters_have_bounds() -> None:
    async with running() as bench:
        for name, value in (("pageSize", "256"), ("pageSize", "x"), ("since", "yesterday")):
            assert (await bench.http.get("/trades", params={name: value})).status_code == 400
        assert (await bench.get("/trades", pageSize=100))["items"] == []
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        await maker.rest(ASK, 10_000)
        for _ in range(3):
            await taker.place(BID, 10_000, 10, IOC)
        newest, *_, oldest = (await bench.get("/trades"))["items"]
        assert int(newest["tradeId"]) > int(oldest["tradeId"])
        filters: tuple[tuple[dict[str, Any], int], ...] = (
            ({"marketId": 1}, 0),
            ({"makerId": 1, "takerId": 2, "takerSide": "bid"}, 3),
            ({"takerSide": "ask"}, 0),
            ({"until": oldest["time"]}, 0),
            ({"since": oldest["time"]}, 3),
        )
        for query, count in filters:
            assert len((await bench.get("/trades", **query))["items"]) == count
    async with running(reads=Reads(page_sizes=PageSizes.REFUSE)) as bench:
        assert (await bench.http.get("/trades", params={"pageSize": 51})).status_code == 400


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"revision": Revision.R2025_12}, {"maker_fee_bps": 1, "taker_fee_bps": 5}),
        ({}, {"maker_fee_ppm": 100, "taker_fee_ppm": 500}),
        (
            {"reads": Reads(fee_spelling=FeeSpelling.BPS)},
            {"maker_fee_bps": 1, "taker_fee_bps": 5},
        ),
    ],
)
async def test_fees_in_both_spellings(changes: dict[str, Any], names: dict[str, int]) -> None:
    async with running(**changes) as bench:
        assert await bench.get("/fee/brackets/info") == [[0, names]]
        assert await bench.get("/market/0/fees/maker/1") == -0.0001
        assert (await bench.http.get("/market/0/fees/none/1")).status_code == 404


async def test_unknown_paths_have_a_body() -> None:
    async with running() as bench:
        answer = await bench.http.get("/nowhere")
        assert (answer.status_code, "error" in answer.json()) == (404, True)


# --- the schema -----------------------------------------------------------------------------


def compiled(text: str, directory: Path) -> dict[str, DescriptorProto]:
    """Messages by name, nested or not, of a schema that the protocol's own compiler takes."""
    source, target = directory / "live.proto", directory / "live.bin"
    source.write_text(text)
    code = protoc.main(["", f"-I{directory}", f"--descriptor_set_out={target}", str(source)])
    assert code == 0
    (file,) = FileDescriptorSet.FromString(target.read_bytes()).file
    found = {one.name: one for one in file.message_type}
    for one in file.message_type:
        found |= {inner.name: inner for inner in one.nested_type}
    return found


def shape(message: DescriptorProto, known: dict[str, DescriptorProto]) -> dict[int, Any]:
    """Field numbers with their types, sub-messages unfolded: what stays when names change."""
    return {
        one.number: shape(known[one.type_name.rpartition(".")[2]], known)
        if one.type == one.TYPE_MESSAGE
        else (one.type, one.proto3_optional)
        for one in message.field
    }


def own(name: str) -> dict[int, Any]:
    file = nord_pb2.DESCRIPTOR
    messages = {}
    for each in file.message_types_by_name.values():
        proto = DescriptorProto()
        each.CopyToProto(proto)
        messages[each.name] = proto
    return shape(messages[name], messages)


@pytest.mark.parametrize("revision", list(Revision))
@pytest.mark.parametrize("shown", [SchemaShown.LIVE, SchemaShown.FLAT])
def test_what_is_published_is_what_is_spoken(
    shown: SchemaShown, revision: Revision, tmp_path: Path
) -> None:
    live = compiled(schema_text(shown, revision), tmp_path)
    action, receipt = shape(live["Action"], live), shape(live["Receipt"], live)
    spoken, answered = own("Action"), own("Receipt")
    if revision is Revision.R2025_12:
        del spoken[44], spoken[4][4], answered[35][3], answered[67][1][2][3]
    assert action == spoken
    assert receipt == answered


def test_the_moved_schema_moves_the_price(tmp_path: Path) -> None:
    live = compiled(schema_text(SchemaShown.MOVED, Revision.R2026_03), tmp_path)
    names = {one.number: one.name for one in live["PlaceOrder"].field}
    assert (names[5], names[6], names[7]) == ("price", "size", "is_reduce_only")


async def test_the_schema_is_served_and_can_change_or_vanish() -> None:
    async with running() as bench:
        before = await bench.http.get("/schema.proto")
        assert before.text.startswith("syntax")
        bench.sim.world.schema = SchemaShown.MOVED
        assert (await bench.http.get("/schema.proto")).text != before.text
        bench.sim.world.schema = SchemaShown.ABSENT
        assert (await bench.http.get("/schema.proto")).status_code == 404


async def test_an_expired_market_is_found_no_more() -> None:
    async with running() as bench:
        trader = await bench.trader()
        await trader.rest(BID, 9_000)
        bench.sim.world.expire("BTCUSD")
        assert error_of(await trader.place(BID, 9_000)) == "MARKET_NOT_FOUND"
        assert (await bench.http.get("/market/0/stats")).status_code == 404
        assert await trader.resting() == []

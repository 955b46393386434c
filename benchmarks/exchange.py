"""The venue's side of a benchmark, in a process of its own: book streams at a steady pace.

It speaks OCX's wire protocol and accepts every ladder; it matches nothing, so nothing is filled.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from aiohttp import web

from benchmarks.cores import keep_to
from benchmarks.ladders import (
    Change,
    FrameWriter,
    Ladder,
    RecordedLadder,
    instrument,
    recorded_instrument,
    recorded_window,
    synthetic,
)
from desk.instrument import Instrument

_HEARTBEAT_S = 10.0
_RECORDED_CHANGES = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangePlan:
    """What is served. `together`: all markets' updates fall due at once, else spread evenly.

    `cores` is where the exchange's process runs, wherever it likes when empty.
    """

    markets: int
    updates_per_s: float = 20.0
    together: bool = False
    moves: bool = True
    replay: str | None = None
    cores: tuple[int, ...] = ()


@asynccontextmanager
async def serving(plan: ExchangePlan) -> AsyncIterator[str]:
    """Base URL of an exchange in a child process, which ends with this context."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.exchange",
        msgspec.json.encode(asdict(plan)).decode(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        port = (await child.stdout.readline()).strip()
        if not port:
            raise RuntimeError("the exchange of the benchmark did not start")
        yield f"http://127.0.0.1:{int(port)}"
    finally:
        child.stdin.close()
        await child.wait()


class Exchange:
    """Handlers over the markets' ladders and what rests in each."""

    def __init__(self, plan: ExchangePlan) -> None:
        self._plan = plan
        self._window: list[Change] = []
        self._resting: dict[str, list[dict[str, Any]]] = {}
        self._markets: dict[str, tuple[int, Instrument]] = {}
        self._placed = 0

    def prepare(self) -> None:
        """Make the markets; reading a recording takes seconds."""
        plan = self._plan
        recorded = None
        if plan.replay is not None:
            recorded = recorded_instrument(Path(plan.replay), "RECORDED")
            self._window = recorded_window(Path(plan.replay), recorded, _RECORDED_CHANGES)
        for number in range(plan.markets):
            made = instrument(number)
            if recorded is not None:
                made = Instrument(
                    venue=made.venue,
                    symbol=made.symbol,
                    tick_size=recorded.tick_size,
                    lot_size=recorded.lot_size,
                )
            self._markets[made.symbol] = (number, made)

    def application(self) -> web.Application:
        """All paths the adapter calls."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/perps/markets", self._json(self._market_list)),
                web.get("/perps/fees", self._json(lambda _: {"makerBps": "2", "takerBps": "5"})),
                web.get("/perps/trades", self._json(lambda _: [])),
                web.get("/perps/positions", self._json(lambda _: [])),
                web.get("/perps/orders", self._json(self._open_orders)),
                web.get("/perps/book-stream", self._book_stream),
                web.get("/perps/stream/user", self._user_stream),
                web.post("/perps/quotes/bulk", self._bulk),
                web.post("/perps/orders/cancel-all", self._cancel_all),
            ]
        )
        return app

    def _json(
        self, answer: Callable[[web.Request], object]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            return _answer(answer(request))

        return handle

    def _market_list(self, _: web.Request) -> object:
        return [
            {
                "id": symbol,
                "marketType": "perp",
                "tickSize": format(made.tick_size, "f"),
                "stepSize": format(made.lot_size, "f"),
                "minQuantity": format(made.lot_size, "f"),
                "tradingStatus": "active",
            }
            for symbol, (_, made) in self._markets.items()
        ]

    def _open_orders(self, request: web.Request) -> object:
        symbol = request.query.get("marketId")
        if symbol is not None:
            return self._resting.get(symbol, [])
        return [order for orders in self._resting.values() for order in orders]

    async def _bulk(self, request: web.Request) -> web.Response:
        told = msgspec.json.decode(await request.read())
        symbol = told["marketId"]
        orders = []
        for level in told["levels"]:
            self._placed += 1
            orders.append(
                {
                    "orderId": f"01BENCH{self._placed:019}",
                    "clientOrderId": level["clientOrderId"],
                    "marketId": symbol,
                    "status": "open",
                    "filledQuantity": "0",
                    "side": level["side"],
                    "price": level["price"],
                    "quantity": level["quantity"],
                }
            )
        cancelled = len(self._resting.get(symbol, ()))
        self._resting[symbol] = orders
        return _answer({"quoteId": told["quoteId"], "cancelled": cancelled, "orders": orders})

    async def _cancel_all(self, request: web.Request) -> web.Response:
        symbol = msgspec.json.decode(await request.read()).get("marketId")
        gone = [self._resting.pop(each, []) for each in ([symbol] if symbol else [*self._resting])]
        return _answer({"cancelled": sum(map(len, gone))})

    async def _user_stream(self, request: web.Request) -> web.StreamResponse:
        response = await _open_stream(request)
        payload = {"eventType": "PerpStreamSnapshot", "eventSeq": 1, "payload": {}}
        await response.write(b"event: snapshot\ndata: %b\n\n" % msgspec.json.encode(payload))
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(_HEARTBEAT_S)
                await response.write(b": heartbeat\n\n")
        return response

    async def _book_stream(self, request: web.Request) -> web.StreamResponse:
        number, made = self._markets[request.query["marketId"]]
        ladder = self._ladder(number)
        writer = FrameWriter(made)
        response = await _open_stream(request)
        with suppress(ConnectionError):
            await response.write(writer.frame("snapshot", ladder.snapshot()))
            await self._updates(number, ladder, writer, response)
        return response

    async def _updates(
        self, number: int, ladder: Ladder, writer: FrameWriter, response: web.StreamResponse
    ) -> None:
        loop = asyncio.get_running_loop()
        every_s = 1 / self._plan.updates_per_s
        phase_s = 0.0 if self._plan.together else every_s * number / self._plan.markets
        # On a grid common to all markets; an update that is late does not move the ones after it.
        due_s = (loop.time() // every_s + 2) * every_s + phase_s
        while True:
            change = ladder.step()
            name = "update" if change is not None else "snapshot"
            frame = writer.frame(name, change if change is not None else ladder.snapshot())
            await asyncio.sleep(due_s - loop.time())
            await response.write(frame)
            due_s += every_s

    def _ladder(self, number: int) -> Ladder:
        if self._window:
            return RecordedLadder(self._window)
        return synthetic(number, moves=self._plan.moves)


async def _open_stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Cache-Control": "no-cache"})
    response.content_type = "text/event-stream"
    await response.prepare(request)
    return response


def _answer(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def _serve(plan: ExchangePlan) -> None:
    exchange = Exchange(plan)
    exchange.prepare()
    runner = web.AppRunner(exchange.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    # Whoever started this process holds its standard input open for as long as it is wanted.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


def main() -> None:
    """Serve until standard input ends."""
    plan = msgspec.convert(msgspec.json.decode(sys.argv[1]), ExchangePlan)
    keep_to(set(plan.cores))
    uvloop.run(_serve(plan))


if __name__ == "__main__":
    main()

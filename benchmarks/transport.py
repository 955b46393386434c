"""Request path of the fast transport beside aiohttp: from the call to the last byte handed over.

Both talk to a loopback server in a child process; nothing here leaves the machine.
"""

import argparse
import asyncio
import gc
import socket
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from multiprocessing import get_context
from typing import Any, cast

import aiohttp
import uvloop

from venues._transport.http import HttpPool, encode_headers

BODY = b'{"levels":[' + b'{"side":"buy","price":"50000.5"},' * 20 + b"{}]}"
HEADERS = [("x-api-key", "k" * 40), ("content-type", "application/json")]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_PACE_S = 0.005

Send = Callable[[], Awaitable[int]]
"""One request; gives the monotonic nanoseconds at which its bytes had been handed over."""


class SystemClock:
    """The machine's own time."""

    def monotonic_ns(self) -> int:
        return time.perf_counter_ns()

    def wall_ns(self) -> int:
        return time.time_ns()


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._unread = b""

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if self._unread.endswith(b"{}]}"):
            self._unread = b""
            self._transport.write(ANSWER)


async def _serve(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answering, sock=listener)
    await server.serve_forever()


def _server_process(listener: socket.socket) -> None:
    uvloop.run(_serve(listener))


@asynccontextmanager
async def _pool(base_url: str) -> AsyncIterator[Send]:
    pool = HttpPool(base_url, clock=SystemClock(), connections=2)
    await pool.open()
    block = encode_headers(HEADERS)

    async def send() -> int:
        response = await pool.request("POST", "/perps/quotes/bulk", headers=block, body=BODY)
        return response.sent_ns

    yield send
    await pool.close()


@asynccontextmanager
async def _aiohttp(base_url: str) -> AsyncIterator[Send]:
    sent: list[int] = []

    async def on_sent(*_: Any) -> None:
        sent.append(time.perf_counter_ns())

    trace = aiohttp.TraceConfig()
    trace.on_request_chunk_sent.append(on_sent)
    async with aiohttp.ClientSession(trace_configs=[trace]) as session:

        async def send() -> int:
            url = base_url + "/perps/quotes/bulk"
            async with session.post(url, data=BODY, headers=dict(HEADERS)) as response:
                await response.read()
            return sent.pop()

        yield send


async def _measure(send: Send, count: int, pace_s: float) -> tuple[list[float], float]:
    for _ in range(200):
        await send()
    gc.collect()
    gc.freeze()
    took = []
    cpu_s = time.process_time()
    for _ in range(count):
        if pace_s:
            await asyncio.sleep(pace_s)
        called_ns = time.perf_counter_ns()
        took.append((await send() - called_ns) / 1_000)
    return took, (time.process_time() - cpu_s) / count * 1e6


async def _compare(base_url: str, count: int) -> None:
    print(f"{'client':<10}{'mode':<14}{'p50 us':>8}{'p99 us':>8}{'cpu us':>8}")
    for name, client in (("pool", _pool), ("aiohttp", _aiohttp)):
        async with client(base_url) as send:
            for mode, pace_s in (("paced 5 ms", _PACE_S), ("back to back", 0.0)):
                took, cpu_us = await _measure(send, count, pace_s)
                p99 = statistics.quantiles(took, n=100)[98]
                print(
                    f"{name:<10}{mode:<14}{statistics.median(took):>8.1f}{p99:>8.1f}{cpu_us:>8.0f}"
                )


def main() -> None:
    """Print a table of to-bytes times and CPU per request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000)
    count = parser.parse_args().requests
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = get_context("fork").Process(target=_server_process, args=(listener,), daemon=True)
        server.start()
        try:
            uvloop.run(_compare(base_url, count))
        finally:
            server.terminate()
            server.join()


if __name__ == "__main__":
    main()

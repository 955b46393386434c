import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from desk.errors import ConfigurationFault, NotSent, Unresolved
from tests.venues.transport.origin import Origin, SystemClock, answer, eventually
from venues._transport.http import HttpPool, encode_headers


class SetClock:
    """Time that stands until it is set."""

    now_ns = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns


@asynccontextmanager
async def running_pool(base_url: str, **settings: float) -> AsyncIterator[HttpPool]:
    pool = HttpPool(base_url, clock=SystemClock(), **{"timeout_s": 2.0, **settings})  # type: ignore[arg-type]
    await pool.open()
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.run())
        try:
            yield pool
        finally:
            await pool.close()


async def test_a_request_gets_status_headers_body_and_times(server: Origin) -> None:
    server.answers["/api/orders?x=1"] = answer(
        b'{"ok":1}', status="422 Unprocessable", extra="X-One: a\r\nx-one: b\r\n"
    )
    async with running_pool(server.base_url + "/api") as pool:
        response = await pool.request(
            "POST", "/orders?x=1", headers=[("X-Api-Key", "k")], body=b"hello"
        )
    assert (response.status, response.body) == (422, b'{"ok":1}')
    assert response.headers["x-one"] == "a, b"
    assert 0 < response.sent_ns <= response.received_ns
    (request,) = server.requests
    assert (request.method, request.target, request.body) == ("POST", "/api/orders?x=1", b"hello")
    assert request.headers["x-api-key"] == "k"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"


async def test_bytes_are_on_the_socket_before_request_returns() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    pool = HttpPool(
        f"http://127.0.0.1:{listener.getsockname()[1]}", clock=SystemClock(), connections=1
    )
    await pool.open()
    peer, _ = listener.accept()
    peer.setblocking(False)
    body = b"x" * 20_000
    pending = pool.request("POST", "/a", headers=encode_headers([("a", "b")]), body=body)
    received = peer.recv(100_000)
    assert received.startswith(b"POST /a HTTP/1.1\r\n")
    assert received.endswith(body)
    await pool.close()
    with pytest.raises(Unresolved):
        await pending
    peer.close()
    listener.close()


async def test_connections_are_kept_and_used_in_turn(server: Origin) -> None:
    async with running_pool(server.base_url, connections=2) as pool:
        for _ in range(6):
            await pool.request("GET", "/")
        assert server.connections == 2


async def test_requests_beyond_the_connections_wait_their_turn(server: Origin) -> None:
    async with running_pool(server.base_url, connections=1) as pool:
        held = pool.request("GET", "/held")
        waiting = [pool.request("GET", f"/{number}") for number in range(3)]
        server.release.set()
        await held
        await asyncio.gather(*waiting)
    assert [request.target for request in server.requests] == ["/held", "/0", "/1", "/2"]


async def test_a_request_nobody_waits_for_any_more_is_not_sent(server: Origin) -> None:
    async with running_pool(server.base_url, connections=1, timeout_s=0.2) as pool:
        held = pool.request("GET", "/held", timeout_s=2.0)
        dropped = asyncio.ensure_future(pool.request("GET", "/dropped"))
        dropped.cancel()
        server.release.set()
        await held
        await pool.request("GET", "/next")
    assert [request.target for request in server.requests] == ["/held", "/next"]


async def test_the_answer_to_an_abandoned_request_is_not_given_to_the_next(server: Origin) -> None:
    server.answers["/held"] = answer(b"old")
    server.answers["/next"] = answer(b"new")
    async with running_pool(server.base_url, connections=1) as pool:
        abandoned = asyncio.ensure_future(pool.request("GET", "/held"))
        abandoned.cancel()
        following = pool.request("GET", "/next")
        server.release.set()
        assert (await following).body == b"new"


async def test_the_queue_is_bounded(server: Origin) -> None:
    async with running_pool(server.base_url, connections=1, max_waiting=1) as pool:
        held = pool.request("GET", "/held")
        waiting = pool.request("GET", "/1")
        with pytest.raises(NotSent, match="already wait"):
            await pool.request("GET", "/2")
        server.release.set()
        await asyncio.gather(held, waiting)


async def test_waiting_too_long_for_a_connection_is_not_sent(server: Origin) -> None:
    async with running_pool(server.base_url, connections=1) as pool:
        held = pool.request("GET", "/held")
        with pytest.raises(NotSent, match="no free connection"):
            await pool.request("GET", "/1", timeout_s=0.05)
        server.release.set()
        await held
    assert [request.target for request in server.requests] == ["/held"]


async def test_a_request_that_may_not_leave_late_ends_when_its_time_is_over(server: Origin) -> None:
    async with running_pool(server.base_url, connections=1) as pool:
        held = pool.request("GET", "/held")
        by_ns = SystemClock().monotonic_ns() + 50_000_000
        with pytest.raises(NotSent, match="permission ended"):
            await pool.request("POST", "/order", not_after_ns=by_ns)
        with pytest.raises(NotSent, match="permission ended"):
            await pool.request("POST", "/order", not_after_ns=by_ns)
        server.release.set()
        await held
        # A timer of the event loop may be a millisecond early.
        await eventually(lambda: SystemClock().monotonic_ns() > by_ns)
        with pytest.raises(NotSent, match="permission ended"):
            await pool.request("POST", "/order", not_after_ns=by_ns)
    assert [request.target for request in server.requests] == ["/held"]


async def test_a_request_that_waited_while_the_process_was_frozen_is_not_sent(
    server: Origin,
) -> None:
    """After a freeze the answer before it may be read first, with no timer having run."""
    clock = SetClock()
    pool = HttpPool(server.base_url, clock=clock, connections=1)
    await pool.open()
    held = pool.request("GET", "/held")
    late = pool.request("POST", "/order", not_after_ns=60_000_000_000)
    free = pool.request("POST", "/exit")
    await eventually(lambda: len(server.requests) == 1)
    clock.now_ns = 61_000_000_000
    server.release.set()
    await asyncio.gather(held, free)
    with pytest.raises(NotSent, match="permission ended"):
        await late
    assert [request.target for request in server.requests] == ["/held", "/exit"]
    await pool.close()


async def test_a_request_sent_in_time_gets_its_answer_late(server: Origin) -> None:
    async with running_pool(server.base_url, connections=1) as pool:
        by_ns = SystemClock().monotonic_ns() + 1_000_000_000
        held = asyncio.ensure_future(pool.request("GET", "/held", not_after_ns=by_ns))
        await eventually(lambda: SystemClock().monotonic_ns() > by_ns)
        assert not held.done()
        server.release.set()
        assert (await held).status == 200


async def test_a_timed_out_connection_is_closed_and_another_opened(server: Origin) -> None:
    async with running_pool(server.base_url, connections=1) as pool:
        with pytest.raises(Unresolved, match="no whole answer within"):
            await pool.request("GET", "/held", timeout_s=0.05)
        assert (await pool.request("GET", "/next")).status == 200
    assert server.connections == 2


async def test_an_idle_connection_closed_by_the_server_is_noticed_before_use() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    pool = HttpPool(base_url, clock=SystemClock(), connections=1)
    await pool.open()
    peer, _ = listener.accept()
    peer.close()
    # The close is on the wire, but the event loop has not read it yet.
    with pytest.raises(NotSent, match="not connected"):
        await pool.request("POST", "/", body=b"order")
    listener.close()


async def test_bytes_nobody_asked_for_are_never_taken_for_an_answer() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    pool = HttpPool(base_url, clock=SystemClock(), connections=1)
    await pool.open()
    peer, _ = listener.accept()
    peer.send(answer(b"stray"))
    with pytest.raises(NotSent, match="not connected"):
        await pool.request("POST", "/", body=b"order")
    peer.close()
    listener.close()


async def test_lost_connections_are_reopened_before_anybody_asks(server: Origin) -> None:
    async with running_pool(server.base_url, connections=2) as pool:
        for writer in server.writers:
            writer.close()
        await eventually(lambda: server.connections == 4 and pool.connected == 2)


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"],
            b"abc",
        ),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", answer(b"abc")], b"abc"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"abc")], b"abc"),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
        ([b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 3\r\n\r", b"\nab", b"c"], b"abc"),
    ],
)
async def test_whole_answers(server: Origin, pieces: list[bytes], body: bytes) -> None:
    server.answers["/"] = pieces
    async with running_pool(server.base_url, connections=1) as pool:
        for _ in range(2):
            assert (await pool.request("GET", "/")).body == body
    assert server.connections == 1


async def test_a_connection_the_server_wants_closed_is_not_used_again(server: Origin) -> None:
    server.answers["/"] = answer(extra="Connection: close\r\n")
    async with running_pool(server.base_url, connections=1) as pool:
        await pool.request("GET", "/")
        await pool.request("GET", "/")
    assert server.connections == 2


@pytest.mark.parametrize(
    "pieces",
    [
        [b""],
        [b"HTTP/1.1 200 OK\r\nContent-Le", b""],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", b""],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b""],
        [b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b""],
        [b"what?\r\n\r\n"],
        [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],
        [answer(b"x" * 5_000)],
        [answer(b"1") + answer(b"2")],
    ],
)
async def test_anything_but_one_whole_answer_is_unresolved(
    server: Origin, pieces: list[bytes]
) -> None:
    server.answers["/"] = pieces
    async with running_pool(server.base_url, connections=1, max_response_bytes=4_000) as pool:
        with pytest.raises(Unresolved):
            await pool.request("POST", "/", body=b"order")
        assert len(server.requests) == 1
        assert (await pool.request("GET", "/next")).status == 200


async def test_nothing_listening_is_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    pool = HttpPool(f"http://127.0.0.1:{port}", clock=SystemClock())
    with pytest.raises(NotSent):
        await pool.open()
    with pytest.raises(NotSent, match="not connected"):
        await pool.request("GET", "/")
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.run())
        await asyncio.sleep(0)
        with pytest.raises(NotSent, match="no connection to"):
            await pool.request("GET", "/")
        await pool.close()


async def test_a_closed_pool_sends_nothing(server: Origin) -> None:
    async with running_pool(server.base_url, connections=1) as pool:
        held = pool.request("GET", "/held")
        waiting = pool.request("GET", "/waiting")
        await pool.close()
        with pytest.raises(Unresolved):
            await held
        with pytest.raises(NotSent):
            await waiting
        with pytest.raises(NotSent, match="closed"):
            await pool.request("GET", "/late")


@pytest.mark.parametrize(
    "base_url",
    [
        "http://example.com",
        "http://10.0.0.1:8080",
        "http://127.0.0.1.example.com",
        "ftp://127.0.0.1",
        "127.0.0.1:80",
        "https://user:pass@example.com",
        "https://example.com/?a=1",
        "https://example.com:port",
        "",
    ],
)
async def test_unsafe_base_urls_are_refused(base_url: str) -> None:
    with pytest.raises(ConfigurationFault, match="base_url"):
        HttpPool(base_url, clock=SystemClock())


@pytest.mark.parametrize("base_url", ["http://localhost:1", "http://[::1]:1", "http://127.0.0.9"])
async def test_plain_http_is_allowed_to_loopback(base_url: str) -> None:
    HttpPool(base_url, clock=SystemClock())


async def test_a_caller_cannot_smuggle_headers_or_requests(server: Origin) -> None:
    async with running_pool(server.base_url) as pool:
        with pytest.raises(ValueError, match="control character"):
            pool.request("GET", "/", headers=[("a", "b\r\nc: d")])
        with pytest.raises(ValueError, match="header name"):
            pool.request("GET", "/", headers=[("a b", "c")])
        with pytest.raises(ValueError, match="header name"):
            pool.request("GET", "/", headers=[("Content-Length", "0")])
        for path in ("/a b", "/a\r\n", "a", "/\u00e9"):
            with pytest.raises(ValueError, match="path"):
                pool.request("GET", path)
        with pytest.raises(ValueError, match="method"):
            pool.request("HEAD", "/")
    assert not server.requests


async def test_secrets_stay_out_of_reprs_and_errors(server: Origin) -> None:
    server.answers["/"] = [b""]
    server.answers["/ok"] = answer(b"s3cret", extra="set-cookie: s3cret\r\n")
    async with running_pool(server.base_url) as pool:
        with pytest.raises(Unresolved) as failure:
            await pool.request("POST", "/", headers=[("key", "s3cret")], body=b"s3cret")
        response = await pool.request("GET", "/ok", headers=[("key", "s3cret")])
        assert "s3cret" not in repr(failure.value) + repr(pool) + repr(response)

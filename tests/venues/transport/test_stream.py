import asyncio
from dataclasses import dataclass, field

import pytest

from desk.errors import NotSent
from tests.support.adversity import Adversity, adverse_proxy
from tests.venues.transport.origin import Origin, answer, eventually
from venues._transport.sse import StreamEnded, StreamRefused, stream

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
OPEN = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@dataclass
class Listener:
    heard: list[object] = field(default_factory=list)
    fail_on: bytes | None = None

    def on_event(self, name: str, data: bytes, own_id: str | None) -> None:
        if data == self.fail_on:
            raise KeyError(name)
        self.heard.append((name, data, own_id))

    def on_comment(self, text: str) -> None:
        self.heard.append(text)

    def on_open(self) -> None:
        self.heard.append("open")

    async def listen(self, base_url: str, idle_timeout_s: float = 2.0) -> None:
        await stream(
            base_url,
            "/events?m=1",
            headers=[("x-api-key", "k")],
            on_event=self.on_event,
            on_comment=self.on_comment,
            on_open=self.on_open,
            idle_timeout_s=idle_timeout_s,
        )


async def test_events_and_comments_come_in_order(server: Origin) -> None:
    server.answers["/events?m=1"] = [
        OPEN,
        chunk(b"event: snapshot\nid: 1\nda"),
        chunk(b"ta: {}\n\n:heartbeat\n\n") + b"0\r\n\r\n",
    ]
    listener = Listener()
    with pytest.raises(StreamEnded, match="the venue ended the stream"):
        await listener.listen(server.base_url)
    assert listener.heard == ["open", ("snapshot", b"{}", "1"), "heartbeat"]
    assert server.requests[0].headers["x-api-key"] == "k"


async def test_a_cut_stream_says_so(server: Origin) -> None:
    server.answers["/events?m=1"] = [HEAD + b"\r\ndata: x\n\ndata: y\n", b""]
    listener = Listener()
    with pytest.raises(StreamEnded, match="cut"):
        await listener.listen(server.base_url)
    assert listener.heard == ["open", ("message", b"x", None)]


async def test_any_split_of_the_bytes_is_heard_alike(server: Origin) -> None:
    server.answers["/events?m=1"] = [OPEN + chunk("data: é\r\n\r\n".encode()) * 3 + b"0\r\n\r\n"]
    listener = Listener()
    async with adverse_proxy(server.port) as proxy:
        proxy.adversity = Adversity(piece=1)
        with pytest.raises(StreamEnded):
            await listener.listen(proxy.base_url)
    assert listener.heard == ["open", *[("message", "é".encode(), None)] * 3]


async def test_silence_ends_it_but_comments_are_life(server: Origin) -> None:
    server.answers["/events?m=1"] = [OPEN + chunk(b":hb\n")]
    listener = Listener()
    with pytest.raises(StreamEnded, match=r"no byte for 0\.1 s"):
        await listener.listen(server.base_url, idle_timeout_s=0.1)
    assert listener.heard == ["open", "hb"]
    server.answers["/events?m=1"] = [OPEN + chunk(b":hb\n") * 12 + b"0\r\n\r\n"]
    async with adverse_proxy(server.port) as proxy:
        proxy.adversity = Adversity(piece=20, delay_s=0.04)
        with pytest.raises(StreamEnded, match="the venue ended"):
            await Listener().listen(proxy.base_url, idle_timeout_s=0.2)


async def test_another_status_is_a_refusal_with_its_body(server: Origin) -> None:
    server.answers["/events?m=1"] = answer(
        b'{"error":"NOPE"}', status="401 Unauthorized", extra="Retry-After: 3\r\n"
    )
    with pytest.raises(StreamRefused) as refusal:
        await Listener().listen(server.base_url)
    assert (refusal.value.status, refusal.value.body) == (401, b'{"error":"NOPE"}')
    assert refusal.value.headers["retry-after"] == "3"


@pytest.mark.parametrize("rest", [[b""], []])
async def test_a_refusal_stays_a_refusal_when_its_body_is_cut(
    server: Origin, rest: list[bytes]
) -> None:
    server.answers["/events?m=1"] = [b"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nabc", *rest]
    with pytest.raises(StreamRefused) as refusal:
        await Listener().listen(server.base_url, idle_timeout_s=0.1)
    assert (refusal.value.status, refusal.value.body) == (503, b"abc")


@pytest.mark.parametrize(
    "pieces",
    [
        [answer(b"{}", extra="Content-Type: application/json\r\n")],
        [b"nonsense\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000],
        [OPEN + b"zz\r\n"],
        [b""],
    ],
)
async def test_what_is_no_event_stream_ends_it(server: Origin, pieces: list[bytes]) -> None:
    server.answers["/events?m=1"] = pieces
    listener = Listener()
    with pytest.raises(StreamEnded):
        await listener.listen(server.base_url)


async def test_an_endless_event_ends_it(server: Origin) -> None:
    server.answers["/events?m=1"] = [OPEN, chunk(b"data: " + b"x" * 5_000)]
    with pytest.raises(StreamEnded, match="more than 1000 bytes"):
        await stream(
            server.base_url,
            "/events?m=1",
            on_event=lambda *_: None,
            on_comment=lambda _: None,
            on_open=lambda: None,
            idle_timeout_s=2.0,
            max_event_bytes=1_000,
        )


async def test_an_error_of_the_listener_comes_out_and_ends_it(server: Origin) -> None:
    frames = [chunk(b"data: %d\n\n" % number) for number in range(3)]
    server.answers["/events?m=1"] = [OPEN + b"".join(frames)]
    listener = Listener(fail_on=b"1")
    with pytest.raises(KeyError):
        await listener.listen(server.base_url)
    assert listener.heard == ["open", ("message", b"0", None)]


async def test_no_connection_is_not_sent(server: Origin) -> None:
    async with adverse_proxy(server.port) as proxy:
        base_url = proxy.base_url
    with pytest.raises(NotSent):
        await Listener().listen(base_url)


async def test_cancelling_closes_the_connection(server: Origin) -> None:
    server.answers["/events?m=1"] = [OPEN + chunk(b":hb\n")]
    opened = asyncio.Event()

    async def listen() -> None:
        await stream(
            server.base_url,
            "/events?m=1",
            on_event=lambda *_: None,
            on_comment=lambda _: opened.set(),
            on_open=lambda: None,
            idle_timeout_s=60.0,
        )

    async with asyncio.TaskGroup() as group:
        task = group.create_task(listen())
        await opened.wait()
        task.cancel()
    await eventually(lambda: not server.writers)

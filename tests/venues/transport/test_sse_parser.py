import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues._transport.sse import SseOverflow, SseParser

Heard = list[tuple[str, ...] | tuple[str, bytes, str | None]]


def parse(*chunks: bytes, max_bytes: int = 10_000) -> Heard:
    heard: Heard = []
    parser = SseParser(
        on_event=lambda name, data, own_id: heard.append((name, data, own_id)),
        on_comment=lambda text: heard.append((text,)),
        max_bytes=max_bytes,
    )
    for chunk in chunks:
        parser.feed(chunk)
    return heard


@pytest.mark.parametrize(
    ("wire", "heard"),
    [
        (b"event: delta\nid: 7\ndata: {}\n\n", [("delta", b"{}", "7")]),
        (b"data: a\ndata: b\ndata\n\n", [("message", b"a\nb\n", None)]),
        (b":heartbeat\n\n", [("heartbeat",)]),
        (b": keepalive\r\n\r\n", [("keepalive",)]),
        (b"data:x\r\rdata: y\r\n\r\n", [("message", b"x", None), ("message", b"y", None)]),
        (b"event: empty\n\ndata: x\n\n", [("message", b"x", None)]),
        (b"id: 7\ndata: x\n\ndata: y\n\n", [("message", b"x", "7"), ("message", b"y", None)]),
        (b"\xef\xbb\xbfdata: x\n\n", [("message", b"x", None)]),
        (b"data:  two\n\n", [("message", b" two", None)]),
        (b"id: a\0b\ndata: x\n\n", [("message", b"x", None)]),
        (b"unknown: x\nnothing\ndata: x\n\n", [("message", b"x", None)]),
        (b"data: unfinished\n", []),
        ("data: é€😀\n\n".encode(), [("message", "é€😀".encode(), None)]),
        (b"data: a\x0bb\x0cc\x1cd\x85e\n\n", [("message", b"a\x0bb\x0cc\x1cd\x85e", None)]),
    ],
)
def test_frames_mean_what_the_standard_says(wire: bytes, heard: Heard) -> None:
    assert parse(wire) == heard


def test_retry_is_kept_and_nonsense_ignored() -> None:
    parser = SseParser(on_event=lambda *_: None, on_comment=lambda _: None)
    parser.feed(b"retry: 1500\n\nretry: soon\n\nretry:\n\n")
    assert parser.retry_ms == 1500


lines = st.one_of(
    st.sampled_from(
        [b"", b"", b":hb", b"data", b"event: e", b"id: 1", b"retry: 5", b"\xef\xbb\xbf"]
    ),
    st.text(max_size=12)
    .map(lambda text: b"data: " + text.encode("utf-8", "ignore"))
    .map(lambda line: line.replace(b"\n", b"").replace(b"\r", b"")),
)
endings = st.sampled_from([b"\n", b"\r", b"\r\n"])
streams = st.lists(st.tuples(lines, endings).map(b"".join), max_size=30).map(b"".join)


@given(wire=streams, cuts=st.lists(st.integers(0, 600), max_size=40))
def test_any_split_gives_the_same_events(wire: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[a:b] for a, b in pairwise(places)]
    assert parse(*pieces) == parse(wire)


@given(wire=st.binary(max_size=300), seed=st.integers())
def test_garbage_never_breaks_it_and_splits_the_same(wire: bytes, seed: int) -> None:
    rng, pieces, rest = random.Random(seed), [], wire
    while rest:
        size = rng.randint(1, 5)
        pieces.append(rest[:size])
        rest = rest[size:]
    assert parse(*pieces) == parse(wire)


@given(
    events=st.lists(
        st.tuples(
            st.from_regex(r"[a-z]{1,8}", fullmatch=True),
            st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1),
        )
    ),
    ending=endings,
)
def test_what_a_server_sends_is_what_is_heard(events: list[tuple[str, str]], ending: bytes) -> None:
    wire = b"".join(
        ending.join([f"event: {name}".encode(), f"data: {data}".encode(), b"", b""])
        for name, data in events
    )
    assert parse(wire) == [(name, data.encode(), None) for name, data in events]


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 200],
        [b"data: x\n"] * 200,
        [b"x"] * 200,
        [b": " + b"x" * 60] * 4,
    ],
)
def test_nothing_grows_past_the_bound(chunks: list[bytes]) -> None:
    with pytest.raises(SseOverflow):
        parse(*chunks, max_bytes=150)


def test_many_events_inside_the_bound_are_fine() -> None:
    assert len(parse(b"data: x\n\n" * 1_000, max_bytes=50)) == 1_000

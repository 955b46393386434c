"""The text of a request and the shape of an answer.

Nothing a caller passes can add a header or a request: line breaks are refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

Headers: TypeAlias = Sequence[tuple[str, str]] | bytes
"""Pairs, or a block made once by `encode_headers` and used many times."""

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TARGET = re.compile(r"/[!-~]*")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A whole answer. Header names are lower-case, repeated ones joined with commas.

    Times are monotonic nanoseconds: request handed to the socket, last byte of the answer read.
    Headers and body stay out of the repr, because they can carry secrets.
    """

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    sent_ns: int
    received_ns: int


def encode_headers(pairs: Sequence[tuple[str, str]]) -> bytes:
    """Header block for `HttpPool.request`; ValueError names a header that cannot be sent."""
    lines = []
    for name, value in pairs:
        if not _NAME.fullmatch(name) or name.lower() in _OURS:
            raise ValueError(f"header name {name!r} is not allowed")
        if _BAD_VALUE.search(value):
            raise ValueError(f"value of header {name!r} holds a control character")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("latin-1")


@lru_cache(maxsize=512)
def request_start(method: str, target: str, host: str) -> bytes:
    """Request line and Host header; ValueError for an unknown method or a malformed target."""
    if method not in _METHODS:
        raise ValueError(f"method {method!r} is not one of {', '.join(sorted(_METHODS))}")
    if not _TARGET.fullmatch(target):
        raise ValueError("path: it must start with / and hold printable ASCII only; encode it")
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n".encode("ascii")


def encode_request(method: str, target: str, host: str, headers: Headers, body: bytes) -> bytes:
    """The whole request, ready for one write."""
    start = request_start(method, target, host)
    block = headers if isinstance(headers, bytes) else encode_headers(headers)
    if method == "GET" and not body:
        return b"%b%b\r\n" % (start, block)
    return b"%b%bContent-Length: %d\r\n\r\n%b" % (start, block, len(body), body)


def decode_headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Header lines as a dict with lower-case names."""
    found: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found

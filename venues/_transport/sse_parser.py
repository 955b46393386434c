"""Server-sent events: a push parser fed with any split of bytes.

It never holds more than its bound: a line or an event that grows past it ends the stream.
"""

from collections.abc import Callable
from typing import TypeAlias

OnEvent: TypeAlias = Callable[[str, bytes, str | None], None]
OnComment: TypeAlias = Callable[[str], None]

_BOM = b"\xef\xbb\xbf"
_DIGITS = frozenset(b"0123456789")


class SseOverflow(ValueError):
    """A line or an event is larger than the parser may hold."""


class SseParser:
    """Calls `on_event(name, data, id)` and `on_comment(text)` while being fed.

    `name` is `message` when the frame names none; `data` is the data lines joined with newlines;
    `id` is this frame's own id, None when it has none. A frame without data gives no event.
    Comment text comes without the colon and one space after it. `retry_ms` is the last retry
    the server asked for.
    """

    def __init__(
        self, *, on_event: OnEvent, on_comment: OnComment, max_bytes: int = 8 * 1024 * 1024
    ) -> None:
        self.retry_ms: int | None = None
        self._on_event = on_event
        self._on_comment = on_comment
        self._max_bytes = max_bytes
        self._partial = bytearray()
        self._after_cr = False
        self._at_start = True
        self._name = ""
        self._id: str | None = None
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. SseOverflow past the bound; errors of callbacks pass through."""
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if not chunk:
            return
        lines = chunk.splitlines()
        rest = b"" if chunk.endswith((b"\n", b"\r")) else lines.pop()
        self._after_cr = chunk.endswith(b"\r")
        if self._partial and lines:
            self._partial += lines[0]
            lines[0] = bytes(self._partial)
            self._partial.clear()
        for line in lines:
            self._line(line)
        if rest:
            self._partial += rest
            self._check(len(self._partial))

    def _line(self, line: bytes) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            self._dispatch()
        elif line.startswith(b":"):
            self._on_comment(line[1:].removeprefix(b" ").decode("utf-8", "replace"))
        else:
            name, _, value = line.partition(b":")
            self._field(name, value.removeprefix(b" "))

    def _field(self, name: bytes, value: bytes) -> None:
        if name == b"data":
            self._check(self._size + len(value) + 1)
            self._size += len(value) + 1
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value and _DIGITS.issuperset(value):
            self.retry_ms = int(value[:12])

    def _dispatch(self) -> None:
        name, own_id, data = self._name, self._id, self._data
        self._name, self._id, self._data, self._size = "", None, [], 0
        if data:
            self._on_event(name or "message", b"\n".join(data), own_id)

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise SseOverflow(f"more than {self._max_bytes} bytes without an end")

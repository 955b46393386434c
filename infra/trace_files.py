"""Journals of decision traces as files: a folder a session, segments that only grow, all bounded.

The rule: a block counts only with its checksums; what a crash tore off the end is left out, and
whatever else is not as it was written is told as damage, never read over.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

import msgspec

from desk.identity import MarketId
from desk.trace_ports import RawJournal, TraceUnreadable

_MAGIC: Final = b"FLTRACE2"
_SIZES: Final = struct.Struct("<II")
"""Length of a block's content, and its CRC-32."""
_CHECK: Final = struct.Struct("<I")
"""The CRC-32 of these two: a length is believed only with it."""
_HEADER: Final = _SIZES.size + _CHECK.size
_LEVEL: Final = 1
_SUFFIX: Final = ".trace"
_LARGEST_BLOCK: Final = 64_000_000
"""Packed or unpacked; writers stay far below."""
_DAY_NS: Final = 86_400 * 1_000_000_000
_read_frames: Final = msgspec.msgpack.Decoder(list[bytes]).decode
_write_frames: Final = msgspec.msgpack.Encoder().encode


class TraceFolder:
    """All journals of this machine: `folder/venue/account/symbol/<unix ms>-<epoch>/000001.trace`.

    A segment takes `segment_bytes` and the rest of one block. Of each market the newest
    `keep_segments` are kept, none older than `keep_days`; the segment being written always is.
    `wall_ns` is the clock files are aged by. A stretch in which no market wrote anything counts as
    one day at most: a clock that jumps ahead makes nothing old.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = 10_000_000,
        keep_segments: int = 300,
        keep_days: int = 14,
        wall_ns: Callable[[], int],
    ) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._keep_segments = keep_segments
        self._keep_days = keep_days
        self._wall_ns = wall_ns
        self._tidied = False

    def begin(self, market: MarketId, epoch: int, began_ms: int, head: bytes) -> "SegmentWriter":
        """A new session's journal. Raises OSError."""
        if not self._tidied:
            self._tidied = True
            self._drop_all_old()
        folder = market_folder(self._folder, market) / f"{began_ms:013d}-{epoch}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SegmentWriter(
            folder,
            head=head,
            segment_bytes=self._segment_bytes,
            begun=lambda: self._drop_old(folder.parent, self._oldest_ns()),
        )

    def last(self, market: MarketId, before_ms: int | None = None) -> RawJournal | None:
        """The newest journal of a market, or the newest begun before a moment. Raises OSError."""
        sessions = [
            one
            for one in _sessions(market_folder(self._folder, market))
            if before_ms is None or int(one.name.partition("-")[0]) < before_ms
        ]
        return SegmentReader(sessions[-1]) if sessions else None

    def _drop_all_old(self) -> None:
        """Of every market, also of such that run no more."""
        oldest_ns = self._oldest_ns()
        for market in self._folder.glob("*/*/*"):
            self._drop_old(market, oldest_ns)

    def _oldest_ns(self) -> int:
        """When the oldest segment that is kept was written at the earliest."""
        written = list[int]()
        for segment in self._folder.glob(f"*/*/*/*/*{_SUFFIX}"):
            with suppress(OSError):  # another process of ours may have removed it
                written.append(segment.stat().st_mtime_ns)
        left_ns, at_ns = self._keep_days * _DAY_NS, self._wall_ns()
        for before_ns in sorted(written, reverse=True):
            left_ns -= min(max(at_ns - before_ns, 0), _DAY_NS)
            if left_ns < 0:
                break
            at_ns = min(at_ns, before_ns)
        return at_ns

    def _drop_old(self, market: Path, oldest_ns: int) -> None:
        """Remove what is too much or too old; the newest segment stays whatever it is."""
        segments = [one for session in _sessions(market) for one in _segments(session)]
        for number, segment in enumerate(reversed(segments)):
            with suppress(OSError):  # another process of ours may have removed it
                old = segment.stat().st_mtime_ns < oldest_ns
                if number and (old or number >= self._keep_segments):
                    segment.unlink()
        for session in _sessions(market)[:-1]:
            with suppress(OSError):  # not empty
                session.rmdir()


class SegmentWriter:
    """One session's journal; each segment begins with the head."""

    def __init__(
        self,
        folder: Path,
        *,
        head: bytes,
        segment_bytes: int,
        begun: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._head = head
        self._segment_bytes = segment_bytes
        self._begun = begun
        self._number = 0
        self._file: int | None = None
        self._written = 0

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._folder)

    def append(self, frames: Sequence[bytes]) -> None:
        """Add one block. OSError leaves the file as it was, as far as the disk lets us."""
        if self._file is None or self._written >= self._segment_bytes:
            self._next()
        self._add(_packed(frames))

    def sync(self) -> None:
        """Have the disk keep it."""
        if self._file is not None:
            os.fsync(self._file)

    def close(self) -> None:
        """Nothing more comes."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _next(self) -> None:
        self.close()
        number = self._number + 1
        path = self._folder / f"{number:06d}{_SUFFIX}"
        # One left by an attempt that failed holds nothing that was told to be written.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self._file, self._written = os.open(path, flags, 0o600), 0
        try:
            self._add(_MAGIC + _packed([self._head]))
        except OSError:
            self.close()
            raise
        self._number = number
        self._begun()

    def _add(self, block: bytes) -> None:
        assert self._file is not None  # noqa: S101 - `_next` was called before
        before = self._written
        try:
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            # Half a block in the middle would hide all that follows it.
            os.ftruncate(self._file, before)
            raise
        self._written = before + len(block)


class SegmentReader:
    """A session's journal on the disk, read a block at a time."""

    def __init__(self, folder: Path, segments: Sequence[Path] | None = None) -> None:
        self._folder = folder
        self._segments = _segments(folder) if segments is None else list(segments)
        self._torn = ""
        self._damaged = ""

    @property
    def name(self) -> str:
        """The folder, or the one file that was asked for."""
        return str(self._folder)

    @property
    def dropped(self) -> bool:
        """Whether the first segment is gone."""
        return bool(self._segments) and _number(self._segments[0]) > 1

    @property
    def torn(self) -> str:
        """What was cut off at the end."""
        return self._torn

    @property
    def damaged(self) -> str:
        """Why reading ended early."""
        return self._damaged

    def frames(self) -> Iterator[bytes]:
        """All frames, the head once and first. Raises TraceUnreadable when not even that is there.

        Reading again begins anew.
        """
        self._torn = self._damaged = ""
        head: bytes | None = None
        expected = None
        for segment in self._segments:
            if expected is not None and _number(segment) != expected:
                self._damaged = f"segment {expected} is missing"
                return
            expected = _number(segment) + 1
            last = segment == self._segments[-1]
            for first, frames in self._blocks(segment, last=last):
                if first and head is not None:
                    if frames[0] != head:
                        self._damaged = f"{segment.name} is of another journal"
                        return
                    continue
                head = head or frames[0]
                yield from frames
            if self._torn or self._damaged:
                break
        if head is None:
            raise TraceUnreadable(f"{self.name} holds no trace; name a session's folder or file")

    def _blocks(self, segment: Path, *, last: bool) -> Iterator[tuple[bool, list[bytes]]]:
        try:
            with segment.open("rb") as file:
                begins = file.read(len(_MAGIC))
                if begins != _MAGIC:
                    # Cut off in these few bytes, or never written, or no journal of this format.
                    torn = last and (len(begins) < len(_MAGIC) or _only_zeros(begins, file))
                    self._end(f"{segment.name} is no trace of this version", torn=torn)
                    return
                first = True
                while (frames := self._block(file, segment, last=last)) is not None:
                    yield first, frames
                    first = False
        except OSError as error:
            raise TraceUnreadable(f"{segment} cannot be read: {error.strerror}") from None

    def _block(self, file: BinaryIO, segment: Path, *, last: bool) -> list[bytes] | None:
        header = file.read(_HEADER)
        if not header:
            return None
        at = file.tell()
        known = _sizes(header)
        if known is None:
            # A crash cuts a header short, or leaves nothing but zeros from here on.
            torn = len(header) < _HEADER or _only_zeros(header, file)
        else:
            length, checksum = known
            content = file.read(length)
            if len(content) == length and zlib.crc32(content) == checksum:
                with suppress(zlib.error, msgspec.MsgspecError):
                    unpacking = zlib.decompressobj()
                    unpacked = unpacking.decompress(content, _LARGEST_BLOCK)
                    if unpacking.eof:
                        return _read_frames(unpacked)
            torn = len(content) < length
        self._end(f"{segment.name} ends in half a block at byte {at}", torn=torn and last)
        return None

    def _end(self, why: str, *, torn: bool) -> None:
        if torn:
            self._torn = why
        else:
            self._damaged = why.replace("ends in half a", "holds a damaged")


def market_folder(folder: Path, market: MarketId) -> Path:
    """Where a market's sessions lie, a folder each."""
    # A symbol may hold a slash, and no name of theirs may lead out of the folder.
    parts = (market.venue, market.account, market.symbol)
    return folder.joinpath(*(quote(part, safe=" ").replace(".", "%2E") for part in parts))


def open_journal(path: Path) -> RawJournal:
    """The journal at a path: a session's folder, one segment of it, or a market's newest session.

    TraceUnreadable, with the remedy, when there is none.
    """
    if path.is_file():
        return SegmentReader(path, [path])
    if not path.is_dir():
        raise TraceUnreadable(f"{path} does not exist; name a session's folder or a file in it")
    if _segments(path):
        return SegmentReader(path)
    if sessions := _sessions(path):
        return SegmentReader(sessions[-1])
    raise TraceUnreadable(f"{path} holds no trace; name a session's folder or a file in it")


def _packed(frames: Sequence[bytes]) -> bytes:
    content = zlib.compress(_write_frames(frames), _LEVEL)
    sizes = _SIZES.pack(len(content), zlib.crc32(content))
    return sizes + _CHECK.pack(zlib.crc32(sizes)) + content


def _sizes(header: bytes) -> tuple[int, int] | None:
    """Length and checksum of the block that a header begins; None when it is not as written."""
    sizes, check = header[: _SIZES.size], header[_SIZES.size :]
    if check != _CHECK.pack(zlib.crc32(sizes)):
        return None
    length, checksum = _SIZES.unpack(sizes)
    return (length, checksum) if length <= _LARGEST_BLOCK else None


def _only_zeros(begun: bytes, file: BinaryIO) -> bool:
    """Whether what was read and the rest of the file are zeros, as room that was never filled."""
    while begun:
        if begun.strip(b"\0"):
            return False
        begun = file.read(65_536)
    return True


def _sessions(market: Path) -> list[Path]:
    """Session folders of a market, oldest first."""
    if not market.is_dir():
        return []
    named = (one for one in market.iterdir() if one.name.partition("-")[0].isdecimal())
    return sorted(one for one in named if one.is_dir())


def _segments(session: Path) -> list[Path]:
    return sorted(one for one in session.glob(f"*{_SUFFIX}") if one.stem.isdecimal())


def _number(segment: Path) -> int:
    return int(segment.stem) if segment.stem.isdecimal() else 1

"""Records that could not reach PostgreSQL, as lines of JSON on this machine's disk.

The rule: what is written here is on the disk before the call returns, readable by its owner alone.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final, get_args

import msgspec
import structlog

from desk.records import LedgerRecord

_log = structlog.get_logger(__name__)

_KINDS: Final[dict[str, type[LedgerRecord]]] = {
    kind.__name__: kind for kind in get_args(LedgerRecord)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """What one spool file holds; `unreadable` counts the lines that hold no record.

    `version` tells the file from a later one of the same name.
    """

    path: Path
    records: tuple[LedgerRecord, ...]
    unreadable: int
    version: tuple[int, int]


class Spool:
    """A folder of spool files; `name` tells this process's files from others' (no slash)."""

    def __init__(self, folder: Path, *, name: str) -> None:
        self._folder = folder
        self._name = name

    def keep(self, records: Iterable[LedgerRecord]) -> Path:
        """Keep records for the next start, in a file of their own. OSError when the disk refuses.

        The file appears complete or not at all, and never grows: whoever loads it may remove it.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = next(n for n in count(1) if not self._path(n).exists())
        path = self._path(number)
        part = path.with_suffix(".part")
        # What a process left that was killed while it wrote would spoil our first line.
        part.unlink(missing_ok=True)
        _append(part, [_line(record) for record in records])
        part.rename(path)
        _sync_folder(self._folder)
        return path

    def put_aside(self, record: LedgerRecord, reason: str) -> Path:
        """Keep a record that PostgreSQL refused, for a person to look at. OSError as above."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{self._name}.refused"
        _append(path, [_line(record, reason=reason)])
        _sync_folder(self._folder)
        return path

    def waiting(self) -> Sequence[Spooled]:
        """Everything earlier processes kept, oldest file first. OSError when unreadable."""
        if not self._folder.is_dir():
            return ()
        files = sorted(self._folder.glob("*.jsonl"), key=_age)
        return tuple(_read(path) for path in files)

    def done(self, spooled: Spooled) -> None:
        """Remove a file whose records are all in PostgreSQL; one with bad lines is set aside.

        Another process may have removed it, and a third may have kept its own under the name.
        """
        if not spooled.path.exists() or _version(spooled.path) != spooled.version:
            return
        if spooled.unreadable:
            spooled.path.replace(spooled.path.with_suffix(".unreadable"))
        else:
            spooled.path.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number:06d}.jsonl"


def _append(path: Path, lines: Sequence[bytes]) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(file, "ab") as stream:
        stream.write(b"".join(lines))
        stream.flush()
        os.fsync(stream.fileno())


def _age(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def _version(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def _sync_folder(folder: Path) -> None:
    # A new file's name is durable only once its folder is on the disk too.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _line(record: LedgerRecord, *, reason: str | None = None) -> bytes:
    content: dict[str, object] = {
        "kind": type(record).__name__,
        "record": msgspec.to_builtins(record),
    }
    if reason is not None:
        content["reason"] = reason
    return json.dumps(content).encode() + b"\n"


def _read(path: Path) -> Spooled:
    records, unreadable, version = [], 0, _version(path)
    for line in path.read_bytes().splitlines():
        try:
            content = json.loads(line)
            records.append(msgspec.convert(content["record"], _KINDS[content["kind"]]))
        except (ValueError, KeyError, TypeError) as error:
            unreadable += 1
            _log.error("spool line unreadable", path=str(path), error=str(error))
    return Spooled(path=path, records=tuple(records), unreadable=unreadable, version=version)

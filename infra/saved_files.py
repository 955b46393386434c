"""Saved states of sessions as files: the newest of each market, and a copy an hour old at most.

The rule: a file appears whole or not at all and counts only with its checksum; what is damaged is
set aside for a person, never removed and never written over.
"""

import errno
import fcntl
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from desk.identity import MarketId
from desk.state_ports import KeptCopy
from infra.trace_files import market_folder

# The envelope stays as it is in every version; what changes is the format of the content.
_MAGIC: Final = b"flotilla-state-1 "
_NEWEST: Final = "state"
_HOURLY: Final = "state.hourly"
_HOUR_MS: Final = 3_600_000
_LARGEST: Final = 16_000_000
_PAUSE_S: Final = 0.02
# These say that this process or machine is short of something, and nothing about a file.
_SHORTAGE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class SavedFolder:
    """States below `folder/venue/account/symbol/`, safe with several threads and processes.

    What another of them holds is waited for `patience_s`: it takes milliseconds, but one that was
    stopped in the middle holds it until it goes on, and other markets wait in the same thread.
    """

    def __init__(self, folder: Path, *, patience_s: float = 0.5) -> None:
        self._folder = folder
        self._patience_s = patience_s

    def save(self, market: MarketId, content: bytes, now_ms: int, epoch: int) -> None:
        """Replace the newest unless it is of a later epoch; and the copy when an hour old. OSError.

        OSError as well when another process goes on holding the folder.
        """
        folder = market_folder(self._folder, market)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        packed = _packed(epoch, content)
        with _alone(folder, self._patience_s):
            if _kept_epoch(folder / _NEWEST, now_ms) > epoch:
                return
            _replace(folder / _NEWEST, packed, now_ms)
            if _age_ms(folder / _HOURLY, now_ms) >= _HOUR_MS:
                _kept_epoch(folder / _HOURLY, now_ms)
                _replace(folder / _HOURLY, packed, now_ms)

    def load(self, market: MarketId) -> tuple[KeptCopy, ...]:
        """What there is, the newest first; none for a market without any.

        OSError when the machine cannot read any file now.
        """
        found: list[KeptCopy] = []
        for name in (_NEWEST, _HOURLY):
            path = market_folder(self._folder, market) / name
            try:
                _, content = _read(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno in _SHORTAGE:
                    raise
                said = error.strerror or "unreadable"
                found.append(KeptCopy(name=name, path=str(path), damaged=said))
            except ValueError as error:
                found.append(KeptCopy(name=name, path=str(path), damaged=str(error)))
            else:
                found.append(KeptCopy(name=name, path=str(path), content=content))
        return tuple(found)

    def set_aside(self, market: MarketId, names: Collection[str], now_ms: int) -> None:
        """Rename these where they exist; a name once taken is never used again. OSError."""
        folder = market_folder(self._folder, market)
        if folder.is_dir():
            with _alone(folder, self._patience_s):
                for name in names:
                    with suppress(FileNotFoundError):
                        _set_aside(folder / name, now_ms)


@contextmanager
def _alone(folder: Path, patience_s: float) -> Iterator[None]:
    """Nobody else on this machine changes the folder; what was done is on the disk at the end."""
    file = os.open(folder, os.O_RDONLY)
    try:
        _lock(file, folder, patience_s)
        yield
        os.fsync(file)
    finally:
        os.close(file)


def _lock(file: int, folder: Path, patience_s: float) -> None:
    # Never for ever: who holds it may be a process that is stopped.
    for _ in range(int(patience_s / _PAUSE_S)):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_PAUSE_S)
    raise TimeoutError(f"{folder} is held by another process")


def _packed(epoch: int, content: bytes) -> bytes:
    body = b"%d\n" % epoch + content
    return _MAGIC + sha256(body).hexdigest().encode() + b"\n" + body


def _read(path: Path) -> tuple[int, bytes]:
    """Epoch and content. ValueError when it is not as it was written; OSError."""
    with path.open("rb") as stream:
        packed = stream.read(_LARGEST + 1)
    header, _, body = packed.partition(b"\n")
    if not header.startswith(_MAGIC):
        raise ValueError("it does not begin as a saved state does")
    if header[len(_MAGIC) :] != sha256(body).hexdigest().encode():
        raise ValueError("its checksum does not fit its content")
    epoch, _, content = body.partition(b"\n")
    return int(epoch), content


def _kept_epoch(path: Path, now_ms: int) -> int:
    """The epoch of what is about to be replaced; what is damaged is set aside, and has none."""
    try:
        epoch, _ = _read(path)
    except FileNotFoundError:
        return 0
    except ValueError:
        _set_aside(path, now_ms)
        return 0
    return epoch


def _set_aside(path: Path, now_ms: int) -> None:
    aside, number = path.with_name(f"{path.name}.damaged-{now_ms}"), 0
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{now_ms}-{number}")
    path.rename(aside)


def _replace(path: Path, packed: bytes, now_ms: int) -> None:
    part = path.with_name(f"{path.name}.tmp")
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(packed)
        stream.flush()
        os.fsync(stream.fileno())
    os.utime(part, ns=(now_ms * 1_000_000, now_ms * 1_000_000))
    part.replace(path)


def _age_ms(path: Path, now_ms: int) -> int:
    """How old a file is; very, when there is none or it is from the future."""
    try:
        age = now_ms - path.stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return _HOUR_MS
    return age if age >= 0 else _HOUR_MS

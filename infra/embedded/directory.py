"""`services.json`: how other commands on this machine find a running stack.

The one rule: an entry counts only while the service behind it answers in its own protocol.
"""

import contextlib
import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from infra.secrets import write_private

_WAIT_S = 1.0
_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the services are; None for those that are not known. The URLs hold passwords."""

    database_url: str | None = None
    redis_url: str | None = None
    temporal_address: str | None = None
    ui_url: str | None = None


def announce(data_dir: Path, addresses: Addresses, pids: Mapping[str, int]) -> None:
    """Write `services.json`, readable by this account alone."""
    entry = {**asdict(addresses), "pids": dict(pids)}
    write_private(data_dir / "services.json", json.dumps(entry, indent=2) + "\n")


def withdraw(data_dir: Path) -> None:
    """Remove `services.json`."""
    (data_dir / "services.json").unlink(missing_ok=True)


def announced(data_dir: Path) -> Addresses:
    """What `services.json` says, unchecked; nothing when it is absent or unreadable."""
    try:
        entry = json.loads((data_dir / "services.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Addresses()
    if not isinstance(entry, dict):
        return Addresses()
    known = {name: entry.get(name) for name in Addresses.__dataclass_fields__}
    return Addresses(**{name: text for name, text in known.items() if isinstance(text, str)})


def discover(data_dir: Path) -> Addresses:
    """The announced services that answer now; blocks for a second a service at worst."""
    said = announced(data_dir)
    temporal = said.temporal_address if _temporal_answers(said.temporal_address) else None
    return Addresses(
        database_url=said.database_url if _postgres_answers(said.database_url) else None,
        redis_url=said.redis_url if _valkey_answers(said.redis_url) else None,
        temporal_address=temporal,
        ui_url=said.ui_url if temporal else None,
    )


def _postgres_answers(url: str | None) -> bool:
    # One letter answers the question whether it speaks TLS; only PostgreSQL gives it.
    return _ask(url, _SSL_REQUEST)[:1] in {b"N", b"S"}


def _valkey_answers(url: str | None) -> bool:
    password = urlsplit(url).password if url else None
    login = f"AUTH {password}\r\n" if password else ""
    return _ask(url, f"{login}PING\r\n".encode()).startswith(b"+")


def _temporal_answers(address: str | None) -> bool:
    # The server's first HTTP/2 frame is SETTINGS, type 4.
    return _ask(f"//{address}" if address else None, _HTTP2_HELLO)[3:4] == b"\x04"


def _ask(url: str | None, question: bytes) -> bytes:
    if not url:
        return b""
    with contextlib.suppress(OSError, ValueError):
        parts = urlsplit(url)
        where = (parts.hostname or "", parts.port or 0)
        with socket.create_connection(where, timeout=_WAIT_S) as connection:
            connection.sendall(question)
            return connection.recv(64)
    return b""

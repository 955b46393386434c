"""Where a venue is: a checked base URL, and a connected socket to it.

Plain http is refused unless every byte stays on this machine; TLS is verified by default.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar
from urllib.parse import urlsplit

from desk.errors import ConfigurationFault, NotSent

_PORTS = {"http": 80, "https": 443}


class Wire(asyncio.Protocol):
    """A protocol that gets its transport and its socket once the connection is complete."""

    transport: asyncio.Transport | None = None
    sock: socket.socket | None = None


W = TypeVar("W", bound=Wire)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Parts of a base URL. `prefix` is its path without a slash at the end."""

    secure: bool
    host: str
    port: int
    prefix: str

    @classmethod
    def parse(cls, base_url: str) -> "Address":
        """Read `https://host[:port][/prefix]`, or http to loopback; else ConfigurationFault."""
        try:
            parts = urlsplit(base_url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigurationFault(f"base_url: it is not a URL ({error}); give one") from error
        if parts.scheme not in _PORTS or not host:
            raise ConfigurationFault("base_url: it must be https://HOST; give scheme and host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigurationFault(
                "base_url: it holds more than scheme, host, port and path; leave the rest out"
            )
        secure = parts.scheme == "https"
        if not secure and not _is_loopback(host):
            raise ConfigurationFault(f"base_url: plain http to {host} is refused; use https")
        return cls(
            secure=secure,
            host=host,
            port=port or _PORTS[parts.scheme],
            prefix=parts.path.rstrip("/"),
        )

    @property
    def netloc(self) -> str:
        """Value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = _PORTS["https" if self.secure else "http"]
        return host if self.port == default else f"{host}:{self.port}"

    def tls(self, given: ssl.SSLContext | None) -> ssl.SSLContext | None:
        """Context to use: none for plain http, the given one, or one that verifies."""
        if not self.secure:
            return None
        return given or _verifying()


async def connect(
    address: Address, wire: Callable[[], W], *, tls: ssl.SSLContext | None, timeout_s: float
) -> W:
    """Connect a new wire, TLS included; NotSent when that fails or takes too long."""
    try:
        async with asyncio.timeout(timeout_s):
            sock = await connected_socket(address)
            return await _attached(address, wire(), sock, tls)
    except TimeoutError as error:
        raise NotSent(f"no connection to {address.netloc} within {timeout_s} s") from error
    except OSError as error:
        raise NotSent(f"no connection to {address.netloc}: {error}") from error


async def connected_socket(address: Address) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    failure: OSError = OSError("the name has no usable address")
    for family, kind, protocol, _, target in found:
        if not address.secure and not _is_loopback(str(target[0])):
            continue
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, target)
        except OSError as error:
            failure = error
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


async def _attached(
    address: Address, wire: W, sock: socket.socket, tls: ssl.SSLContext | None
) -> W:
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_connection(lambda: wire, sock=sock)
    except BaseException:
        sock.close()
        raise
    # At zero, uvloop writes to the socket inside write() instead of at the end of the iteration.
    transport.set_write_buffer_limits(high=0)
    if tls is not None:
        try:
            # TLS is put on top afterwards, so that the limit above holds for the socket below it.
            secured = await loop.start_tls(transport, wire, tls, server_hostname=address.host)
        except BaseException:
            transport.abort()
            raise
        if secured is None:
            raise OSError("closed during the TLS handshake")
        transport = secured
    wire.transport, wire.sock = transport, sock
    return wire


@lru_cache(maxsize=1)
def _verifying() -> ssl.SSLContext:
    # Reading the machine's certificates takes tens of milliseconds: once per process.
    return ssl.create_default_context()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False

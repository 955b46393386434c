"""TLS is verified unless a context says whom to trust, and costs no promise of the pool."""

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from desk.errors import NotSent, Unresolved
from tests.venues.transport.origin import SystemClock, origin
from venues._transport.http import HttpPool

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs openssl to make a certificate"
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", str(key)),
            *("-addext", "subjectAltName=DNS:localhost", "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.fixture
def serving(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[0]))


async def test_requests_work_over_tls(serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async with origin(serving) as server:
        base_url = f"https://localhost:{server.port}"
        pool = HttpPool(base_url, clock=SystemClock(), tls=trusting, connections=1)
        await pool.open()
        for _ in range(3):
            assert (await pool.request("GET", "/")).status == 200
        assert server.connections == 1
        await pool.close()


async def test_an_unknown_certificate_is_refused(serving: ssl.SSLContext) -> None:
    async with origin(serving) as server:
        pool = HttpPool(f"https://localhost:{server.port}", clock=SystemClock())
        with pytest.raises(NotSent, match=r"(?i)certificate"):
            await pool.open()
        assert not server.requests


async def test_a_certificate_of_another_name_is_refused(
    serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with origin(serving) as server:
        pool = HttpPool(f"https://127.0.0.1:{server.port}", clock=SystemClock(), tls=trusting)
        with pytest.raises(NotSent, match=r"(?i)mismatch"):
            await pool.open()


async def test_bytes_are_on_the_socket_before_request_returns_over_tls(
    serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    serving.num_tickets = 0  # unread session tickets would make the pool wait for a look
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)

    def accept() -> ssl.SSLSocket:
        raw, _ = listener.accept()
        raw.settimeout(5)
        return serving.wrap_socket(raw, server_side=True)

    base_url = f"https://localhost:{listener.getsockname()[1]}"
    pool = HttpPool(base_url, clock=SystemClock(), tls=trusting, connections=1)
    async with asyncio.TaskGroup() as group:
        accepting = group.create_task(asyncio.to_thread(accept))
        group.create_task(pool.open())
    peer = accepting.result()
    peer.setblocking(False)
    pending = pool.request("POST", "/a", body=b"x" * 2_000)
    received = peer.recv(10_000)
    assert received.startswith(b"POST /a HTTP/1.1\r\n")
    assert received.endswith(b"x" * 2_000)
    await pool.close()
    with pytest.raises(Unresolved):
        await pending
    peer.close()
    listener.close()

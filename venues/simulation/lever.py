"""What every lever is made of: how its body is read, and how it is refused.

Loopback only; a lever that is not pulled right changes nothing.
"""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from typing import Any, TypeAlias, TypeVar

import msgspec
from aiohttp import web

Lever: TypeAlias = Callable[[web.Request, bytes], Any]
"""Takes the request and its body, gives what is answered as JSON."""
LeverTable: TypeAlias = tuple[tuple[str, str, Lever], ...]
"""Rows of method, path and lever."""
_T = TypeVar("_T")


class LeverRefused(Exception):
    """A lever that was not pulled right; `status` is HTTP."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def bad(message: str) -> LeverRefused:
    """A request that is not right."""
    return LeverRefused(400, "INVALID_REQUEST", message)


def decode(raw: bytes, kind: type[_T]) -> _T:
    """The body as a struct; LeverRefused when it is not one."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise bad(str(fault)) from None


def signed(text: str) -> Decimal:
    """A finite decimal number; LeverRefused when the text is none."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise bad(f"{text} is not a decimal number") from None
    if not number.is_finite():
        raise bad(f"{text} is not a finite number")
    return number


def positive(text: str) -> Decimal:
    """A decimal number above zero; LeverRefused when the text is none."""
    number = signed(text)
    if number <= 0:
        raise bad(f"{text} must be a positive number")
    return number


def register(router: web.UrlDispatcher, levers: LeverTable) -> None:
    """Add the routes of these levers."""
    for method, path, lever in levers:
        router.add_route(method, path, _guarded(lever))


def _guarded(lever: Lever) -> Callable[[web.Request], Any]:
    async def serve(request: web.Request) -> web.Response:
        raw = await request.read()
        try:
            _require_loopback(request)
            body = lever(request, raw)
        except LeverRefused as error:
            shown = {"error": error.code, "message": error.message}
            return _json(error.status, shown)
        return _json(200, body)

    return serve


def _require_loopback(request: web.Request) -> None:
    if not ip_address(request.remote or "0.0.0.0").is_loopback:
        raise LeverRefused(403, "FORBIDDEN", "the levers work from loopback only")


def _json(status: int, body: Any) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json"
    )

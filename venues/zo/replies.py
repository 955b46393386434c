"""Whether an answer is what it must be: JSON from reads, bytes from actions, never a web page.

A content network in front of the venue answers with pages of its own (zo.md section 1).
"""

from collections.abc import Mapping
from dataclasses import replace

from desk.errors import Unresolved, VenueError
from desk.ports import Clock
from venues._transport.http import HttpResponse
from venues._transport.rate_limit import Budget, RateNews, read_rate_headers
from venues.zo.errors import status_error
from venues.zo.schema import nord_pb2 as pb
from venues.zo.wire import Unreadable, read_receipt

BINARY = "application/octet-stream"
_PAUSE_S = 1.0


def as_json(label: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The body, when it is JSON by its type and its look; else Unresolved."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if body.lstrip()[:1] == b"<":
        raise Unresolved(f"{label}: a web page came instead of an answer")
    if kind and not kind.endswith("json"):
        raise Unresolved(f"{label}: the answer is {kind}, not JSON")
    return body


def receipt_of(
    label: str, response: HttpResponse, budget: Budget, clock: Clock
) -> pb.Receipt | VenueError:
    """Receipt in the answer to an action, or the error to raise or report; the budget is told.

    Anything but a readable receipt behind status 200 leaves the outcome open.
    """
    told = read_rate_headers(response.headers, wall_ns=clock.wall_ns())
    news = rate_news(response.status, told)
    budget.heard(news)
    if response.status != 200:
        return status_error(label, response.status, response.body, news)
    kind = response.headers.get("content-type", BINARY).partition(";")[0].strip().lower()
    if kind != BINARY:
        return Unresolved(f"{label}: the answer is {kind}, not {BINARY}")
    try:
        receipt = read_receipt(response.body)
    except Unreadable as error:
        return Unresolved(f"{label}: unreadable receipt ({error})")
    if receipt.WhichOneof("kind") is None:
        return Unresolved(f"{label}: the receipt says nothing that we know")
    return receipt


def rate_news(status: int, told: RateNews) -> RateNews:
    """What an answer says about the budget; only a 429 may ask to wait."""
    if status == 429:
        wait_s = _PAUSE_S if told.retry_after_s is None else told.retry_after_s
        return replace(told, retry_after_s=wait_s, too_many=True)
    return replace(told, retry_after_s=None)

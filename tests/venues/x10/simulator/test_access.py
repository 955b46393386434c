"""Who may call, how often, and what stands on every answer."""

import time
from email.utils import parsedate_to_datetime

import aiohttp
import httpx
import pytest

from desk.units import NS_PER_S
from tests.venues.x10.simulator.bench import MAKER, code, running
from venues.simulation.faults import FaultKind
from venues.x10.simulator.settings import Answers, RateWindow

_PRIVATE = (
    ("GET", "/user/orders"),
    ("GET", "/user/balance"),
    ("POST", "/user/order"),
    ("POST", "/user/order/massCancel"),
    ("POST", "/user/deadmanswitch?countdownTime=5"),
    ("DELETE", "/user/order?externalId=x"),
    ("PATCH", "/user/leverage"),
)


@pytest.mark.parametrize(("method", "path"), _PRIVATE)
@pytest.mark.parametrize("key", [None, "wrong"])
async def test_private_calls_need_a_good_key(method: str, path: str, key: str | None) -> None:
    async with running() as bench:
        headers = {} if key is None else {"X-Api-Key": key}
        answer = await bench.http.request(method, bench.sim.base_url + path, headers=headers)
        assert (answer.status_code, code(answer)) == (401, 401)


async def test_calls_without_a_user_agent_are_refused() -> None:
    async with running() as bench, httpx.AsyncClient(headers={"User-Agent": ""}) as bare:
        answer = await bare.get(bench.sim.base_url + "/info/markets")
        assert (answer.status_code, answer.json()["status"]) == (403, "ERROR")
        async with aiohttp.ClientSession(skip_auto_headers=["User-Agent"]) as silent:
            url = bench.sim.stream_url + "/account"
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await silent.ws_connect(url, headers={"X-Api-Key": MAKER})


async def test_the_account_stream_needs_a_good_key() -> None:
    async with running() as bench:
        for key in (None, "wrong"):
            with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
                async with bench.listening("/account", key):
                    pass


async def test_a_revoked_key_stays_revoked() -> None:
    async with running() as bench:
        bench.arm(FaultKind.KEY_REVOKED, account="maker")
        for _ in range(2):
            assert code(await bench.get("/user/orders")) == 401


async def test_paths_the_venue_does_not_have() -> None:
    async with running() as bench:
        for path in ("/user/orders/12", "/nothing"):
            answer = await bench.get(path)
            assert (answer.status_code, code(answer)) == (404, 404)
        with pytest.raises(aiohttp.WSServerHandshakeError, match="404"):
            async with bench.listening(""):
                pass
    async with running(answers=Answers(not_found_as_text=True)) as bench:
        answer = await bench.get("/nothing")
        assert answer.json()["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("window", list(RateWindow))
async def test_every_request_of_an_address_counts(window: RateWindow) -> None:
    hour = 3_600 * NS_PER_S
    async with running(rate_per_minute=5, rate_window=window, rate_window_ns=hour) as bench:
        seen = [(await bench.get("/info/status", None)).status_code for _ in range(3)]
        seen += [(await bench.get("/user/orders")).status_code for _ in range(2)]
        assert seen == [200, 200, 200, 200, 429]
        assert code(await bench.get("/user/orders")) == 429


@pytest.mark.parametrize("window", list(RateWindow))
async def test_an_address_is_heard_again_when_its_window_is_over(window: RateWindow) -> None:
    half = NS_PER_S // 2
    async with running(rate_per_minute=5, rate_window=window, rate_window_ns=half) as bench:
        for status in (429, 200):
            started = time.monotonic()
            while (await bench.get("/info/status")).status_code != status:
                assert time.monotonic() - started < 30


async def test_the_date_follows_the_venues_clock() -> None:
    async with running() as bench:
        bench.arm(FaultKind.CLOCK_SKEW, skew_s=-90.0)
        answer = await bench.get("/user/orders", "wrong")
        told = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        assert told == pytest.approx(time.time() - 90, abs=3)
        async with bench.listening("/account", MAKER) as stream:
            assert (await stream.next())["ts"] / 1000 == pytest.approx(time.time() - 90, abs=3)
        bench.sim.faults.clear()
        answer = await bench.get("/info/status")
        told = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        assert told == pytest.approx(time.time(), abs=3)


async def test_an_expiry_is_judged_by_the_venues_clock() -> None:
    async with running() as bench:
        bench.arm(FaultKind.CLOCK_SKEW, skew_s=30.0)
        assert code(await bench.send("buy", "990", life_s=20)) == 1135
        await bench.place("buy", "990", life_s=60)

"""Who may call what: keys, sessions, scopes, and the two readings of the documentation."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from tests.venues.ocx.simulator.bench import ACCOUNTS, MAKER, READER, Bench, order, running
from venues.ocx.simulator.settings import CredentialReading, ErrorStyle, SeedAccount, SignIn

WALLET = Account.from_key("0x" + "11" * 32)
OTHER = Account.from_key("0x" + "22" * 32)


def message(
    nonce: str, *, domain: str = "api.ocx.global", life: int = 600, chain: int = 84532
) -> str:
    now = datetime.now(UTC)
    expires = now + timedelta(seconds=life)
    return (
        f"{domain} wants you to sign in with your Ethereum account:\n{WALLET.address}\n\n"
        "Sign in to OCX\n\n"
        f"URI: https://api.ocx.global\nVersion: 1\nChain ID: {chain}\nNonce: {nonce}\n"
        f"Issued At: {now.isoformat()}\nExpiration Time: {expires.isoformat()}"
    )


def signed(text: str, account: Any = WALLET) -> dict[str, str]:
    signature = account.sign_message(encode_defunct(text=text)).signature.hex()
    return {"message": text, "signature": "0x" + signature.removeprefix("0x")}


async def nonce_of(bench: Bench) -> str:
    answer = await bench.post("/auth/nonce", {"walletAddress": WALLET.address}, None)
    assert answer.status_code == 200
    return str(answer.json()["nonce"])


async def sign_in(bench: Bench) -> str:
    body = signed(message(await nonce_of(bench)))
    answer = await bench.post("/auth/siwe", body, None)
    assert answer.status_code == 200, answer.text
    assert answer.json()["walletAddress"] == WALLET.address
    return answer.cookies["astra_session"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_wallet_signs_in_and_its_session_works_until_logout() -> None:
    async with running() as bench:
        token = await sign_in(bench)
        bench.http.cookies.clear()
        me = await bench.http.get("/auth/me", headers=bearer(token))
        assert me.json()["walletAddress"] == WALLET.address
        out = await bench.http.post("/auth/logout", headers=bearer(token))
        assert out.status_code == 200
        assert (await bench.http.get("/auth/me", headers=bearer(token))).json() is None
        late = await bench.http.get("/perps/balances", headers=bearer(token))
        assert late.status_code == 401


async def test_the_session_cookie_works_and_the_header_beats_it() -> None:
    async with running() as bench:
        await sign_in(bench)
        assert (await bench.http.get("/perps/balances")).status_code == 200
        answer = await bench.http.get("/perps/balances", headers=bearer("forged.token.here"))
        assert answer.status_code == 401


async def test_a_seeded_wallet_signs_in_to_its_own_account() -> None:
    seed = SeedAccount(name="owner", wallet_address=WALLET.address)
    async with running(accounts=(seed,)) as bench:
        token = await sign_in(bench)
        answer = await bench.http.get("/perps/balances", headers=bearer(token))
        assert answer.json()["equity"] == "100000"


async def test_a_nonce_works_once() -> None:
    async with running() as bench:
        body = signed(message(await nonce_of(bench)))
        assert (await bench.post("/auth/siwe", body, None)).status_code == 200
        again = await bench.post("/auth/siwe", body, None)
        assert (again.status_code, again.json()["error"]) == (400, "NONCE_MISMATCH")


@pytest.mark.parametrize(
    "changed", [{"domain": "evil.example"}, {"chain": 1}, {"life": -5}, {"life": 90_000}]
)
async def test_a_message_for_elsewhere_or_another_time_is_refused(changed: dict[str, Any]) -> None:
    async with running() as bench:
        body = signed(message(await nonce_of(bench), **changed))
        answer = await bench.post("/auth/siwe", body, None)
        assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_SIWE_MESSAGE")


async def test_another_wallets_or_a_mangled_signature_is_refused() -> None:
    async with running() as bench:
        for account, cut in ((OTHER, 0), (WALLET, 10)):
            body = signed(message(await nonce_of(bench)), account)
            body["signature"] = body["signature"][: len(body["signature"]) - cut]
            answer = await bench.post("/auth/siwe", body, None)
            assert (answer.status_code, answer.json()["error"]) == (401, "INVALID_SIGNATURE")


async def test_a_nonce_needs_an_address() -> None:
    async with running() as bench:
        for body in ({}, {"walletAddress": "0x12"}):
            assert (await bench.post("/auth/nonce", body, None)).status_code == 400


async def test_a_session_makes_lists_and_revokes_keys_and_the_secret_is_told_once() -> None:
    async with running() as bench:
        headers = bearer(await sign_in(bench))
        body = {"name": "bot", "scope": "trade", "allowedIps": [], "expiresInDays": 30}
        made = await bench.http.post("/perps/me/api-keys", json=body, headers=headers)
        assert made.status_code == 201
        secret = made.json()["secret"]
        assert secret.startswith("ocx_sk_")
        listed = await bench.http.get("/perps/me/api-keys", headers=headers)
        assert [key["status"] for key in listed.json()["keys"]] == ["active"]
        assert secret not in listed.text
        bench.http.cookies.clear()
        assert (await bench.get("/perps/balances", secret)).status_code == 200
        path = f"/perps/me/api-keys/{made.json()['id']}"
        assert (await bench.http.delete(path, headers=headers)).status_code == 200
        assert (await bench.get("/perps/balances", secret)).status_code == 401


async def test_a_key_never_manages_keys() -> None:
    async with running() as bench:
        assert (await bench.post("/perps/me/api-keys", {"name": "x"})).status_code == 403
        assert (await bench.get("/perps/me/api-keys", MAKER)).status_code == 403


async def test_a_key_is_bound_to_its_addresses() -> None:
    async with running() as bench:
        headers = bearer(await sign_in(bench))
        body = {"name": "bot", "scope": "trade", "allowedIps": ["10.1.2.3"]}
        made = await bench.http.post("/perps/me/api-keys", json=body, headers=headers)
        assert (await bench.get("/perps/balances", made.json()["secret"])).status_code == 403


async def test_missing_and_unknown_credentials_are_401_and_a_read_key_may_not_trade() -> None:
    async with running() as bench:
        assert (await bench.get("/perps/positions")).status_code == 401
        assert (await bench.get("/perps/positions", "ocx_sk_wrong")).status_code == 401
        assert (await bench.get("/perps/positions", READER)).status_code == 200
        answer = await bench.post("/perps/orders", order("buy", "900"), READER)
        assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN")


async def test_the_narrow_reading_leaves_keys_quotes_cancel_all_and_streams() -> None:
    async with running(credentials=CredentialReading.NARROW) as bench:
        assert (await bench.get("/perps/orders", MAKER)).status_code == 403
        assert (await bench.post("/perps/orders", order("buy", "900"))).status_code == 403
        assert (await bench.post("/perps/orders/preview", order("buy", "900"))).status_code == 200
        assert (await bench.post("/perps/orders/cancel-all")).status_code == 200
        assert (await bench.quote()).status_code == 200


async def test_streams_can_be_closed_to_keys() -> None:
    async with running(keys_open_streams=False) as bench:
        assert (await bench.get("/perps/stream/user", MAKER)).status_code == 403


async def test_bearer_keys_are_a_setting() -> None:
    for allowed, status in ((False, 401), (True, 200)):
        async with running(bearer_keys=allowed) as bench:
            answer = await bench.http.get("/perps/balances", headers=bearer(MAKER))
            assert answer.status_code == status


async def test_a_bad_key_does_not_hurt_public_reads() -> None:
    async with running() as bench:
        assert (await bench.get("/perps/markets", "ocx_sk_wrong")).status_code == 200


async def test_an_invite_opens_trading() -> None:
    async with running(sign_in=SignIn(invite_code="open"), accounts=ACCOUNTS) as bench:
        headers = bearer(await sign_in(bench))
        post = bench.http.post
        assert (await post("/perps/orders/cancel-all", headers=headers)).status_code == 403
        wrong = await post("/auth/redeem-invite", json={"code": "no"}, headers=headers)
        assert wrong.status_code == 400
        await post("/auth/redeem-invite", json={"code": "open"}, headers=headers)
        assert (await post("/perps/orders/cancel-all", headers=headers)).status_code == 200


async def test_gitbook_errors_carry_family_and_code() -> None:
    async with running(error_style=ErrorStyle.GITBOOK) as bench:
        answer = await bench.post("/perps/orders", order("buy", "1000", "5000"))
        assert answer.status_code == 422
        body = answer.json()
        assert (body["error"], body["code"]) == ("MarginError", "INSUFFICIENT_MARGIN")
        assert {"requiredIm", "availableIm"} <= set(body["details"])

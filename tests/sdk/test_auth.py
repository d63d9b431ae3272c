"""How connectors prove who they are: what is sent, when a login is made anew, and that no secret is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from pydantic import SecretStr

from hub.sdk import (
    ApiKey,
    Assertion,
    BodySignature,
    ClientCredentials,
    Http,
    MeshToken,
    RequestJwt,
    Retry,
    Stop,
    hmac_of,
    jwt_expiry,
)
from hub.sdk.http import LARGEST

SECRET = SecretStr("a secret that nobody may see")


class System:
    """An outside system that knows tokens, and counts logins."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.logins: list[httpx2.Request] = []
        self.valid = ""
        self.login_answers: list[httpx2.Response] = []
        self.lasts = 300

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path != "/token":
            self.requests.append(request)
            right = not self.valid or request.headers["authorization"] == f"Bearer {self.valid}"
            return httpx2.Response(200 if right else 401, json={})
        self.logins.append(request)
        if self.login_answers:
            return self.login_answers.pop(0)
        self.valid = f"token-{len(self.logins)}"
        return httpx2.Response(200, json={"access_token": self.valid, "expires_in": str(self.lasts)})


def client(system: System, auth: httpx2.Auth) -> Http:
    return Http("http://system", auth=auth, transport=httpx2.MockTransport(system))


def oauth(now: Callable[[], float] = lambda: 1000.0) -> ClientCredentials:
    form = {"client_id": "hub", "client_secret": SECRET.get_secret_value()}
    return ClientCredentials("http://system/token", form, scope="events", now=now)


async def sent(auth: httpx2.Auth, content: bytes = b"{}") -> httpx2.Request:
    system = System()
    await client(system, auth).send("POST", "/x", content=content)
    return system.requests[0]


async def test_a_key_and_a_signature_stand_in_the_header_that_the_system_wants() -> None:
    assert (await sent(ApiKey(SECRET))).headers["authorization"] == f"Bearer {SECRET.get_secret_value()}"
    assert (await sent(ApiKey(SECRET, "X-API-Key", ""))).headers["x-api-key"] == SECRET.get_secret_value()
    request = await sent(BodySignature("X-Signature", SECRET), b"the body")
    assert request.headers["x-signature"] == hmac_of(b"the body", SECRET)


async def test_a_jwt_is_made_for_each_request_and_can_be_verified_with_the_secret() -> None:
    moment = [1_700_000_000.0]
    auth = RequestJwt(SECRET, {"iss": "service"}, now=lambda: moment[0])
    for _ in range(2):
        token = (await sent(auth)).headers["authorization"].removeprefix("Bearer ")
        key = OctKey.import_key(SECRET.get_secret_value())
        assert jwt.decode(token, key).claims == {"iss": "service", "iat": int(moment[0])}
        moment[0] += 40


async def test_a_mesh_token_is_never_used_twice() -> None:
    auth = MeshToken("X26ABC1", SECRET, SECRET)
    assert len({(await sent(auth)).headers["authorization"] for _ in range(20)}) == 20


async def test_calls_at_once_share_one_login_and_a_token_is_asked_for_anew_before_it_ends() -> None:
    system, now = System(), [1000.0]
    http = client(system, oauth(lambda: now[0]))
    await asyncio.gather(*(http.get_json("/x") for _ in range(10)))
    assert len(system.logins) == 1
    assert b"grant_type=client_credentials" in system.logins[0].content
    now[0] += 269
    await http.get_json("/x")
    assert len(system.logins) == 1
    now[0] += 2  # 29 seconds before its end
    await http.get_json("/x")
    assert len(system.logins) == 2
    assert http.credential_expires == now[0] + 300


async def test_a_token_that_was_withdrawn_is_asked_for_anew_once() -> None:
    system = System()
    http = client(system, oauth())
    await http.get_json("/x")
    system.valid = "another"
    await http.get_json("/x")
    assert len(system.logins) == 2


async def endless() -> AsyncIterator[bytes]:
    for _ in range(2 * LARGEST >> 20):
        yield b" " * (1 << 20)
    pytest.fail("it was read on and on")


@pytest.mark.parametrize("status", [200, 400, 401, 503])
async def test_neither_a_login_nor_a_refused_token_is_read_without_end(status: int) -> None:
    system = System()
    system.login_answers = [httpx2.Response(status, content=endless())]
    with pytest.raises(Stop if status in (400, 401) else Retry):
        await client(system, oauth()).get_json("/x")

    def refusing(request: httpx2.Request) -> httpx2.Response:
        return system(request) if request.url.path == "/token" else httpx2.Response(401, content=endless())

    http = Http("http://system", auth=oauth(), transport=httpx2.MockTransport(refusing))
    with pytest.raises(Retry, match="longer than 16 MiB"):
        await http.get_json("/x")


async def test_a_system_that_refuses_every_token_stops_the_instance() -> None:
    system = System()

    def refusing(request: httpx2.Request) -> httpx2.Response:
        return system(request) if request.url.path == "/token" else httpx2.Response(401)

    http = Http("http://system", auth=oauth(), transport=httpx2.MockTransport(refusing))
    with pytest.raises(Stop):
        await http.get_json("/x")
    assert len(system.logins) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx2.Response(400, json={"error": "invalid_client"}), Stop),
        (httpx2.Response(401), Stop),
        (httpx2.Response(429, headers={"retry-after": "7"}), Retry),
        (httpx2.Response(503), Retry),
        (httpx2.Response(200, content=b"<html>"), Retry),
        (httpx2.Response(200, json={"token": "elsewhere"}), Retry),
        (httpx2.Response(200, json=[]), Retry),
    ],
)
async def test_a_login_that_fails_is_named_by_what_happens_next_and_tells_no_secret(
    answer: httpx2.Response, error: type[Exception]
) -> None:
    system = System()
    system.login_answers = [answer]
    http = client(system, oauth())
    with pytest.raises(error) as caught:
        await http.get_json("/x")
    assert SECRET.get_secret_value() not in f"{caught.value} {caught.value!r} {http.auth!r}"
    assert not system.requests
    await http.get_json("/x")  # the next call logs in


def test_an_assertion_is_new_for_each_login_and_verifies_with_the_public_key() -> None:
    key = RSAKey.generate_key(2048)
    made = Assertion("the-key", "https://system/token", SecretStr(key.as_pem(private=True).decode()), "kid-1")
    forms: list[dict[str, Any]] = [made.form(), made.form()]
    told = [jwt.decode(form["client_assertion"], key, algorithms=["RS512"]) for form in forms]
    assert told[0].claims["jti"] != told[1].claims["jti"]
    for one in told:
        assert one.header["kid"] == "kid-1"
        assert (one.claims["iss"], one.claims["sub"]) == ("the-key", "the-key")
        assert one.claims["aud"] == "https://system/token"
        assert one.claims["exp"] - one.claims["iat"] <= 300


def test_when_another_partys_token_ends_is_read_and_nonsense_ends_never() -> None:
    token = jwt.encode({"alg": "HS256"}, {"exp": 1_800_000_000}, OctKey.import_key("k" * 32))
    assert jwt_expiry(token) == 1_800_000_000
    for nonsense in ("", "a.b.c", "a.e30.c", "....", "a.bnVsbA.c"):
        assert jwt_expiry(nonsense) == 0

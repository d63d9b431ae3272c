"""Ready-made authentication for `Http(auth=…)`: each request carries a header made for it alone."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
import uuid
from base64 import urlsafe_b64decode
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any

import httpx2
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from pydantic import SecretStr

from hub.sdk.errors import Retry, Stop
from hub.sdk.http import decoded, raise_for, read_whole

Now = Callable[[], float]


class HeaderAuth(httpx2.Auth):
    """Base of those that add one header: `text` gives its value for a request, anew for every attempt."""

    header = "Authorization"
    requires_request_body = True

    def text(self, request: httpx2.Request) -> str:
        """The header's value."""
        raise NotImplementedError

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Add the header and send."""
        request.headers[self.header] = self.text(request)
        yield request


class ApiKey(HeaderAuth):
    """A fixed key in a header: `ApiKey(config.api_key)` as bearer, `ApiKey(config.key, "X-API-Key", "")`."""

    def __init__(self, key: SecretStr, header: str = "Authorization", scheme: str = "Bearer") -> None:
        self.header = header
        self._key = key
        self._scheme = f"{scheme} " if scheme else ""

    def text(self, request: httpx2.Request) -> str:
        """The key, after its scheme if it has one."""
        return self._scheme + self._key.get_secret_value()


class BodySignature(HeaderAuth):
    """The lower-case hex HMAC of the body in a header."""

    def __init__(self, header: str, secret: SecretStr, digest: str = "sha256") -> None:
        self.header = header
        self._secret, self._digest = secret, digest

    def text(self, request: httpx2.Request) -> str:
        """The signature."""
        return hmac.new(self._secret.get_secret_value().encode(), request.content, self._digest).hexdigest()


class RequestJwt(HeaderAuth):
    """A bearer token that the client signs itself, a new one for every request: HS256 over `claims` and `iat`.

    GOV.UK Notify: `RequestJwt(secret, {"iss": service_id})`; `iat` must be within 30 seconds of its clock.
    """

    def __init__(self, secret: SecretStr, claims: Mapping[str, Any], now: Now = time) -> None:
        self._secret, self._claims, self._now = secret, dict(claims), now

    def text(self, request: httpx2.Request) -> str:
        """`Bearer` and the token."""
        claims = {**self._claims, "iat": int(self._now())}
        key = OctKey.import_key(self._secret.get_secret_value())
        return "Bearer " + jwt.encode({"alg": "HS256", "typ": "JWT"}, claims, key)


class MeshToken(HeaderAuth):
    """NHS MESH's header: single use, so a fresh nonce for every attempt.

    `NHSMESH mailbox:nonce:count:yyyyMMddHHmm:hash`, the hash being the hex HMAC-SHA256 under the environment's
    shared key of `mailbox:nonce:count:password:yyyyMMddHHmm` (MESH API specification). MESH refuses times more
    than two hours from its own.
    """

    def __init__(self, mailbox: str, password: SecretStr, shared_key: SecretStr, now: Now = time) -> None:
        self._mailbox, self._password, self._shared_key = mailbox.upper(), password, shared_key
        self._now = now

    def text(self, request: httpx2.Request) -> str:
        """The header with a nonce of its own."""
        return self.token(str(uuid.uuid4()), 0)

    def token(self, nonce: str, count: int) -> str:
        """The header for a given nonce; pure but for the time."""
        stamp = datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%d%H%M")
        hidden = f"{self._mailbox}:{nonce}:{count}:{self._password.get_secret_value()}:{stamp}"
        key = self._shared_key.get_secret_value().encode()
        digest = hmac.new(key, hidden.encode(), hashlib.sha256).hexdigest()
        return f"NHSMESH {self._mailbox}:{nonce}:{count}:{stamp}:{digest}"


@dataclass(frozen=True, slots=True)
class Token:
    """A token that a system gave, and when it ends (epoch seconds; 0 if the system does not say)."""

    value: SecretStr
    expires: float = 0


class Login(httpx2.Auth):
    """A token that is asked for, kept, asked for again `early_s` before its end, and once after a 401.

    A subclass says how: `token_request` makes the request, `read` finds the token in its answer. The request
    goes through the same client, to an absolute URL. A refused login raises `Stop`, one that fails otherwise
    `Retry`. Concurrent calls share one login.
    """

    header = "Authorization"
    scheme = "Bearer"
    early_s = 30.0

    def __init__(self, now: Now = time) -> None:
        self._now = now
        self._token: Token | None = None
        self._turn = asyncio.Lock()

    def token_request(self) -> httpx2.Request:
        """The request for a token; called anew for each."""
        raise NotImplementedError

    def read(self, answer: Any) -> Token:
        """The token in the decoded JSON answer. KeyError and ValueError are taken as a failed login."""
        raise NotImplementedError

    @property
    def expires(self) -> float:
        """When the present token ends, epoch seconds; 0 for unknown."""
        return self._token.expires if self._token else 0

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Log in if need be, send, and once more with a new token if that one is refused."""
        used = None
        for _ in range(2):
            async with self._turn:
                if self._token is None or self._token is used or self._ends():
                    asked = self.token_request()
                    asked.extensions = {**request.extensions, **asked.extensions}  # its time limits
                    response = yield asked
                    self._token = await self._read(response)
                used = self._token
            secret = used.value.get_secret_value()
            request.headers[self.header] = f"{self.scheme} {secret}" if self.scheme else secret
            response = yield request
            if response.status_code != 401:
                return
            await read_whole(response)  # or else the client does before it sends again, without limit

    def _ends(self) -> bool:
        return self.expires > 0 and self._now() > self.expires - self.early_s

    async def _read(self, response: httpx2.Response) -> Token:
        if not response.is_success:
            if 400 <= response.status_code < 500 and response.status_code not in (408, 425, 429):
                raise Stop(f"the login answered {response.status_code}: check the instance's credentials")
            raise_for(response.status_code, response.headers, f"the login answered {response.status_code}")
        await read_whole(response)
        try:
            return self.read(decoded(response))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Retry(f"the answer to the login holds no token: {type(error).__name__}") from None


class ClientCredentials(Login):
    """OAuth 2.0 client credentials (RFC 6749, 4.4), with a secret or with a signed assertion (RFC 7523)."""

    def __init__(
        self,
        token_url: str,
        client: Mapping[str, str] | Callable[[], Mapping[str, str]],
        scope: str = "",
        now: Now = time,
    ) -> None:
        super().__init__(now)
        self._url, self._client, self._scope = token_url, client, scope

    def token_request(self) -> httpx2.Request:
        """The form of the grant."""
        client = self._client() if callable(self._client) else self._client
        form = {"grant_type": "client_credentials", **client}
        if self._scope:
            form["scope"] = self._scope
        return httpx2.Request("POST", self._url, data=form, headers={"Accept": "application/json"})

    def read(self, answer: Any) -> Token:
        """`access_token` and `expires_in` (a number, or as some systems have it, a text)."""
        lasts = float(answer.get("expires_in") or 0)
        return Token(SecretStr(answer["access_token"]), self._now() + lasts if lasts else 0)


@dataclass(frozen=True, slots=True)
class Assertion:
    """A JWT with which a client proves who it is (RFC 7523): a new one, with its own `jti`, for every login.

    NHS APIs: `alg` RS512, `issuer` the API key, `audience` the token URL, `kid` as registered, at most 5 minutes.
    """

    issuer: str
    audience: str
    private_key: SecretStr
    kid: str
    alg: str = "RS512"
    lasts_s: int = 300

    def form(self) -> dict[str, str]:
        """The fields of the token request: `ClientCredentials(url, assertion.form)`."""
        now = int(time())
        claims = {
            "iss": self.issuer,
            "sub": self.issuer,
            "aud": self.audience,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + self.lasts_s,
        }
        key = RSAKey.import_key(self.private_key.get_secret_value())
        header = {"alg": self.alg, "typ": "JWT", "kid": self.kid}
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(header, claims, key, algorithms=[self.alg]),
        }


def jwt_expiry(token: str) -> float:
    """`exp` of a JWT that another party made for itself, epoch seconds; 0 where there is none. Nothing is verified."""
    try:
        body = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return float(claims.get("exp") or 0)
    except (IndexError, ValueError, AttributeError, TypeError):
        return 0


def client_certificate(certificate: Path, key: Path, authority: Path | None = None) -> ssl.SSLContext:
    """For mutual TLS, `Policy(tls=…)`: our certificate and key, and whose certificates we believe (default: the
    system's). Raises OSError or ssl.SSLError where a file is missing or not what it should be."""
    context = ssl.create_default_context(cafile=str(authority) if authority else None)
    context.load_cert_chain(str(certificate), str(key))
    return context

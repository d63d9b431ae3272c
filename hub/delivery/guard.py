"""Connections only to addresses that deliveries may go to, judged on the very address that is connected to.

A name is resolved once, here, and the connection is made to the result: a name server that answers twice, first
with a public and then with a private address, gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import lru_cache, partial

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from hub.delivery.address import AddressError, is_allowed, read_address

# Shorter than the 5 s after which common servers (uvicorn, Node) close an idle connection: whoever uses one
# just as it is being closed gets no answer, and does not know whether the event arrived.
_KEEP_S = 4.0
_MOST_ADDRESSES = 4
# As many as sixteen subscriptions use at once (see `lanes.Limits`). There is none for all hosts together: the
# hosts that hang would starve the others.
_MOST_PER_HOST = 256
# Names that are looked up at once. uvloop's own way has room for two, and one whose name servers do not answer
# takes its place for 10 to 20 s. aiohttp looks a name up once for all who wait for it.
_LOOKUPS = 32

connected_to: ContextVar[list[str]] = ContextVar("connected_to")
"""Set to a list before a request, it gets the addresses that were connected to for it: none if a kept
connection was used."""


def guarded_session(*, allow_local: bool, trust: ssl.SSLContext) -> aiohttp.ClientSession:
    """A client for the running event loop that judges every connection; with `allow_local`, this machine is
    allowed too. `trust` holds the certificate authorities.

    No cookies, no proxies, nothing from the environment, answers left packed as they came. It has no time
    limit: the caller sets one over the whole attempt. Requests raise AddressError or aiohttp.ClientError.
    """
    connector = _GuardedConnector(
        ssl=trust,
        resolver=_GuardedResolver(allow_local),
        socket_factory=partial(_guarded_socket, allow_local),
        keepalive_timeout=_KEEP_S,
        limit=0,
        limit_per_host=_MOST_PER_HOST,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("accept", "accept-encoding"),
    )


@lru_cache(maxsize=4096)
def target(url: str) -> URL:
    """`url` as it is sent: as written, except that an address as the host is put in its usual spelling.

    aiohttp refuses `2130706433` and the like; browsers send them so (WHATWG URL, host parsing). Raises
    AddressError for what is no URL.
    """
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise _unreadable()
    try:
        parsed = URL(url, encoded=True)
        host = parsed.raw_host
    except ValueError:
        raise _unreadable() from None
    if not host or parsed.scheme not in ("http", "https"):
        raise _unreadable()
    address = read_address(host)
    return parsed if address is None else parsed.with_host(str(address))


def _unreadable() -> AddressError:
    return AddressError("the subscriber's URL cannot be read")


class _GuardedConnector(aiohttp.TCPConnector):
    """Closes its resolver too, which aiohttp leaves to whoever made that."""

    async def close(self, *, abort_ssl: bool = False) -> None:
        await super().close(abort_ssl=abort_ssl)
        await self._resolver.close()


class _GuardedResolver(AbstractResolver):
    """Names to addresses, all of which must be allowed. Not asked for a host that is an address itself."""

    def __init__(self, allow_local: bool) -> None:
        self._allow_local = allow_local
        self._threads = ThreadPoolExecutor(_LOOKUPS, "lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The first few addresses of `host`; they are tried in turn. Raises AddressError."""
        look_up = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        except (OSError, UnicodeError):
            raise AddressError("the subscriber's host name does not resolve") from None
        # A scope (`fe80::1%eth0`) only comes with link-local addresses, which are never allowed.
        addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
        # All must be: a name with one public and one private address is no honest mistake.
        for address in addresses:
            _judge(address, self._allow_local)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses[:_MOST_ADDRESSES]
        ]

    async def close(self) -> None:
        """Give up what is being looked up."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _guarded_socket(allow_local: bool, info: aiohttp.AddrInfoType) -> socket.socket:
    """The socket of every single connection is made here, whether its host was a name or an address."""
    family, kind, protocol, _, address = info
    _judge(str(address[0]), allow_local)
    connected_to.get([]).append(str(address[0]))
    return socket.socket(family, kind, protocol)


def _judge(address: str, allow_local: bool) -> None:
    if not is_allowed(ipaddress.ip_address(address), allow_local=allow_local):
        raise AddressError("the subscriber's host is at an address that is not public")

"""Connections only to addresses that deliveries may go to, judged on the very address that is connected to.

A name is resolved once, here, and the connection is made to the result: a name server that answers twice, first
with a public and then with a private address, gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore2
import httpx2

from hub.delivery.address import AddressError, is_allowed

# Shorter than the 5 s after which common servers (uvicorn, Node) close an idle connection: whoever uses one
# just as it is being closed gets no answer, and does not know whether the event arrived.
_KEEP_S = 4.0
_MOST_ADDRESSES = 4
_SWEEP_S = 60.0


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    def __init__(self, allow_local: bool) -> None:
        self._allow_local = allow_local
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = (await self._resolve(host, port))[:_MOST_ADDRESSES]
        each = timeout / len(addresses) if timeout is not None else None
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, each, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue  # such as IPv6 from a machine that has none
        return await self._inner.connect_tcp(addresses[-1], port, each, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def _resolve(self, host: str, port: int) -> list[str]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise AddressError("the subscriber's host name does not resolve") from None
        # A scope (`fe80::1%eth0`) only comes with link-local addresses, which are never allowed.
        addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
        parsed = map(ipaddress.ip_address, addresses)
        # All must be: a name with one public and one private address is no honest mistake.
        if not all(is_allowed(address, allow_local=self._allow_local) for address in parsed):
            raise AddressError("the subscriber's host name resolves to an address that is not public")
        return addresses


class _Pool(httpx2.AsyncHTTPTransport):
    """The connections to one host, with the backend that judges them."""

    def __init__(self, trust: ssl.SSLContext, backend: httpcore2.AsyncNetworkBackend) -> None:
        super().__init__(verify=trust, trust_env=False)
        # httpx2 has no parameter for the network backend; its pool is made the way it makes it itself.
        self._pool = self.connections = httpcore2.AsyncConnectionPool(
            ssl_context=trust, max_connections=None, keepalive_expiry=_KEEP_S, network_backend=backend
        )
        self.used = 0.0

    @property
    def idle(self) -> bool:
        return all(one.is_idle() or one.is_closed() for one in self.connections.connections)


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Every connection is judged; with `allow_local`, this machine is allowed too. Belongs to one event loop.

    `trust` replaces the certificate authorities of the system. Each host has a pool of its own: httpcore2 looks
    at every connection of a pool for every request (at 200 hosts, that was 4 ms each). Connections are as many
    as are asked for: with a common limit, the subscribers that hang would starve the others.
    """

    def __init__(self, *, allow_local: bool, trust: ssl.SSLContext | None = None) -> None:
        self._trust = trust or httpx2.create_ssl_context(trust_env=False)
        self._backend = _GuardedBackend(allow_local)
        self._pools: dict[tuple[str, str, int | None], _Pool] = {}
        self._swept = 0.0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request over the pool of its host. Raises AddressError, or what httpx2 raises."""
        now = asyncio.get_running_loop().time()
        if now - self._swept > _SWEEP_S:
            self._swept = now
            await self._sweep(now - _SWEEP_S)
        url = request.url
        origin = (url.scheme, url.host, url.port)
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = _Pool(self._trust, self._backend)
        pool.used = now
        return await pool.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in list(self._pools.values()):
            await pool.aclose()

    async def _sweep(self, before: float) -> None:
        """Close what a host that nothing goes to any more has left behind."""
        unused = [origin for origin, pool in self._pools.items() if pool.used < before and pool.idle]
        for pool in [self._pools.pop(origin) for origin in unused]:
            await pool.aclose()

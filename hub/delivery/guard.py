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


def guarded_transport(*, allow_local: bool, trust: ssl.SSLContext | None = None) -> httpx2.AsyncHTTPTransport:
    """A transport whose every connection is judged; with `allow_local`, this machine is allowed too.

    `trust` replaces the certificate authorities of the system. Connections are as many as are asked for: a
    common limit would let the subscribers that hang starve the others.
    """
    context = trust or httpx2.create_ssl_context(trust_env=False)
    transport = httpx2.AsyncHTTPTransport(verify=context, trust_env=False)
    # httpx2 has no parameter for the network backend; its pool is made the way it makes it itself.
    transport._pool = httpcore2.AsyncConnectionPool(
        ssl_context=context,
        max_connections=None,
        max_keepalive_connections=256,
        keepalive_expiry=_KEEP_S,
        network_backend=_GuardedBackend(allow_local),
    )
    return transport

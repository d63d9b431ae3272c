"""Connections only to addresses that deliveries may go to, judged on the very address that is connected to.

A name is resolved once, here, and the connection is made to the result: a name server that answers twice, first
with a public and then with a private address, gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

import httpcore2
import httpx2

from hub.delivery.address import AddressError, is_allowed


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
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            raise httpcore2.ConnectError("the subscriber's name does not resolve") from None
        addresses = [str(entry[4][0]) for entry in found]
        allowed = [a for a in addresses if is_allowed(ipaddress.ip_address(a), allow_local=self._allow_local)]
        if not allowed:
            raise AddressError("the subscriber's name resolves to a private address")
        return await self._inner.connect_tcp(allowed[0], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def guarded_transport(*, allow_local: bool) -> httpx2.AsyncHTTPTransport:
    """A transport whose every connection is judged; with `allow_local`, this machine is allowed too."""
    transport = httpx2.AsyncHTTPTransport(trust_env=False)
    # httpx2 has no parameter for the network backend; its pool is made the way it makes it itself.
    transport._pool = httpcore2.AsyncConnectionPool(
        ssl_context=httpx2.create_ssl_context(trust_env=False),
        max_connections=512,
        max_keepalive_connections=128,
        keepalive_expiry=30.0,
        network_backend=_GuardedBackend(allow_local),
    )
    return transport

"""Which addresses a delivery may go to: never into the hub's own network (SSRF), however it is spelled.

`check_url` judges what is written when a subscription is made. What a name resolves to can change afterwards,
so `is_allowed` is asked again with the very address that a connection is about to be made to.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST_URL = 2048
_WRITTEN = re.compile(r"[\x21-\x7e]+")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
# Names that only mean something inside a network (RFC 6761, 6762, 8375; `.internal` by ICANN, 2024).
_INNER_NAMES = (".local", ".localdomain", ".internal", ".intranet", ".lan", ".home.arpa", ".test", ".invalid")
_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
_TUNNELS_6 = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# They look public and are not: Azure's platform, protocol assignments (Oracle's metadata), the 6to4 relay.
_NOT_PUBLIC_4 = tuple(map(ipaddress.IPv4Network, ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24")))


class AddressError(ValueError):
    """An address that deliveries may not go to. The text says what to do, and never repeats the URL."""


def check_url(url: str, *, allow_local: bool = False) -> None:
    """Raises AddressError unless `url` is one that a subscription may have.

    That is `https` to a public host; with `allow_local`, also `http` or `https` to this machine (for
    `hub listen` and tests). Refused: user names and passwords, fragments, hosts in the hub's own network.
    """
    if len(url) > _LONGEST_URL or not _WRITTEN.fullmatch(url) or "\\" in url:
        raise AddressError(
            "the URL is too long (2,048), or has spaces, backslashes or characters outside ASCII; "
            "percent-encode the path, and write an international host name as `xn--…`"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AddressError("the URL's host or port cannot be read; write https://host/path") from None
    bracketed = "[" in parts.netloc
    if parts.scheme not in ("http", "https") or not host or port == 0 or bracketed != (":" in host):
        raise AddressError("write the URL as https://host/path")
    if "@" in parts.netloc:
        raise AddressError("the URL has a user name or password; take it out, deliveries are signed")
    if "#" in url:
        raise AddressError("the URL has a fragment (#…); take it out, it would never be sent")
    local = _check_host(host, allow_local)
    if parts.scheme == "http" and not local:
        raise AddressError("the URL must be https; only a subscriber on this machine may use http")


def is_allowed(address: Address, *, allow_local: bool = False) -> bool:
    """Whether a delivery may connect to `address`: a public one, or with `allow_local` this machine."""
    inner = _embedded(address)
    if inner.is_loopback:
        return allow_local
    if isinstance(inner, ipaddress.IPv4Address):
        special = any(inner in network for network in _NOT_PUBLIC_4)
        return inner.is_global and not inner.is_multicast and not special
    tunnel = any(inner in network for network in _TUNNELS_6)
    return inner.is_global and inner in _UNICAST_6 and not tunnel


def read_address(host: str) -> Address | None:
    """The address that `host` spells, in any way that `inet_aton` and browsers take; None for a name.

    `127.1`, `2130706433`, `0177.0.0.1` and `0x7f.1` are all 127.0.0.1. Raises AddressError for none.
    """
    if ":" in host:
        try:
            if "%" in host:  # a zone names an interface of the hub's own machine
                raise ValueError
            return ipaddress.IPv6Address(host)
        except ValueError:
            raise AddressError("the URL's IPv6 address cannot be read; use the host's name") from None
    labels = host.split(".")
    if not _NUMBER.fullmatch(labels[-1]):
        return None
    try:
        *head, last = [_number(label) for label in labels]
        if len(head) > 3 or any(part > 255 for part in head) or last >= 256 ** (4 - len(head)):
            raise ValueError
        return ipaddress.IPv4Address(sum(part << (24 - 8 * i) for i, part in enumerate(head)) + last)
    except ValueError:
        raise AddressError("the URL's IPv4 address cannot be read; use the host's name") from None


def _check_host(host: str, allow_local: bool) -> bool:
    """Whether `host` is this machine. Raises AddressError for one that is neither that nor public."""
    host = host.removesuffix(".").lower()
    address = read_address(host)
    if host == "localhost" or host.endswith(".localhost") or (address and _embedded(address).is_loopback):
        if not allow_local:
            raise AddressError("the URL points at the hub's own machine; give a public host")
        return True
    if address is not None:
        if not is_allowed(address):
            raise AddressError("the URL points into a private network; give a public host")
    elif not _NAME.fullmatch(host) or host.endswith(_INNER_NAMES):
        raise AddressError("the URL's host is not a full public name such as hooks.example.gov.uk; give one")
    return False


def _embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv4-mapped or NAT64 one, since that is where packets would go."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _number(label: str) -> int:
    """A part of an IPv4 address: decimal, octal with `0`, hexadecimal with `0x`. Raises ValueError."""
    if not _NUMBER.fullmatch(label):
        raise ValueError
    if label[:2] in ("0x", "0X"):
        return int(label[2:] or "0", 16)
    return int(label, 8) if label.startswith("0") else int(label)

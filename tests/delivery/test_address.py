"""Where deliveries may go: to public hosts, and nowhere near the hub's own network, however it is spelled."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.delivery.address import AddressError, check_url, is_allowed, read_address

LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7F.1",
    "017700000001",
    "0177.0.0.1",
    "0x7f.0.0.0x1",
    "127.255.255.254",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.0.0.1.",
    "a.localhost",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:FFFF:7F00:0001]",
    "[64:ff9b::127.0.0.1]",
]
PRIVATE = [
    "10.0.0.1",
    "10.1",
    "172.16.0.1",
    "192.168.1.1",
    "192.168.257",
    "3232235777",
    "0xC0A80101",
    "0300.0250.1.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[::169.254.169.254]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[fc00::1]",
    "[ff02::1]",
    "[::]",
    "[2001:db8::1]",
    "0.0.0.0",
    "0",
    "0x0",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "192.88.99.1",
]
NOT_PUBLIC_NAMES = [
    "metadata.google.internal",
    "kafka",
    "postgres",
    "printer.local",
    "host.home.arpa",
    "x.localdomain",
    "a..example.uk",
    "-a.example.uk",
    "example.123x.0x1g",
    "256.256.256.256",
    "1.2.3.4.5",
    "09.1.1.1",
    "[::1%25eth0]",
    "[v1.a]",
]


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.gov.uk/events?council=1",
        "https://hooks.example.gov.uk:8443",
        "https://hooks.example.gov.uk:9092/odd-port",
        "https://xn--caf-dma.example.uk/%E2%82%AC",
        "https://81.2.69.142/x",
        "https://[2a00:23c0::1]/x",
        "HTTPS://Hooks.Example.GOV.UK./x",
    ],
)
def test_a_public_https_url_is_taken(url: str) -> None:
    check_url(url)
    check_url(url, allow_local=True)


@pytest.mark.parametrize("host", LOOPBACK)
def test_this_machine_is_refused_in_every_spelling_unless_allowed(host: str) -> None:
    for scheme in ("http", "https"):
        with pytest.raises(AddressError, match="own machine"):
            check_url(f"{scheme}://{host}:8000/x")
        check_url(f"{scheme}://{host}:8000/x", allow_local=True)


@pytest.mark.parametrize("host", PRIVATE)
@pytest.mark.parametrize("allow_local", [False, True])
def test_private_and_metadata_addresses_are_refused_in_every_spelling(host: str, allow_local: bool) -> None:
    with pytest.raises(AddressError, match="private network"):
        check_url(f"https://{host}/latest/meta-data", allow_local=allow_local)


@pytest.mark.parametrize("host", NOT_PUBLIC_NAMES)
def test_a_host_that_is_no_public_name_is_refused(host: str) -> None:
    with pytest.raises(AddressError):
        check_url(f"https://{host}/x", allow_local=True)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("http://hooks.example.gov.uk/x", "must be https"),
        ("ftp://hooks.example.gov.uk/x", "https://host/path"),
        ("file:///etc/passwd", "https://host/path"),
        ("//hooks.example.gov.uk/x", "https://host/path"),
        ("https:///x", "https://host/path"),
        ("hooks.example.gov.uk", "https://host/path"),
        ("", "characters"),
        ("https://user:hunter2@hooks.example.gov.uk/x", "take it out"),
        ("https://hooks.example.gov.uk@10.0.0.1/x", "take it out"),
        ("https://@hooks.example.gov.uk/x", "take it out"),
        ("https://hooks.example.gov.uk/x#hunter2", "fragment"),
        ("https://hooks.example.gov.uk/x#", "fragment"),
        ("https://hooks.example.gov.uk:0/x", "https://host/path"),
        ("https://hooks.example.gov.uk:99999/x", "cannot be read"),
        ("https://hooks.example.gov.uk:x/", "cannot be read"),
        ("https://hooks.example.gov.uk\\@10.0.0.1/", "backslashes"),
        ("https://hooks.example.gov.uk/a b", "spaces"),
        ("https://hooks.example.gov.uk/\r\nX-A: b", "spaces"),
        ("https://hooks.example.gov.uk\t/x", "spaces"),
        ("https://\uff11\uff12\uff17.0.0.1/x", "xn--"),
        ("https://hooks\u3002example.uk/x", "xn--"),
        ("https://127.0.0.1%2f@x/", "take it out"),
        ("https://hooks%2eexample.uk/", "full public name"),
        ("https://hooks.example.gov.uk/" + "a" * 3000, "too long"),
    ],
)
def test_every_refusal_names_its_remedy_and_does_not_repeat_the_url(url: str, remedy: str) -> None:
    with pytest.raises(AddressError, match=remedy) as caught:
        check_url(url)
    assert "hunter2" not in str(caught.value)


@given(st.integers(min_value=0, max_value=2**32 - 1), st.sampled_from(["{}", "{:#x}", "0{:o}"]))
def test_an_address_as_one_number_is_read_as_the_c_library_reads_it(number: int, spelling: str) -> None:
    host = spelling.format(number)
    assert read_address(host) == ipaddress.IPv4Address(socket.inet_aton(host))


@given(
    st.lists(st.integers(0, 255), min_size=1, max_size=4), st.lists(st.sampled_from(["{}", "{:#x}", "0{:o}"]))
)
def test_dotted_parts_in_any_base_are_read_as_the_c_library_reads_them(
    parts: list[int], forms: list[str]
) -> None:
    forms = (forms + ["{}"] * 4)[: len(parts)]
    host = ".".join(form.format(part) for form, part in zip(forms, parts, strict=True))
    assert read_address(host) == ipaddress.IPv4Address(socket.inet_aton(host))


@given(st.ip_addresses(v=4))
def test_an_address_and_its_ipv6_mapping_are_judged_alike(address: ipaddress.IPv4Address) -> None:
    for allow_local in (False, True):
        mapped = ipaddress.IPv6Address(f"::ffff:{address}")
        assert is_allowed(mapped, allow_local=allow_local) is is_allowed(address, allow_local=allow_local)


@given(st.ip_addresses())
def test_no_address_is_allowed_that_the_standard_library_knows_as_private(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if address.is_private or address.is_link_local or address.is_multicast or address.is_unspecified:
        mapped = getattr(address, "ipv4_mapped", None)
        assert not is_allowed(address) or (mapped is not None and is_allowed(mapped))

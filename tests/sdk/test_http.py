"""What the HTTP client makes of answers: errors are named by what happens next."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from hub.sdk import Http, Refused, Reject, Retry, Stop
from hub.sdk.http import LARGEST


def answering(status: int = 200, **answer: object) -> Http:
    return Http("http://system", transport=httpx2.MockTransport(lambda _: httpx2.Response(status, **answer)))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_retried(status: int) -> None:
    with pytest.raises(Retry):
        await answering(status).get_json("/x")


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_stop(status: int) -> None:
    with pytest.raises(Stop):
        await answering(status).get_json("/x")


@pytest.mark.parametrize("status", [302, 400, 404, 409, 410, 412, 422])
async def test_any_other_status_is_refused_and_can_be_looked_into_without_telling_its_body(
    status: int,
) -> None:
    with pytest.raises(Refused) as caught:
        await answering(status, json={"code": "P0402", "name": "A Person"}).get_json("/x")
    assert isinstance(caught.value, Reject)
    assert caught.value.status == status
    assert caught.value.says("code") == "P0402"
    assert "A Person" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"[" * 100_000])
async def test_a_refusal_without_a_json_object_says_nothing(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        await answering(404, content=body).get_json("/x")
    assert caught.value.says("code") is None


async def test_retry_after_is_honoured_in_both_forms() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    for text, least, most in (
        ("7", 7, 7),
        (soon, 80, 91),
        ("nonsense", None, None),
        ("Wed, 21 Oct 2015", None, None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
    ):
        with pytest.raises(Retry) as caught:
            await answering(503, headers={"Retry-After": text}).get_json("/x")
        after = caught.value.after
        assert after is None if least is None else after is not None and least <= after <= most


@pytest.mark.parametrize("body", [b"<html>", b'{"half": ', b"\xff", b"[" * 100_000])
async def test_an_answer_that_is_not_json_is_retried(body: bytes) -> None:
    with pytest.raises(Retry, match="not JSON"):
        await answering(content=body).get_json("/x")


async def test_an_answer_that_cannot_be_unpacked_is_retried() -> None:
    with pytest.raises(Retry):
        await answering(content=b"not gzip", headers={"Content-Encoding": "gzip"}).get_json("/x")


async def endless(compressed: bool) -> AsyncIterator[bytes]:
    """More than anybody may read; compressed, a hundredth of it is too much already."""
    packed, most = zlib.compressobj(wbits=31), LARGEST // 100 if compressed else 2 * LARGEST
    sent = 0
    while sent < most:
        piece = packed.compress(b" " * (1 << 20)) if compressed else b" " * (1 << 20)
        sent += len(piece)
        yield piece
    pytest.fail("it was read on and on")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("status", "error"), [(200, Retry), (400, Refused), (401, Stop), (503, Retry)])
async def test_an_answer_without_end_is_given_up_and_its_status_still_counts(
    compressed: bool, status: int, error: type[Exception]
) -> None:
    headers = {"Content-Encoding": "gzip"} if compressed else {}
    http = answering(status, content=endless(compressed), headers=headers)
    with pytest.raises(error, match="longer than 16 MiB" if status == 200 else str(status)):
        await http.get_json("/x")


async def test_an_answer_of_the_largest_size_is_read_compressed_or_not() -> None:
    body = b'"' + b"x" * (LARGEST - 2) + b'"'
    for content, headers in ((body, {}), (gzip.compress(body), {"Content-Encoding": "gzip"})):
        assert len(await answering(content=content, headers=headers).get_json("/x")) == LARGEST - 2

"""What the HTTP client makes of answers: errors are named by what happens next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from hub.sdk import Http, Refused, Reject, Retry, Stop


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

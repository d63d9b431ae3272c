"""Requests and raw records of webhook sources, however odd their JSON."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from hub.sdk import Request, Unauthorised
from hub.sdk.webhook import lookup, outline_of

_BODY, _SECRET = b'{"a": 1}', SecretStr("key")
_RIGHT = hmac.new(b"key", _BODY, "sha256").hexdigest()


def test_the_right_signature_is_accepted() -> None:
    Request({"x-signature": _RIGHT}, _BODY).require_hmac("X-Signature", _SECRET)


@pytest.mark.parametrize(
    "given_text",
    [
        "",
        _RIGHT[:-1],
        _RIGHT.upper(),
        f"sha256={_RIGHT}",
        hmac.new(b"key", _BODY, "sha1").hexdigest(),
        hmac.new(b"other", _BODY, "sha256").hexdigest(),
        hashlib.sha256(_BODY).hexdigest(),
        "é\udcff",
    ],
)
def test_any_other_signature_is_refused(given_text: str) -> None:
    with pytest.raises(Unauthorised) as caught:
        Request({"x-signature": given_text}, _BODY).require_hmac("X-Signature", _SECRET)
    assert _RIGHT not in str(caught.value)


def test_an_empty_secret_admits_nobody() -> None:
    signed = hmac.new(b"", _BODY, "sha256").hexdigest()
    with pytest.raises(Unauthorised):
        Request({"x-signature": signed}, _BODY).require_hmac("X-Signature", SecretStr(""))


def test_a_key_in_a_header_is_that_key_and_no_other() -> None:
    Request({"x-api-key": "ours"}, _BODY).require_header("X-Api-Key", SecretStr("ours"))
    for given_text, secret in (("", "ours"), ("our", "ours"), ("é\udcff", "ours"), ("", "")):
        with pytest.raises(Unauthorised, match="X-Api-Key"):
            Request({"x-api-key": given_text}, _BODY).require_header("X-Api-Key", SecretStr(secret))


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"a": {"b": "x"}}, "x"),
        ({"a": {"b": 7}}, "7"),
        ({"a": {"b": True}}, ""),
        ({"a": {"b": None}}, ""),
        ({"a": ["b"]}, ""),
        ({"a": {"b": "x" * 300}}, "x" * 255),
    ],
)
def test_a_dotted_name_finds_text_and_whole_numbers(record: dict[str, object], found: str) -> None:
    assert lookup(record, "a.b") == found


def test_half_a_surrogate_pair_is_not_used_as_a_key() -> None:
    outline = outline_of(b'{"id": "\\ud800", "other": "\\ud83d\\udcb7"}')
    assert lookup(outline, "id") == ""
    assert lookup(outline, "other") == "💷"


@given(st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.none()))
def test_whatever_is_found_can_be_a_key_in_kafka(record: dict[str, object]) -> None:
    outline = outline_of(json.dumps(record).encode())
    for name in record:
        lookup(outline, name).encode()

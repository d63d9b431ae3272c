"""Deliveries on the wire: CloudEvents that others read, others' CloudEvents read, and signatures over the bytes."""

from __future__ import annotations

import base64
import json
import re
import string
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from cloudevents.core.bindings import http as oracle
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from hub.delivery.http import Content, parse, percent_decode, percent_encode, request_for
from hub.delivery.signing import derive_secret, verify
from hub.delivery.subscription import Subscription
from hub.events.envelope import Envelope

NOW = 1_700_000_000.5
SECRETS = (derive_secret(bytes(32), "s1", 2), derive_secret(bytes(32), "s1", 1))
STRUCTURED = Subscription(id="s1", party="p", url="https://hooks.example.gov.uk/")
BINARY = msgspec.structs.replace(STRUCTURED, mode="binary")
MODES = pytest.mark.parametrize("subscription", [STRUCTURED, BINARY], ids=["structured", "binary"])

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
times = st.datetimes(timezones=st.just(UTC))
envelopes = st.builds(
    Envelope,
    id=texts,
    source=texts,
    type=texts,
    subject=texts,
    time=times,
    party=texts,
    correlation_id=texts,
    causation_id=texts,
    traceparent=st.text("0123456789abcdef-", min_size=1),
    dataschema=st.sampled_from(["", "/schemas/ids/3"]),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
data = st.dictionaries(texts, values, max_size=5)


def envelope(**changes: str) -> Envelope:
    given = {
        "id": "evt-1", "source": "/connectors/x", "type": "a.b.happened", "subject": "p-1", "party": "E08000025",
        "correlation_id": "c", "causation_id": "r", "traceparent": "00-0-0-01",
    } | changes  # fmt: skip
    return Envelope(time=datetime(2026, 5, 1, 10, tzinfo=UTC), **given)


@given(envelopes, data, st.sampled_from([STRUCTURED, BINARY]))
def test_what_is_sent_is_what_is_received(
    sent: Envelope, content: dict[str, Any], subscription: Subscription
) -> None:
    headers, body = request_for(subscription, Content(sent, content), SECRETS, NOW)
    attributes, received = parse(headers, body)
    assert received == content
    assert attributes.pop("datacontenttype") == "application/json"
    assert attributes == sent.attributes()
    assert Envelope.from_attributes(attributes) == sent


@given(envelopes, data, st.sampled_from([STRUCTURED, BINARY]))
def test_the_reference_library_reads_what_we_send(
    sent: Envelope, content: dict[str, Any], subscription: Subscription
) -> None:
    headers, body = request_for(subscription, Content(sent, content), SECRETS, NOW)
    event = oracle.from_http_event(oracle.HTTPMessage(headers=headers, body=body))
    theirs = event.get_attributes()
    assert theirs.pop("time") == sent.time
    assert theirs.pop("datacontenttype") == "application/json"
    ours = sent.attributes()
    del ours["time"]
    assert theirs == ours
    assert event.get_data() == content


@given(envelopes, data, st.booleans())
def test_what_the_reference_library_sends_we_read(
    sent: Envelope, content: dict[str, Any], binary: bool
) -> None:
    attributes: dict[str, Any] = {
        **sent.attributes(),
        "time": sent.time,
        "datacontenttype": "application/json",
    }
    event = CloudEvent(attributes, content)
    made = oracle.to_binary(event, JSONFormat()) if binary else oracle.to_structured(event, JSONFormat())
    ours, received = parse(made.headers, made.body)
    assert received == content
    assert Envelope.from_attributes(ours) == sent


@given(envelopes, data, st.sampled_from([STRUCTURED, BINARY]))
def test_headers_are_printable_ascii_whatever_the_event_holds(
    sent: Envelope, content: dict[str, Any], subscription: Subscription
) -> None:
    headers, _ = request_for(subscription, Content(sent, content), SECRETS, NOW)
    for name, value in headers.items():
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert re.fullmatch(r"[\x20-\x7e]+", value)


@MODES
def test_the_signature_covers_the_very_body_and_fits_each_valid_secret(subscription: Subscription) -> None:
    headers, body = request_for(subscription, Content(envelope(), {"a": "€"}), SECRETS, NOW)
    assert headers["webhook-id"] == "evt-1"
    assert headers["webhook-timestamp"] == "1700000000"
    for secret in SECRETS:
        verify(headers, body, secret, NOW)
    assert "user-agent" in headers


@MODES
def test_another_attempt_has_the_same_id_and_body_and_a_new_time(subscription: Subscription) -> None:
    first, body = request_for(subscription, Content(envelope(), {"a": 1}), SECRETS, NOW)
    second, again = request_for(subscription, Content(envelope(), {"a": 1}), SECRETS, NOW + 300)
    assert body == again
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-timestamp"] != second["webhook-timestamp"]
    assert first["webhook-signature"] != second["webhook-signature"]


def test_binary_mode_never_says_ce_datacontenttype() -> None:
    headers, body = request_for(BINARY, Content(envelope(), {"a": 1}), SECRETS, NOW)
    assert "ce-datacontenttype" not in headers
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {"a": 1}


def test_percent_encoding_is_the_standards_own_example() -> None:
    assert percent_encode("Euro € 😀") == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    assert percent_encode('a"b%c') == "a%22b%25c"
    every = "".join(set(string.printable) - set(string.whitespace) - {'"', "%"})
    assert percent_encode(every) == every


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("Euro%20%e2%82%ac", "Euro €"),
        ("%2541", "%41"),
        ('"quoted \\"text\\" %E2%82%AC"', 'quoted "text" €'),
        ('"', '"'),
        ("100%", "100%"),
        ("", ""),
    ],
)
def test_header_values_are_decoded_once_and_unquoted_first(value: str, text: str) -> None:
    assert percent_decode("ce-x", value) == text


@given(texts)
def test_percent_encoding_comes_back(text: str) -> None:
    assert percent_decode("ce-x", percent_encode(text)) == text


@pytest.fixture
def suite(samples: Path) -> Path:
    """The conformance suite of CloudEvents."""
    return samples / "cloudevents" / "conformance"


def feature_cases(feature: str) -> Iterator[tuple[str, str]]:
    """The requests of the suite's feature file, one per example."""
    for outline in feature.split("Scenario Outline:")[1:]:
        request = outline.split('"""')[1].strip("\n")
        lines = [line.removeprefix("    ") for line in request.splitlines()]
        rows = outline.rpartition("Examples:")[2].splitlines()
        for row in [row.strip("| ") for row in rows if row.strip().startswith("|")][1:]:
            yield row, "\n".join(lines).replace("<contentType>", row)


def test_the_conformance_suites_requests_are_read(suite: Path) -> None:
    cases = list(feature_cases((suite / "http-protocol-binding.feature").read_text()))
    assert cases
    for content_type, request_text in cases:
        request_is_read(content_type, request_text)


def request_is_read(content_type: str, request_text: str) -> None:
    head, _, body = request_text.partition("\n\n")
    message = Message()
    for line in head.strip().splitlines()[1:]:
        name, _, value = line.strip().partition(": ")
        message[name] = value
    attributes, received = parse(dict(message.items()), body.encode())
    binary = not content_type.startswith("application/cloudevents")
    assert attributes == {
        "id": "1234-1234-1234",
        "specversion": "1.0",
        "type": "com.example.someevent",
        "source": "/mycontext/subcontext",
        "time": "2018-04-05T03:56:24Z",
        "datacontenttype": content_type if binary else "application/json",
    }
    assert received == {"message": "Hello World!"}


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "structured"])
@pytest.mark.parametrize("file", ["v1.yaml", "v1_minimum.yaml"])
def test_the_conformance_suites_events_are_read_in_both_modes(suite: Path, file: str, binary: bool) -> None:
    # The plain loader: times stay text.
    cases = [one for one in yaml.load_all((suite / file).read_text(), yaml.BaseLoader) if one]
    assert cases
    for case in cases:
        event_is_read(case, binary)


def event_is_read(case: dict[str, Any], binary: bool) -> None:
    wanted = dict(case["ContextAttributes"])
    wanted |= wanted.pop("Extensions", {})
    media_type = wanted.get("datacontenttype", "application/json")
    content = json.loads(case["Data"]) if "json" in media_type else case["Data"]
    wanted["datacontenttype"] = media_type
    if binary:
        headers = {f"CE-{name}": percent_encode(text) for name, text in wanted.items()}
        body = case["Data"].encode()
        headers["Content-Type"] = media_type
    else:
        headers = {"Content-Type": "Application/CloudEvents+JSON; charset=UTF-8"}
        body = json.dumps({**wanted, "data": content}).encode()
    attributes, received = parse(headers, body)
    assert attributes == wanted
    if isinstance(received, bytes):  # binary mode knows no text in application/xml
        received = received.decode()
    assert received == content


EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
JSON_EVENT = {"content-type": "application/cloudevents+json"}


def test_binary_data_and_attributes_of_other_types_are_read() -> None:
    event = {**EVENT, "data_base64": base64.b64encode(b"\x00\xff").decode(), "n": 5, "b": True, "none": None}
    attributes, received = parse(JSON_EVENT, json.dumps(event).encode())
    assert received == b"\x00\xff"
    assert attributes == {**EVENT, "n": "5", "b": "true"}
    headers = {f"ce-{name}": text for name, text in EVENT.items()}
    assert parse({**headers, "content-type": "image/png"}, b"\x00")[1] == b"\x00"
    assert parse({**headers, "content-type": "text/plain"}, "€".encode())[1] == "€"
    assert parse(headers, b"")[1] is None


@pytest.mark.parametrize(
    ("headers", "body", "named"),
    [
        (JSON_EVENT, b"{", "not JSON"),
        (JSON_EVENT, b"\xff", "not JSON"),
        (JSON_EVENT, b"[" * 100_000, "not JSON"),
        (JSON_EVENT, b"[]", "not a JSON object"),
        (JSON_EVENT, b"{}", "specversion"),
        (JSON_EVENT, json.dumps({**EVENT, "specversion": "0.3"}).encode(), "specversion"),
        (JSON_EVENT, json.dumps({**EVENT, "source": ""}).encode(), "source"),
        (JSON_EVENT, json.dumps({**EVENT, "secret": {}}).encode(), "secret: neither"),
        (JSON_EVENT, json.dumps({**EVENT, "Secret": "x"}).encode(), "lower-case"),
        (JSON_EVENT, json.dumps({**EVENT, "data": 1, "data_base64": ""}).encode(), "twice"),
        (JSON_EVENT, json.dumps({**EVENT, "data_base64": "?"}).encode(), "data_base64"),
        (JSON_EVENT, json.dumps({**EVENT, "data_base64": 5}).encode(), "data_base64"),
        ({"content-type": "application/cloudevents-batch+json"}, b"[]", "single events"),
        ({"content-type": "application/cloudevents+avro"}, b"", "single events"),
        ({"content-type": "application/json"}, b"{}", "specversion"),
        ({}, b"", "specversion"),
        ({"ce-specversion": "1.0", "ce-id": "%ff"}, b"", "ce-id: not UTF-8"),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/"}, b"", "type"),
        ({**{f"ce-{k}": v for k, v in EVENT.items()}, "content-type": "text/plain"}, b"\xff", "UTF-8"),
    ],
)
def test_what_is_no_cloudevent_is_refused_by_name(headers: dict[str, str], body: bytes, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        parse(headers, body)


@given(
    st.dictionaries(st.sampled_from(["content-type", "ce-id", "ce-specversion", "CE-Type"]), st.text()),
    st.binary(),
)
def test_nothing_that_arrives_raises_anything_but_value_error(headers: dict[str, str], body: bytes) -> None:
    with suppress(ValueError):
        parse(headers, body)

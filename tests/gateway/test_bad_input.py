"""The front door of a running hub: what is refused, what is taken all the same, and that it says so."""

from __future__ import annotations

import json
import socket
import threading
from urllib.parse import urlsplit

import httpx2
import pytest

from hub.gateway.client import ClientError
from hub.stream.reading import read_all
from hub.testing.live import LiveHub, until

TRACER = "tracer-person@example.org"


def message(hub: LiveHub, **changed: object) -> bytes:
    pay = hub.simulators["birmingham-pay"]
    payment = pay.create_payment("FRONT-DOOR", 100)
    return json.dumps({**json.loads(pay.message(payment, "card_payment_captured").body), **changed}).encode()


def raw_values(hub: LiveHub) -> set[bytes]:
    return {m.value() for part in range(4) for m in read_all(hub.client_kafka, "raw.govuk_pay", part)}


def test_a_genuine_webhook_is_kept_byte_for_byte(hub: LiveHub) -> None:
    body = message(hub) + b"  \n"
    assert hub.post("birmingham-pay", body).status_code == 202
    assert body in raw_values(hub)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Pay-Signature": ""},
        {"Pay-Signature": "0" * 64},
        {"Pay-Signature": "é"},
        {"X-Signature": "0" * 64},
    ],
    ids=["missing", "empty", "forged", "not ASCII", "elsewhere"],
)
def test_what_is_not_genuine_is_401_counted_and_not_kept(hub: LiveHub, headers: dict[str, str]) -> None:
    before = _answered(hub, "401")
    body = message(hub, note=f"{TRACER} {headers}")
    encoded = {name: value.encode() for name, value in headers.items()}
    answer = hub.post("birmingham-pay", body, encoded)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert TRACER not in answer.text
    assert body not in raw_values(hub)
    assert _answered(hub, "401") == before + 1


def test_a_signature_of_another_body_is_401(hub: LiveHub) -> None:
    signed = hub.simulators["birmingham-pay"].sign(message(hub))
    assert hub.post("birmingham-pay", message(hub), signed).status_code == 401


def test_an_unknown_connector_is_404(hub: LiveHub) -> None:
    answer = httpx2.post(f"{hub.gateway}/webhooks/nobody", content=b"{}")
    assert answer.status_code == 404
    assert answer.json()["title"] == "No such connector"


def test_a_body_over_the_limit_is_413_before_it_is_read_whole(hub: LiveHub) -> None:
    for framing in (b"content-length: 104857600\r\n", b"transfer-encoding: chunked\r\n"):
        with _line(hub, b"/webhooks/birmingham-pay", framing) as line:
            answer = _answer_while_sending(line, chunked=b"chunked" in framing, pieces=32)  # 2 MiB
        assert b" 413 " in answer


def test_the_same_message_twice_is_one_raw_record_by_id(hub: LiveHub) -> None:
    body = message(hub)
    ids = {hub.post("birmingham-pay", body).headers["hub-record-id"] for _ in range(2)}
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"event_type": "card_payment_teleported"}, "event_type"),
        ({"resource": "text"}, "resource"),
        ({"created_date": "yesterday"}, "created_date"),
    ],
)
def test_what_cannot_be_understood_is_accepted_and_set_aside_by_field(
    hub: LiveHub, changed: dict[str, object], field: str
) -> None:
    answer = hub.post("birmingham-pay", message(hub, **changed))
    assert answer.status_code == 202
    failures = lambda: hub.client.get("/v1/failures/of", event=answer.headers["hub-record-id"])["failures"]  # noqa: E731
    assert until(lambda: len(failures()) == 1)
    assert failures()[0]["field"] == field
    assert field in failures()[0]["reason"]


def test_the_api_is_for_the_operator(hub: LiveHub) -> None:
    for token in (None, "wrong"):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        answer = httpx2.get(f"{hub.gateway}/v1/subscriptions", headers=headers)
        assert answer.status_code == 401


def test_nothing_is_read_of_who_is_not_the_operator(hub: LiveHub) -> None:
    for credentials in (b"", b"authorization: Bearer wrong\r\n"):
        with _line(hub, b"/v1/subscriptions", credentials + b"content-length: 104857600\r\n") as line:
            assert b" 401 " in line.recv(1024), "though no byte of the body was sent"


@pytest.mark.parametrize("limit", [-1, 0, 1001])
def test_nobody_is_told_more_steps_at_once_than_a_thousand(hub: LiveHub, limit: int) -> None:
    with pytest.raises(ClientError, match="limit"):
        hub.client.get("/v1/events/tail", after=0, limit=limit)


def test_a_body_over_the_limit_of_the_api_is_413_before_it_is_read_whole(hub: LiveHub) -> None:
    credentials = f"authorization: Bearer {(hub.data_dir / 'operator.token').read_text()}\r\n".encode()
    for framing in (b"content-length: 104857600\r\n", b"transfer-encoding: chunked\r\n"):
        with _line(hub, b"/v1/subscriptions", credentials + framing) as line:
            answer = _answer_while_sending(line, chunked=b"chunked" in framing, pieces=320)  # 20 MiB
        assert b" 413 " in answer
        assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"party": "E99999999", "url": "http://127.0.0.1:1/"}, "party"),
        ({"party": "E08000025", "url": "http://example.gov.uk/"}, "https"),
        ({"party": "E08000025", "url": "https://169.254.169.254/"}, "private network"),
        ({"party": "E08000025", "url": "http://127.0.0.1:1/", "types": ["Payments!"]}, "event types"),
    ],
)
def test_a_subscription_that_cannot_be_is_refused_with_its_reason(
    hub: LiveHub, asked: dict[str, object], told: str
) -> None:
    headers = {"authorization": f"Bearer {(hub.data_dir / 'operator.token').read_text()}"}
    answer = httpx2.post(f"{hub.gateway}/v1/subscriptions", json=asked, headers=headers)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]


def test_a_cursor_that_no_page_gave_is_refused_by_name(hub: LiveHub) -> None:
    headers = {"authorization": f"Bearer {(hub.data_dir / 'operator.token').read_text()}"}
    answer = httpx2.get(f"{hub.gateway}/v1/events?cursor=x", headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("cursor: ")


def test_personal_data_of_bad_input_reaches_no_log_error_or_metric(hub: LiveHub) -> None:
    body = message(hub, resource={"email": TRACER, "amount": TRACER, "payment_id": TRACER})
    record = hub.post("birmingham-pay", body).headers["hub-record-id"]
    assert until(lambda: bool(hub.client.get("/v1/failures/of", event=record)["failures"]))
    told = json.dumps(hub.client.get("/v1/failures/of", event=record))
    told += httpx2.get(f"{hub.gateway}/metrics").text
    told += hub.logs()
    assert TRACER not in told


def _answered(hub: LiveHub, status: str) -> float:
    metrics = httpx2.get(f"{hub.gateway}/metrics").text
    wanted = f'hub_webhooks_total{{answer="{status}",connector_instance="birmingham-pay"}}'
    return next((float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(wanted)), 0.0)


def _line(hub: LiveHub, path: bytes, headers: bytes) -> socket.socket:
    """One on which the head of a request was sent."""
    where = urlsplit(hub.gateway)
    line = socket.create_connection((where.hostname, where.port), timeout=10)
    line.sendall(b"POST " + path + b" HTTP/1.1\r\nhost: hub\r\n" + headers + b"\r\n")
    return line


def _answer_while_sending(line: socket.socket, *, chunked: bool, pieces: int) -> bytes:
    """What the server says while the client has sent a small part of 100 MiB only, in pieces of 64 KiB."""
    sent = threading.Event()

    def send() -> None:
        piece = b"x" * 65_536
        framed = b"10000\r\n" + piece + b"\r\n" if chunked else piece
        try:
            for _ in range(pieces):
                line.sendall(framed)
        except OSError:
            pass  # the server hung up, which is its right
        sent.set()

    threading.Thread(target=send, daemon=True).start()
    return line.recv(1024).partition(b"\r\n\r\n")[0]

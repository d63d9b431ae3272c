"""The contract of webhook sources."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import pytest

from hub.sdk.clock import Clock, SteppedClock
from hub.sdk.connector import Source
from hub.sdk.errors import Unauthorised
from hub.sdk.simulator import Simulator
from hub.sdk.webhook import Request, WebhookSource, outline_of
from hub.testing.contract import Contract
from hub.testing.receiver import Receiver


class WebhookContract(Contract):
    """What a webhook source promises. The samples are what its simulator sent over HTTP.

    class TestGovUkPay(WebhookContract):
        connector, simulator = PayWebhooks, PaySimulator
    """

    connector: ClassVar[type[WebhookSource[Any, Any]]]

    def bodies(self) -> list[bytes]:
        """The bodies of one webhook of every kind."""
        return [request.body for request in self._requests()]

    def test_a_genuine_webhook_is_accepted(self) -> None:
        for request in self._requests():
            self._source().verify(request)

    def test_every_declared_event_type_is_sent_by_the_simulator(self) -> None:
        source = self._source()
        told = {type(fact.data) for body in self.bodies() for fact in source.translate(body)}
        assert told == set(source.emits)

    def test_a_forged_body_is_refused(self) -> None:
        for request in self._requests():
            for body in (request.body + b" ", request.body[:-1], request.body.replace(b"1", b"2"), b""):
                self._refused(Request(request.headers, body))

    def test_a_missing_signature_is_refused(self) -> None:
        for request in self._requests():
            for name in self._signature_headers():
                self._refused(_with(request, name, None))

    def test_a_truncated_or_altered_signature_is_refused(self) -> None:
        for request in self._requests():
            for name in self._signature_headers():
                given = request.headers[name]
                for text in ("", given[:-1], given[: len(given) // 2], given[::-1], given + "0", "é" * 64):
                    self._refused(_with(request, name, text))

    def test_a_repeated_message_has_the_same_raw_id(self) -> None:
        ids = [self._source().raw_id(body, outline_of(body)) for body in self.bodies() * 2]
        assert len(set(ids)) == len(ids) // 2

    def test_the_raw_key_is_the_subject_so_that_order_holds(self) -> None:
        source = self._source()
        for body in self.bodies():
            assert {fact.subject for fact in source.translate(body)} == {
                source.raw_key(body, outline_of(body))
            }

    def test_signed_nonsense_still_gets_a_raw_id_and_key(self) -> None:
        simulator, _ = _heard(type(self).simulator)
        source = self._source()
        for body in (b"", b"not json", b"[]", b"\xff", b'{"id": "\\ud800"}', b"[" * 100_000):
            headers = {name.lower(): text for name, text in simulator.sign(body).items()}
            source.verify(Request(headers, body))
            assert source.raw_id(body, outline_of(body)).encode()
            assert source.raw_key(body, outline_of(body)).encode()

    def _errors(self, source: Source[Any, Any]) -> list[str]:
        refusals = []
        for request in self._requests():
            with pytest.raises(Unauthorised) as caught:
                self._source().verify(Request(request.headers, b"forged"))
            refusals.append(f"{caught.value} {caught.value!r}")
        return super()._errors(source) + refusals

    def _source(self) -> WebhookSource[Any, Any]:
        made: WebhookSource[Any, Any] = self.source(_heard(type(self).simulator)[0])
        return made

    def _requests(self) -> list[Request]:
        return _heard(type(self).simulator)[1]

    def _signature_headers(self) -> list[str]:
        simulator, _ = _heard(type(self).simulator)
        return [name.lower() for name in simulator.sign(b"{}") if name.lower() != "content-type"]

    def _refused(self, request: Request) -> None:
        with pytest.raises(Unauthorised):
            self._source().verify(request)


@cache
def _heard(simulator_class: Callable[[Clock], Simulator]) -> tuple[Simulator, list[Request]]:
    """A simulator, and one webhook of every kind as it came in over HTTP."""
    simulator, receiver = simulator_class(SteppedClock()), Receiver()
    with receiver.running() as url, simulator.running():
        simulator.webhook_url = url
        return simulator, receiver.wait_for(simulator.produce())


def _with(request: Request, name: str, text: str | None) -> Request:
    headers = {key: value for key, value in request.headers.items() if key != name}
    return Request(headers if text is None else headers | {name: text}, request.body)

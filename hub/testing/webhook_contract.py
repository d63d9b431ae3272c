"""The contract of webhook sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import pytest

from hub.sdk.clock import Clock, SteppedClock
from hub.sdk.connector import Source
from hub.sdk.errors import Reject, Unauthorised
from hub.sdk.simulator import Simulator
from hub.sdk.webhook import Landed, Request, WebhookSource
from hub.testing.contract import Contract, Raw
from hub.testing.receiver import Receiver


class WebhookContract(Contract):
    """What a webhook source promises. The samples are what its simulator sent over HTTP.

    class TestGovUkPay(WebhookContract):
        connector, simulator = PayWebhooks, PaySimulator
    """

    connector: ClassVar[type[WebhookSource[Any, Any]]]
    #: Whether what proves a request genuine covers its body; a bearer token does not.
    signs_body: ClassVar[bool] = True
    #: The headers that prove it, in lower case; by default all that `sign` gives but the content type.
    proofs: ClassVar[tuple[str, ...]] = ()

    def records(self) -> list[Raw]:
        """One webhook of every kind, as it would be kept."""
        return [_kept(self._source(), request) for request in self._requests()]

    def test_a_genuine_webhook_is_accepted(self) -> None:
        for request in self._requests():
            self._source().verify(request)

    def test_every_declared_event_type_is_sent_by_the_simulator(self) -> None:
        source = self._source()
        told = {
            type(fact.data) for raw in self.records() for fact in source.translate(raw.body, raw.attributes)
        }
        assert told == set(source.emits)

    def test_a_forged_body_is_refused(self) -> None:
        for request in self._requests():
            if not self.signs_body:
                self._source().verify(replace(request, body=request.body + b" "))
                continue
            for body in (request.body + b" ", request.body[:-1], request.body.replace(b"1", b"2"), b""):
                self._refused(replace(request, body=body))

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
        ids = [raw.id for raw in self.records() * 2]
        assert len(set(ids)) == len(ids) // 2

    def test_signed_nonsense_still_gets_a_raw_id_and_key(self) -> None:
        simulator, _ = _heard(type(self).simulator)
        source = self._source()
        for body in (b"", b"not json", b"[]", b"\xff", b'{"id": "\\ud800"}', b"[" * 100_000):
            headers = {name.lower(): text for name, text in simulator.sign(body).items()}
            request = Request(headers, body)
            try:
                source.verify(request)
            except Unauthorised:
                raise
            except Reject:
                continue  # refused at the door, which a source may do
            assert source.raw_id(request).encode()
            assert source.raw_key(request).encode()

    def test_an_answer_can_be_made_for_whatever_is_kept(self) -> None:
        source = self._source()
        for request in self._requests():
            for again in (False, True):
                answer = source.answer(request, Landed(source.raw_id(request), again))
                assert 200 <= answer.status < 300 or (again and answer.status == 409)

    def test_a_bad_moment_of_the_hub_stays_a_5xx_that_the_system_tries_again_after(self) -> None:
        for request in self._requests():
            told = self._source().refusal(request, 503, None)
            assert told is None or told.status >= 500

    def _errors(self, source: Source[Any, Any]) -> list[str]:
        refusals = []
        for request in self._requests():
            with pytest.raises(Unauthorised) as caught:
                self._source().verify(_with(request, self._signature_headers()[0], "forged"))
            refusals.append(f"{caught.value} {caught.value!r}")
        return super()._errors(source) + refusals

    def _source(self) -> WebhookSource[Any, Any]:
        made: WebhookSource[Any, Any] = self.made(_heard(type(self).simulator)[0])
        return made

    def _requests(self) -> list[Request]:
        heard = _heard(type(self).simulator)[1]
        mine = [one for one in heard if self.connector.matches(one.method, one.path, self.connector.takes)]
        assert mine, f"the simulator sends nothing to {', '.join(self.connector.takes)}"
        return mine

    def _signature_headers(self) -> list[str]:
        if self.proofs:
            return list(self.proofs)
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
    return replace(request, headers=headers if text is None else headers | {name: text})


def _kept(source: WebhookSource[Any, Any], request: Request) -> Raw:
    return Raw(
        request.body,
        {name: request.headers[name] for name in source.keeps if name in request.headers},
        source.raw_key(request),
        source.raw_id(request),
    )

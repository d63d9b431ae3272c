"""Care referrals between hospitals and adult social care: BaRS (FHIR R4 messages), and HL7 v2 over MLLP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from pydantic import SecretStr

from connectors.care_messages import bundles, hl7, write_fhir
from connectors.care_messages.canonical import KINDS, Referral, fact
from connectors.care_messages.fhir import Bundle
from connectors.care_messages.partner import CarePartner
from connectors.care_messages.record import Hl7Record
from connectors.care_referrals.config import Config
from connectors.care_referrals.mapping import (
    FHIR_JSON,
    MIRRORED,
    between_services,
    between_systems,
    capabilities,
    check_headers,
    issues,
    mirrored,
    outcome,
    request_headers,
)
from hub.events.ids import derive
from hub.sdk import (
    Answer,
    Assertion,
    Attributes,
    ClientCredentials,
    Event,
    Fact,
    Http,
    Landed,
    ListenerSource,
    MllpSink,
    Policy,
    RateLimit,
    Receipt,
    Refused,
    Reject,
    Request,
    Retry,
    Stop,
    WebhookSource,
)
from hub.sdk.webhook import lookup


class BarsMessages(WebhookSource[Config, Bundle]):
    """BaRS messages that the proxy brings: referrals, their changes and withdrawals, and answers to them.

    A repeat is answered 409 `duplicate`, which its sender counts as success. Bundle.id alone does not tell
    messages apart, since BaRS keeps it in later messages about a referral.
    """

    name = "bars"
    emits = KINDS
    takes = ("POST /$process-message",)
    serves = ("GET /metadata",)
    keeps = MIRRORED

    @property
    def used(self) -> bool:
        """Whether the partner speaks BaRS."""
        return "bars" in self.config.speaks

    def verify(self, request: Request) -> None:
        """The proxy's bearer token; then the headers that BaRS requires."""
        request.require_bearer(self.config.inbound_token, self.config.previous_inbound_token)
        check_headers(request.headers)

    def answer(self, request: Request, landed: Landed) -> Answer:
        """200, or 409 for what was taken before; the request's ids with it."""
        if landed.again:
            told = outcome(409, "the message has been identified as having already been processed.")
            return Answer.of_json(told, 409, FHIR_JSON, mirrored(request.headers))
        return Answer.of_json(outcome(200, "message taken"), 200, FHIR_JSON, mirrored(request.headers))

    def refusal(self, request: Request, status: int, error: Reject | None) -> Answer:
        """As an OperationOutcome; headers at fault are 400 in BaRS."""
        status = 400 if status == 422 else status
        told = outcome(status, error.reason if error else "try again later")
        return Answer.of_json(told, status, FHIR_JSON, mirrored(request.headers))

    async def serve(self, request: Request) -> Answer:
        """The CapabilityStatement."""
        return Answer.of_json(capabilities(self.instance.name), 200, FHIR_JSON, mirrored(request.headers))

    def sign(self, body: bytes) -> dict[str, str]:
        """As the proxy would send it."""
        token = self.config.inbound_token or SecretStr("")
        return {"Authorization": f"Bearer {token.get_secret_value()}"}

    def raw_id(self, request: Request) -> str:
        """By X-Request-Id and Bundle.id, which together tell a repeat (BaRS)."""
        message = lookup(request.outline, "id")
        return derive(self.instance.source, self.name, request.headers["x-request-id"].lower(), message)

    def raw_key(self, request: Request) -> str:
        """The conversation."""
        return request.headers["x-correlation-id"].lower()

    def parse(self, body: bytes, attributes: Attributes) -> Bundle:
        """The bundle, with the conversation that its request's headers name."""
        bundle = super().parse(body, attributes)
        return bundle.model_copy(update={"correlation_id": attributes.get("x-correlation-id", "").lower()})

    def events(self, record: Bundle) -> Iterator[Fact]:
        """One fact per message."""
        told = between_systems(bundles.read(record), self.config)
        yield fact(told, self.config.partners, self.config.organisation)


class BarsPartner(CarePartner[Config]):
    """Sends referrals and answers to a partner through the BaRS proxy.

    A repeat has the same body, X-Request-Id and X-Correlation-Id, so the 409 `duplicate` that answers it says that
    the message arrived. An answer without the mirrored ids is not the partner's: again later.
    """

    name = "bars-partner"

    @property
    def used(self) -> bool:
        """Whether the partner speaks BaRS."""
        return "bars" in self.config.speaks

    def open_http(self) -> Http:
        """With access tokens for signed assertions, new ones as they run out."""
        config = self.config
        if config.private_key is None:
            raise Stop("private_key is not set: no access token can be asked for")
        assertion = Assertion(config.api_key, config.token_url, config.private_key, config.key_id)
        return Http(
            config.base_url,
            auth=ClientCredentials(config.token_url, assertion.form),
            policy=Policy(
                timeout_s=config.timeout_seconds,
                limit=RateLimit(5),
                words=lambda _, body: " ".join(issues(body)[:2]),
            ),
        )

    async def send(self, event: Event, data: Referral, key: str) -> Receipt:
        """POST the message."""
        data = between_services(data, self.config.service_ids)
        body, headers = write_fhir.bundle(data, key), request_headers(data, key)
        try:
            answer = await self.http.send("POST", "/$process-message", content=body, headers=headers)
        except Refused as refused:
            found = issues(refused.body)
            if not found:
                raise Retry(f"{refused.reason}, without an OperationOutcome") from None
            if not (refused.status == 409 and "duplicate" in found):
                raise
        else:
            if any(answer.headers.get(name) != headers[name.title()] for name in MIRRORED):
                raise Retry("the answer does not mirror the request's ids: it is not the partner's")
        return Receipt(key)


class Hl7Messages(ListenerSource[Config, Hl7Record]):
    """HL7 v2 referrals and answers that a partner sends over MLLP."""

    name = "hl7"
    emits = KINDS
    takes = hl7.TYPES
    key_field = "RF1-6"

    @property
    def used(self) -> bool:
        """Whether the partner speaks HL7 v2."""
        return "mllp" in self.config.speaks

    def parse(self, body: bytes, attributes: Attributes) -> Hl7Record:
        """The message, read."""
        return Hl7Record.of(body)

    def events(self, record: Hl7Record) -> Iterator[Fact]:
        """One fact per message."""
        yield fact(hl7.read(record.message), self.config.partners, self.config.organisation)


class Hl7Partner(CarePartner[Config], MllpSink[Config]):
    """Sends referrals and answers to a partner over MLLP."""

    name = "hl7-partner"
    segments = hl7.SEGMENTS

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.patience_s = self.config.timeout_seconds

    @property
    def used(self) -> bool:
        """Whether the partner speaks HL7 v2."""
        return "mllp" in self.config.speaks

    def address(self) -> tuple[str, int]:
        """The partner's listener."""
        return self.config.peer_host, self.config.peer_port

    def message(self, event: Event, key: str) -> bytes:
        """`REF` for a request, `RRI` for an answer."""
        return hl7.write(cast("Referral", self.data_of(event)), self.control_id(key), self.config.hl7_version)

    async def send(self, event: Event, data: Referral, key: str) -> Receipt:
        """Send, and wait for the acknowledgement."""
        return await MllpSink.deliver(self, event, key)

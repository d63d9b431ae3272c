"""The contract suites notice broken connectors, and their waivers cannot rot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from connectors.govuk_pay.connector import PaymentSearch, PayWebhooks
from connectors.govuk_pay.simulator import PaySimulator
from hub.sdk import Fact, Page, Request, Unauthorised
from hub.sdk.catalogue import ConnectorKind, discover
from hub.testing.contracts import PollingContract, WebhookContract, without_contract


class Trusting(PayWebhooks):
    def verify(self, request: Request) -> None:
        return


class FirstByteOnly(PayWebhooks):
    def verify(self, request: Request) -> None:
        if "pay-signature" not in request.headers:
            raise Unauthorised("missing")


class Indiscreet(PayWebhooks):
    def __repr__(self) -> str:
        return f"<{self.config.signing_secret.get_secret_value()}>"


class Forgetful(PayWebhooks):
    def events(self, record: Any) -> Iterator[Fact]:
        return iter(())


class Guessing(PayWebhooks):
    key_field = "webhook_message_id"


class Hasty(PaymentSearch):
    """Remembers a page as passed on before it was committed."""

    async def fetch(self, cursor: str | None) -> Page:
        page = await super().fetch(cursor)
        assert self._changes is not None
        self._changes._passed.update(self._changes._pending)
        self._changes._asked = cursor
        return page


class Shortsighted(PaymentSearch):
    """Never asks for a second page."""

    async def fetch(self, cursor: str | None) -> Page:
        page = await super().fetch(cursor)
        return Page(page.items, page.next, more=False)


def webhook_suite(source: type[PayWebhooks]) -> WebhookContract:
    return type("Suite", (WebhookContract,), {"connector": source, "simulator": PaySimulator})()


def polling_suite(source: type[PaymentSearch]) -> PollingContract:
    told = {"connector": source, "simulator": PaySimulator, "settings": {"page_size": 2}}
    return type("Suite", (PollingContract,), told)()


@pytest.mark.parametrize(
    ("source", "test"),
    [
        (Trusting, "test_a_forged_body_is_refused"),
        (Trusting, "test_a_missing_signature_is_refused"),
        (FirstByteOnly, "test_a_truncated_or_altered_signature_is_refused"),
        (Indiscreet, "test_secrets_show_nowhere"),
        (Forgetful, "test_what_the_system_says_becomes_declared_events"),
        (Forgetful, "test_every_declared_event_type_is_sent_by_the_simulator"),
        (Guessing, "test_the_raw_key_is_the_subject_so_that_order_holds"),
    ],
)
def test_a_broken_webhook_source_fails_its_contract(source: type[PayWebhooks], test: str) -> None:
    getattr(webhook_suite(PayWebhooks), test)()
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(webhook_suite(source), test)()


@pytest.mark.parametrize(
    ("source", "test"),
    [
        (Hasty, "test_asking_again_with_the_same_cursor_gives_the_same"),
        (Shortsighted, "test_everything_is_found"),
    ],
)
async def test_a_broken_polling_source_fails_its_contract(source: type[PaymentSearch], test: str) -> None:
    await getattr(polling_suite(PaymentSearch), test)()
    with pytest.raises(AssertionError):
        await getattr(polling_suite(source), test)()


def test_a_waiver_is_a_strict_expectation_to_fail_with_its_reason() -> None:
    name = "test_a_forged_body_is_refused"
    waived = type("Waived", (WebhookContract,), {"waive": {name: "the system does not sign"}})
    (mark,) = getattr(waived, name).pytestmark
    assert (mark.name, mark.kwargs) == ("xfail", {"reason": "the system does not sign", "strict": True})
    assert not hasattr(getattr(WebhookContract, name), "pytestmark"), "the mark leaked into the suite"


@pytest.mark.parametrize(
    "waive", [{"test_of_nothing": "why"}, {"bodies": "why"}, {"test_secrets_show_nowhere": "  "}]
)
def test_a_waiver_of_nothing_or_without_a_reason_does_not_load(waive: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="waives"):
        type("Waived", (WebhookContract,), {"waive": waive})


def test_every_source_of_the_fleet_has_a_contract(root: Any) -> None:
    fleet = discover(root / "connectors")
    assert {name: without_contract(kind) for name, kind in fleet.items()} == {name: [] for name in fleet}


def test_a_source_without_a_contract_is_found() -> None:
    class Orphan(PayWebhooks):
        name: ClassVar[str] = "orphan"

    kind = ConnectorKind("govuk_pay", "", (PayWebhooks, Orphan))
    assert without_contract(kind) == ["orphan"]

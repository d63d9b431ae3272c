"""A fee is paid on GOV.UK Pay; the council hears of it, its register renews the licence, an email closes the case."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial

import httpx2

from connectors.govuk_notify.simulator import NotifySimulator
from connectors.govuk_pay.simulator import PaySimulator
from connectors.premises_licensing.simulator import SILENT, PremisesSimulator
from hub.delivery.receiver import Received, Receiver
from hub.sdk.simulator import LOST
from hub.testing.journeys.base import Journey, Key, Played, Player, RunningHub, until

FEE, RENEWED = "licensing.fee.paid", "licensing.premises-licence.renewed"
TAKEN, ARRIVED = "notifications.message.accepted", "notifications.message.delivered"
_PAID = (*(f"payments.payment.{verb}" for verb in ("created", "succeeded", "captured")), FEE)
_REGISTER, _NOTIFY, _HUB, _EMAIL = "register", "GOV.UK Notify", "hub", "email to the licensee"
_UNTIL, _RENEWED_UNTIL = "20/03/2026", "20/03/2027"

PAYMENTS = 5


class Office:
    """What a council may have behind its payments: the back office with its register, and GOV.UK Notify."""

    def __init__(self, premises: PremisesSimulator, notify: NotifySimulator) -> None:
        self.premises, self.notify = premises, notify
        self._sent, self._asked = len(notify.notifications), len(notify.requests)

    def begin_bad_day(self) -> None:
        """Notify loses answers and tells twice, and the back office is slow to look."""
        self.notify.faults = {LOST: 0.3, "503": 0.2, "twice": 0.5}
        self.premises.faults = {SILENT: 0.5}

    def end_bad_day(self) -> None:
        """Once it was met: for ever, the retries would come to waits of hours."""
        until(lambda: sum(bool(one.fault) for one in self.notify.requests[self._asked :]) >= 3, 20)
        self.notify.have("a good day")
        self.premises.have("a good day")

    def expected(self, party: str, paid: Mapping[str, str]) -> Iterator[Key]:
        """What must come of payments for licences, by the licence's reference."""
        for payment, reference in paid.items():
            yield from ((party, told, payment) for told in (RENEWED, TAKEN, ARRIVED))
            yield _REGISTER, f"paid until {_RENEWED_UNTIL}", reference
            yield _NOTIFY, _EMAIL, payment

    def heard(self, paid: Mapping[str, str]) -> Iterator[Key]:
        """What came of them in the register and at Notify."""
        for reference in paid.values():
            yield _REGISTER, f"paid until {self.premises.register[reference]['LicenceEndDate']}", reference
        licensees = {row["ContactEmail"]: payment for payment, row in self.premises.renewed.items()}
        for message in self.notify.notifications[self._sent :]:
            yield _NOTIFY, _EMAIL, licensees.get(message["email_address"], "somebody else")


class Council:
    """One council in the play: its GOV.UK Pay account, its subscriber, and its office if it has one."""

    def __init__(self, player: Player, office: Office | None, failures: int) -> None:
        assert isinstance(player.simulator, PaySimulator)
        self.name, self.party, self.pay, self.office = player.instance, player.party, player.simulator, office
        self.receiver: Receiver | None = None
        self.paid: dict[str, str] = {}
        self.failed = 0
        self._failures = failures

    def answer(self, _: Received) -> int:
        """As its subscriber answers."""
        if self.failed < self._failures:
            self.failed += 1
            return 500
        return 204

    def pay_fees(self) -> None:
        """Most webhooks arrive; the second payment's come twice, the third's never."""
        for number in range(PAYMENTS):
            reference = f"PREM/2026/{number:04}"
            metadata = {"licence_type": "premises", "ledger_code": f"LIC{number:03}"}
            self.pay.have({1: "webhooks twice", 2: "webhooks lost"}.get(number, "a good day"))
            if self.office:
                self.office.premises.change(reference, LicenceEndDate=_UNTIL)
            self.paid[self.pay.paid_payment(reference, 19_000, metadata=metadata)] = reference
        self.pay.have("a good day")

    def expected(self) -> set[Key]:
        """What must come of the payments."""
        keys = {(self.party, event_type, payment) for event_type in _PAID for payment in self.paid}
        return keys.union(self.office.expected(self.party, self.paid) if self.office else ())

    def told(self) -> list[Key]:
        """What its subscriber took. A message is about the payment in whose case it is."""
        received = list(self.receiver.received) if self.receiver else []
        cases = {
            one.attributes["correlationid"]: one.data["payment_id"]
            for one in received
            if one.attributes["type"] == FEE
        }
        return [
            (
                self.party,
                one.attributes["type"],
                one.data.get("payment_id") or cases.get(one.attributes["correlationid"], "another case"),
            )
            for one in received
        ]

    def heard(self) -> list[Key]:
        """The same, and what its office has."""
        return [*self.told(), *(self.office.heard(self.paid) if self.office else ())]


class LicenceFees(Journey):
    """Citizens pay, some of it on bad days; each council hears of its own, once, and a broken webhook is set aside."""

    name = "licence fees"
    needs = (PaySimulator, PremisesSimulator, NotifySimulator)

    def perform(self, hub: RunningHub, timeout: float) -> Played:
        """See the class."""
        began, councils = time.monotonic(), self._councils()
        told_of = ["payments.*", FEE, "licensing.premises-licence.*", "notifications.message.*"]
        with ExitStack() as stack:
            for council in councils:
                council.receiver = stack.enter_context(
                    hub.subscriber(council.party, council.answer, types=told_of)
                )
            for council in councils:
                if council.office:
                    council.office.begin_bad_day()
                council.pay_fees()
            broken = _send_broken(hub, councils[0])
            self.say(
                f"{sum(len(one.paid) for one in councils)} fees are paid; webhooks are lost, repeated, broken"
            )
            for office in filter(None, (council.office for council in councils)):
                office.end_bad_day()
            for council in councils:
                assert council.receiver is not None
                mine = {key for key in council.expected() if key[0] == council.party}
                council.receiver.wait(partial(_all_told, mine, council), timeout)
            dead = _dead_letters(hub, broken)
        expected = {(_HUB, "set aside", broken)}.union(*(council.expected() for council in councils))
        heard = [(_HUB, "set aside", broken)] * dead + [key for one in councils for key in one.heard()]
        received = [one.at for council in councils if council.receiver for one in council.receiver.received]
        more = {
            "payments": sum(len(council.paid) for council in councils),
            "failed_attempts": sum(council.failed for council in councils),
            "dead_letters": dead,
            "first_delivery_s": round(
                min(received, default=0.0) - (time.time() - time.monotonic() + began), 3
            ),
        }
        return Played(expected, heard, more)

    def _councils(self) -> list[Council]:
        pays = [player for player in self.players if isinstance(player.simulator, PaySimulator)]
        premises, notify = self.of(PremisesSimulator), self.of(NotifySimulator)
        offices = {party: Office(premises[party], notify[party]) for party in premises.keys() & notify.keys()}
        # The last council's subscriber has a bad start, so that there is a retry to see.
        return [Council(one, offices.get(one.party), failures=2 if one is pays[-1] else 0) for one in pays]


def _all_told(expected: set[Key], council: Council, _: list[Received]) -> bool:
    return expected <= set(council.told())


def _send_broken(hub: RunningHub, council: Council) -> str:
    """A genuine webhook that lacks its amount: it must end as a dead letter that says so. Gives its raw record's id."""
    pay = council.pay
    payment_id = pay.create_payment("PREM/2026/broken", 100)
    message = json.loads(pay.message(payment_id, "card_payment_captured").body)
    pay.ledger.payments.pop(payment_id)  # so that no poller finds it whole
    del message["resource"]["amount"]
    body = json.dumps(message).encode()
    url = f"{hub.gateway}/webhooks/{council.name}"
    answer = httpx2.post(url, content=body, headers=pay.sign(body), timeout=30, trust_env=False)
    answer.raise_for_status()
    return str(answer.headers["hub-record-id"])


def _dead_letters(hub: RunningHub, raw_id: str) -> int:
    found: list[object] = []

    def there() -> bool:
        found[:] = hub.client.get("/v1/failures/of", event=raw_id)["failures"]
        return bool(found)

    until(there, 30)
    return len(found)

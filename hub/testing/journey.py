"""The first journey, played and judged: citizens pay licence fees, and each council hears of its own, once."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from connectors.govuk_pay.simulator import PaySimulator
from hub.delivery.receiver import Received, Receiver
from hub.delivery.signing import Secret
from hub.sdk.fleet import Fleet, Member

Key = tuple[str, str, str]
"""What one delivery is about: the party, the event type, the payment."""

_TYPES = (
    "payments.payment.created",
    "payments.payment.succeeded",
    "payments.payment.captured",
    "licensing.fee.paid",
)


class PortTaken(Exception):
    """A simulator cannot listen where the hub's configuration looks for it."""


@dataclass(slots=True)
class Report:
    """What came of it, by sets: nothing is judged by counting alone."""

    payments: int = 0
    expected: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0
    failed_attempts: int = 0
    dead_letters: int = 0
    first_delivery_s: float = 0.0
    seconds: float = 0.0
    lost_keys: list[Key] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether every promise held."""
        return not (self.lost or self.duplicated or self.unexpected) and self.dead_letters == 1

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Council:
    """One council in the play: its GOV.UK Pay account, and its subscriber."""

    def __init__(self, member: Member, gateway: str, failures: int) -> None:
        config: Any = member.pollers[0].config
        self.name = member.instance.name
        self.party = member.instance.party
        self.port = urlsplit(config.base_url).port or 0
        self.pay = PaySimulator(
            signing_secret=config.signing_secret.get_secret_value(), api_key=config.api_key.get_secret_value()
        )
        self.pay.webhook_url = f"{gateway}/webhooks/{self.name}"
        self._failures = failures
        self.receiver = Receiver(self._answer)
        self.failed = 0

    def _answer(self, _: Received) -> int:
        if self.failed < self._failures:
            self.failed += 1
            return 500
        return 204

    def heard(self) -> list[Key]:
        """What its subscriber took, one key per delivery."""
        return [
            (self.party, one.attributes["type"], one.data["payment_id"]) for one in self.receiver.received
        ]


class Journey:
    """Plays against a running hub. `call(method, path, body)` is its API."""

    def __init__(self, fleet: Fleet, gateway: str, call: Callable[..., Any], notes: Path) -> None:
        self._gateway = gateway
        self._call = call
        self._notes = notes
        members = [member for member in fleet.members.values() if member.instance.connector == "govuk_pay"]
        # The last council's subscriber has a bad start, so that there is a retry to see.
        self.councils = [
            Council(member, gateway, failures=2 if member is members[-1] else 0) for member in members
        ]

    @contextmanager
    def stage(self) -> Iterator[None]:
        """Simulators and subscribers, up for the length of the block."""
        self._remove_leftovers()
        with ExitStack() as stack:
            made = []
            for council in self.councils:
                stack.enter_context(_playing(council))
                url = stack.enter_context(council.receiver.running())
                subscribed = self._call("POST", "/v1/subscriptions", {"party": council.party, "url": url})
                council.receiver.secret = Secret(subscribed["secret"])
                made.append(subscribed["id"])
            self._notes.write_text(json.dumps(made))
            try:
                yield
            finally:
                self._remove_leftovers()

    def play(self, per_council: int = 5, timeout: float = 60) -> Report:
        """Pay, lose a webhook, repeat another, break a third; wait for all that must come, then judge."""
        started = time.monotonic()
        expected: set[Key] = set()
        for council in self.councils:
            for number in range(per_council):
                metadata = {"licence_type": "premises", "ledger_code": f"LIC{number:03}"}
                council.pay.have(_day(number))
                payment_id = council.pay.paid_payment(f"PREM/2026/{number:04}", 19_000, metadata=metadata)
                expected |= {(council.party, event_type, payment_id) for event_type in _TYPES}
            council.pay.have("a good day")
        broken = self._send_broken(self.councils[0])
        for council in self.councils:
            mine = {key for key in expected if key[0] == council.party}
            council.receiver.wait(lambda _, c=council, m=mine: m <= set(c.heard()), timeout)  # type: ignore[misc]
        dead = self._dead_letters(broken, timeout=10)
        return self._judge(expected, dead, started)

    def _judge(self, expected: set[Key], dead: int, started: float) -> Report:
        heard = Counter(key for council in self.councils for key in council.heard())
        ids = Counter(one.id for council in self.councils for one in council.receiver.received)
        times = [one.at for council in self.councils for one in council.receiver.received]
        lost = sorted(expected - heard.keys())
        return Report(
            payments=len({key[2] for key in expected}),
            expected=len(expected),
            delivered=len(heard.keys() & expected),
            lost=len(lost),
            duplicated=sum(count - 1 for count in ids.values()),
            unexpected=len(heard.keys() - expected),
            failed_attempts=sum(council.failed for council in self.councils),
            dead_letters=dead,
            first_delivery_s=round(min(times, default=0.0) - (time.time() - time.monotonic() + started), 3),
            seconds=round(time.monotonic() - started, 3),
            lost_keys=lost[:10],
        )

    def _send_broken(self, council: Council) -> str:
        """A genuine webhook that lacks its amount: it must end as a dead letter that says so."""
        payment_id = council.pay.create_payment("PREM/2026/broken", 100)
        message = json.loads(council.pay.message(payment_id, "card_payment_captured").body)
        del message["resource"]["amount"]
        body = json.dumps(message).encode()
        url = f"{self._gateway}/webhooks/{council.name}"
        answer = httpx2.post(url, content=body, headers=council.pay.sign(body), timeout=10)
        answer.raise_for_status()
        council.pay.ledger.payments.pop(payment_id)  # so that the poller does not find it mended
        return str(answer.headers["hub-record-id"])

    def _dead_letters(self, raw_id: str, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = self._call("GET", "/v1/failures/of", None, event=raw_id)["failures"]
            if found:
                return len(found)
            time.sleep(0.1)
        return 0

    def _remove_leftovers(self) -> None:
        """Subscriptions of this play, or of one that was killed."""
        if not self._notes.is_file():
            return
        known = {one["id"] for one in self._call("GET", "/v1/subscriptions", None)["subscriptions"]}
        for subscription_id in known & set(_read_ids(self._notes)):
            self._call("DELETE", f"/v1/subscriptions/{subscription_id}", None)
        self._notes.unlink(missing_ok=True)


@contextmanager
def _playing(council: Council) -> Iterator[str]:
    try:
        with council.pay.running(council.port) as url:
            yield url
    except OSError as error:
        raise PortTaken(
            f"port {council.port}, where {council.name} is played, is taken ({error.strerror});"
            " another demonstration may be running"
        ) from None


def _read_ids(notes: Path) -> Sequence[str]:
    try:
        return [str(one) for one in json.loads(notes.read_text())]
    except ValueError:
        return []


def _day(number: int) -> str:
    """Most webhooks arrive; the second payment's come twice, the third's never."""
    return {1: "webhooks twice", 2: "webhooks lost"}.get(number, "a good day")

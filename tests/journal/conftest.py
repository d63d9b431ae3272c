"""A journal on a real SQLite file and a real PostgreSQL, and the entries of one payment as the stages write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from hub.delivery.dead_letter import DeadLetter
from hub.journal.database import Database
from hub.journal.entry import Entry
from hub.journal.queries import Queries
from hub.journal.store import Journal
from hub.journal.tables import meta, metadata
from tests.postgres import Postgres, postgres

START = 1_700_000_000.0

Fresh = Callable[[], Path | str]
"""Gives where a journal may be made, or is and holds nothing; with PostgreSQL, the one before is gone."""


@dataclass
class Case:
    """One payment; `say` makes an entry about it, `at` milliseconds after the start."""

    name: str = "1"
    start: float = START
    about: dict[str, Any] = field(default_factory=dict)

    def say(self, at: int, stage: str, outcome: str, event_id: str, **more: Any) -> Entry:
        told: dict[str, Any] = {
            "subject": f"pay-{self.name}",
            "party": "E08000025",
            "source": "/connectors/govuk_pay/birmingham-pay",
            **self.about,
            **more,
        }
        moment = self.start + at / 1000
        return Entry(at=moment, stage=stage, outcome=outcome, event_id=f"{event_id}-{self.name}", **told)

    def accepted(self, at: int = 0, raw: str = "raw") -> Entry:
        return self.say(at, "accept", "accepted", raw, topic="raw.govuk_pay", partition=0, offset=7)

    def translated(self, at: int = 12, raw: str = "raw", outcome: str = "translated") -> Entry:
        return self.say(
            at,
            "translate",
            outcome,
            "paid",
            type="payments.payment.captured",
            **self._links(f"{raw}-{self.name}"),
        )

    def routed(self, at: int = 20) -> Entry:
        return self.say(at, "route", "routed", "fee", route="licence-fees", **self._fee())

    def attempt(self, at: int, number: int, status: int, subscription: str = "birmingham") -> Entry:
        outcome = "delivered" if status == 200 else "attempt-failed"
        told = {"subscription": subscription, "attempt": number, "status": status}
        reason = "" if status == 200 else "the subscriber is not well"
        return self.say(at, "deliver", outcome, "fee", reason=reason, **told, **self._fee())

    def whole(self) -> list[Entry]:
        """From webhook to delivery, which fails twice and then succeeds."""
        way = [self.accepted(), self.translated(), self.routed()]
        return [*way, self.attempt(30, 1, 503), self.attempt(5_100, 2, 503), self.attempt(305_200, 3, 200)]

    def _links(self, cause: str) -> dict[str, str]:
        return {"correlation_id": f"case-{self.name}", "causation_id": cause}

    def _fee(self) -> dict[str, str]:
        fee = {"type": "licensing.fee.paid", "subject": f"fee-{self.name}", "source": "/routes/licence-fees"}
        return fee | self._links(f"paid-{self.name}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def fresh(kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """For tests of how it is made, or that leave it broken."""
    if kind == "sqlite":
        return lambda: tmp_path_factory.mktemp("journal") / "journal.db"
    server: Postgres = request.getfixturevalue("server")

    def cleared() -> str:
        server.clear()
        return server.url

    return cleared


@pytest.fixture(scope="session")
def made(server: Postgres) -> Database:
    """With its tables, which take PostgreSQL longer to make than most tests take for the rest."""
    server.execute("CREATE DATABASE made")
    return Database(server.url.removesuffix("postgres") + "made")


@pytest.fixture(scope="session")
def emptied(kind: str, request: pytest.FixtureRequest, fresh: Fresh) -> Fresh:
    """For all others."""
    if kind == "sqlite":
        return fresh
    database: Database = request.getfixturevalue("made")

    def empty() -> str:
        with database.writing() as connection:
            for table in set(metadata.sorted_tables) - {meta}:
                connection.execute(delete(table))
        return database.name

    return empty


@pytest.fixture
def where(emptied: Fresh) -> Path | str:
    return emptied()


@pytest.fixture
def journal(where: Path | str) -> Iterator[Journal]:
    journal = Journal.open(where)
    yield journal
    journal.close()


@pytest.fixture
def queries(where: Path | str) -> Iterator[Queries]:
    queries = Queries(where)
    yield queries
    queries.close()


@pytest.fixture(scope="session")
def case() -> type[Case]:
    return Case


def letter(offset: int = 7, at: float = START, **more: Any) -> DeadLetter:
    told: dict[str, Any] = {
        "stage": "translate",
        "reason": "payment.amount: not a whole number",
        "reason_class": "int_type",
        "field": "payment.amount",
        "connector": "govuk_pay",
        "event_id": f"raw-{offset}",
        **more,
    }
    return DeadLetter(topic="raw.govuk_pay", partition=0, offset=offset, at=at, **told)


@pytest.fixture(scope="session")
def dead_letter() -> Any:
    return letter


def told_of(letter: DeadLetter, outcome: str = "dead-lettered", at: float | None = None) -> Entry:
    return Entry(
        at=letter.at if at is None else at,
        stage=letter.stage if outcome == "dead-lettered" else "redrive",
        outcome=outcome,
        event_id=letter.event_id,
        source="/connectors/govuk_pay/birmingham-pay",
        reason=letter.reason,
        dead_letter=letter.id,
    )


@pytest.fixture(scope="session")
def entry_of() -> Any:
    return told_of

"""The suites of sinks, mailboxes and file drops notice connectors that break their promises."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TextIO

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hub.events.envelope import Event
from hub.events.generated.licensing import FeePaid
from hub.sdk import (
    BadRow,
    ConnectorConfig,
    Fact,
    FileDropSource,
    FileSettings,
    Http,
    Inbox,
    MailboxSource,
    Receipt,
    Record,
    Stop,
    csv_rows,
)
from hub.sdk.sftp_simulator import FileSimulator
from hub.sdk.simulator import Simulator
from hub.stream import filing
from hub.testing.contracts import FileDropContract, MailboxContract, SinkContract
from hub.testing.made_up import made_up
from tests.journeys.town_ledger.connector import Ledger
from tests.journeys.town_ledger.simulator import LedgerSimulator

FAILURES = (AssertionError, pytest.fail.Exception)


class Told(Record):
    reference: str


def facts(record: Told) -> Iterator[Fact]:
    yield Fact(made_up(FeePaid), record.reference, datetime(2026, 1, 25, tzinfo=UTC), record.reference)


# --- sinks ---


class NewKeyEachTime(Ledger):
    async def deliver(self, event: Event, key: str) -> Receipt:
        return await super().deliver(event, uuid.uuid4().hex)


class GoesOnWhenRefused(Ledger):
    async def deliver(self, event: Event, key: str) -> Receipt:
        try:
            return await super().deliver(event, key)
        except Stop:
            return Receipt("never mind")


class SaysNothingOfIt(Ledger):
    def events(self, record: Any) -> Iterator[Fact]:
        return iter(())


def sink_suite(sink: type[Ledger]) -> Any:
    return type(
        "Suite", (SinkContract,), {"connector": sink, "simulator": LedgerSimulator, "passing": ("503",)}
    )()


@pytest.mark.parametrize(
    ("sink", "test"),
    [
        (NewKeyEachTime, "test_a_repeat_has_no_second_effect"),
        (GoesOnWhenRefused, "test_a_refused_credential_stops_the_instance_and_tells_no_secret"),
        (SaysNothingOfIt, "test_what_came_of_a_delivery_becomes_declared_events"),
    ],
)
async def test_a_broken_sink_fails_its_contract(sink: type[Ledger], test: str) -> None:
    await getattr(sink_suite(Ledger), test)()
    with pytest.raises(FAILURES):
        await getattr(sink_suite(sink), test)()


# --- mailboxes ---


class Where(ConnectorConfig):
    base_url: str


class Letters(Simulator):
    """A mailbox."""

    letters: ClassVar[dict[str, bytes]]

    def config(self) -> dict[str, Any]:
        return {"base_url": self.url}

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", lambda _: JSONResponse(sorted(self.letters))),
            Route("/{id}", self._one, methods=["GET", "DELETE"]),
        ]

    def populate(self, count: int) -> set[str]:
        self.letters = {f"M{number}": b'{"reference": "R-%d"}' % number for number in range(count)}
        return {f"R-{number}" for number in range(count)}

    def waiting(self) -> int:
        return len(self.letters)

    async def _one(self, request: Request) -> Response:
        if request.method == "DELETE":
            return Response(self.letters.pop(request.path_params["id"]))
        return Response(self.letters[request.path_params["id"]])


class Careful(MailboxSource[Where, Told]):
    emits = (FeePaid,)
    key_field = "reference"

    def open_http(self) -> Http:
        return Http(self.config.base_url)

    async def waiting(self) -> Inbox:
        return Inbox(await self.http.get_json("/"))

    async def download(self, message_id: str) -> AsyncIterator[bytes]:
        yield (await self.http.send("GET", f"/{message_id}")).content

    async def acknowledge(self, message_id: str) -> None:
        await self.http.send("DELETE", f"/{message_id}")

    def events(self, record: Told) -> Iterator[Fact]:
        return facts(record)


class AcknowledgesAtOnce(Careful):
    async def download(self, message_id: str) -> AsyncIterator[bytes]:
        yield (await self.http.send("DELETE", f"/{message_id}")).content

    async def acknowledge(self, message_id: str) -> None:
        return


class NeverAcknowledges(Careful):
    async def acknowledge(self, message_id: str) -> None:
        return


@pytest.mark.parametrize(
    ("source", "test"),
    [
        (AcknowledgesAtOnce, "test_nothing_is_acknowledged_before_it_is_committed"),
        (NeverAcknowledges, "test_every_message_is_told_and_acknowledged"),
    ],
)
async def test_a_broken_mailbox_fails_its_contract(source: type[Careful], test: str, tmp_path: Path) -> None:
    suite = lambda cls: type("Suite", (MailboxContract,), {"connector": cls, "simulator": Letters})()  # noqa: E731
    await getattr(suite(Careful), test)(tmp_path / "careful")
    with pytest.raises(FAILURES):
        await getattr(suite(source), test)(tmp_path / "broken")


# --- file drops ---


class Folder(FileSettings):
    """Where they lie."""


class Files(FileSimulator):
    file_name: ClassVar[str] = "{n:04}.csv"

    def row(self, number: int) -> tuple[str, dict[str, str]]:
        return f"R-{number}", {"reference": f"R-{number}", "note": "x"}


class Rows(FileDropSource[Folder, Told]):
    emits = (FeePaid,)
    key_field = "reference"
    pattern = "*.csv"

    def read(self, file: TextIO) -> Iterator[Any]:
        return csv_rows(file)

    def events(self, record: Told) -> Iterator[Fact]:
        return facts(record)


class SwallowsBadRows(Rows):
    def read(self, file: TextIO) -> Iterator[Any]:
        return (row for row in csv_rows(file) if not isinstance(row, BadRow))


class LosesTheLast(Rows):
    def read(self, file: TextIO) -> Iterator[Any]:
        yield from list(csv_rows(file))[:-1]


@pytest.mark.parametrize(
    ("source", "test"),
    [
        (SwallowsBadRows, "test_a_row_that_cannot_be_read_is_set_aside_and_the_rest_goes_on"),
        (LosesTheLast, "test_every_row_is_told_and_the_file_is_archived"),
    ],
)
async def test_a_broken_file_drop_fails_its_contract(
    source: type[Rows], test: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filing, "PORTION", 2)
    suite = lambda cls: type("Suite", (FileDropContract,), {"connector": cls, "simulator": Files})()  # noqa: E731
    await getattr(suite(Rows), test)(tmp_path / "careful")
    with pytest.raises(FAILURES):
        await getattr(suite(source), test)(tmp_path / "broken")

"""Registers of premises licences: each row ends as an event, as nothing to tell, or set aside with what is wrong. An
answer to a renewal counts when it is whole."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.premises_licensing.connector import PremisesRegister, Renewals
from connectors.premises_licensing.mapping import facts
from connectors.premises_licensing.records import NOTICE, Licence, dated, due_on
from connectors.premises_licensing.simulator import COLUMNS
from hub.events.generated.licensing import FeePaid
from hub.sdk import Change, Event, Fact, Instance, Reject
from hub.sdk.facts import to_event
from tests.conformance.registers import End, source_over, through

OWN = Path(__file__).parents[2] / "connectors" / "premises_licensing" / "fixtures"
PLAIN = {
    "CaseReference": "PREM-1",
    "OrganisationLabel": "Birmingham City Council",
    "ServiceTypeLabel": "Premises licence",
    "LocationText": "1 Example Street",
    "LateNightRefreshment": "N",
    "AlcoholSupply": "Y",
    "StatusLabel": "Approved",
}


@pytest.fixture
def register(tmp_path: Path) -> PremisesRegister:
    folder = tmp_path / "drop"
    folder.mkdir()
    source = source_over(PremisesRegister, folder)
    assert isinstance(source, PremisesRegister)
    return source


def told(
    before: dict[str, str] | None, after: dict[str, str] | None, council: str = "E08000025"
) -> list[Fact]:
    """What a change from one row to another tells; rows differ from the plain one as given."""
    rows = [None if row is None else Licence.model_validate({**PLAIN, **row}) for row in (before, after)]
    kind: Any = "added" if before is None else "removed" if after is None else "changed"
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    change = Change[Licence](kind=kind, key="PREM-1", at=at, id="PREM-1:7", before=rows[0], after=rows[1])
    return list(facts(change, council))


def verbs(before: dict[str, str] | None, after: dict[str, str] | None) -> list[str]:
    return [fact.data.type.rpartition(".")[2] for fact in told(before, after)]


async def test_our_own_registers_end_as_they_should(register: PremisesRegister, tmp_path: Path) -> None:
    ends = await through(register, [OWN / "register.csv"], tmp_path)
    assert [str(end) for end in ends] == [
        "premises-licence.granted, premises-licence.fee-due",
        "premises-licence.suspended",
        "premises-licence.revoked",
        "nothing to tell",
    ]
    granted: Any = ends[0].facts[0].data
    assert (granted.postcode, granted.uprn, granted.flagged) == ("B1 1AA", "100000017", [])
    assert ends[0].facts[0].time == datetime(2024, 3, 20, tzinfo=UTC)
    due: Any = ends[0].facts[1].data
    assert due.due_on == "2026-03-20"
    club: Any = ends[1].facts[0].data
    assert (club.postcode, club.uprn, sorted(club.flagged)) == (None, None, ["postcode", "uprn"])


async def test_broken_rows_are_set_aside_by_what_is_wrong_and_nothing_they_say(
    register: PremisesRegister, tmp_path: Path
) -> None:
    ends = await through(register, [OWN / "broken.csv"], tmp_path)
    assert sorted((end.field, end.refused) for end in ends) == [
        ("5", "ExtractDate: is not a day as DD/MM/YYYY"),
        ("7", "the row has no key"),
        ("8", "the row has 5 fields where 10 are due"),
        ("OrganisationURI", "OrganisationURI: is another council's"),
        ("after.LateNightRefreshment", "after.LateNightRefreshment: Value error, should say yes or no"),
        ("after.LicenceStartDate", "after.LicenceStartDate: Value error, is not a day as DD/MM/YYYY"),
        ("after.LocationText", "after.LocationText: String should have at least 1 character"),
        ("after.StatusLabel", "after.StatusLabel: Value error, is a status that is not known"),
    ]


async def test_every_published_register_is_understood_row_by_row(
    register: PremisesRegister, tmp_path: Path, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted((samples / "premises_licence_register").glob("*.csv"))
    ends = await through(register, files, tmp_path)
    _table(ends, capsys)
    assert [str(end) for end in ends] == ["premises-licence.granted", "nothing to tell"]
    assert json.loads((samples / "premises_licence_register" / "columns.json").read_text()) == COLUMNS


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("Issued", ["premises-licence.granted", "nothing to tell", "nothing to tell"]),
        ("Lapsed", ["premises-licence.granted", "nothing to tell", "premises-licence.ended"]),
    ],
)
async def test_a_licence_stands_while_an_application_about_it_is_pending(
    register: PremisesRegister, tmp_path: Path, status: str, expected: list[str]
) -> None:
    files = []
    for number, now in enumerate(("Approved", "In consultation", status)):
        row = {**PLAIN, "ExtractDate": "02/03/2026", "StatusLabel": now}
        files.append(tmp_path / f"{number}.csv")
        files[-1].write_text("\n".join((",".join(row), ",".join(row.values()))))
    assert [str(end) for end in await through(register, files, tmp_path)] == expected


def _table(ends: list[End], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print()
        for number, end in enumerate(ends, 1):
            print(f"{end.file:<28}{number:>3}  {end}")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, {}, ["granted"]),
        (None, {"StatusLabel": "Pending"}, []),
        ({"StatusLabel": "Pending"}, {"StatusLabel": "Granted"}, ["granted"]),
        ({"StatusLabel": "Approved"}, {"StatusLabel": "ISSUED"}, []),
        ({}, {"OpeningHours": "later"}, ["varied"]),
        ({}, {"LicenceEndDate": "02/03/2030"}, []),
        ({}, {"StatusLabel": "Suspended", "OpeningHours": "never"}, ["suspended"]),
        ({"StatusLabel": "Suspended"}, {}, ["varied"]),
        ({"StatusLabel": "Suspended"}, {"StatusLabel": "Suspended", "OpeningHours": "never"}, []),
        ({"StatusLabel": "Suspended"}, {"StatusLabel": "Revoked"}, ["revoked"]),
        ({}, {"StatusLabel": "Surrendered"}, ["ended"]),
        ({}, None, ["ended"]),
        ({"StatusLabel": "Revoked"}, None, []),
        ({"StatusLabel": "Pending"}, {"StatusLabel": "Refused"}, []),
        ({"StatusLabel": "Refused"}, {}, ["granted"]),
        ({}, {"StatusLabel": "Refused"}, ["ended"]),
        ({"StatusLabel": "Suspended"}, {"StatusLabel": "Withdrawn"}, ["ended"]),
        ({"FeeDueOn": ""}, {"FeeDueOn": "2026-03-20"}, ["fee-due"]),
        ({"FeeDueOn": "2026-03-20"}, {"FeeDueOn": ""}, []),
        (
            {"FeeDueOn": "2025-03-20"},
            {"FeeDueOn": "2026-03-20", "Conditions": "no music"},
            ["varied", "fee-due"],
        ),
        (None, {"FeeDueOn": "2025-03-20"}, ["granted"]),
        ({"StatusLabel": "Revoked"}, {"StatusLabel": "Revoked", "FeeDueOn": "2026-03-20"}, []),
        (None, {"ServiceTypeLabel": "Temporary event notice"}, []),
    ],
)
def test_a_change_tells_what_happened(
    before: dict[str, str] | None, after: dict[str, str] | None, expected: list[str]
) -> None:
    assert verbs(before, after) == expected


def test_what_changed_is_named_and_not_told_where_it_is_nobodys_business() -> None:
    (varied,) = told({}, {"Conditions": "no music", "DesignatedPremisesSupervisor": "Another Person"})
    data: Any = varied.data
    assert data.changed == ["supervisor", "conditions"]
    assert "Another" not in str(data)


def test_a_register_of_a_council_that_was_merged_is_its_successors() -> None:
    uri = {"OrganisationURI": "http://statistics.data.gov.uk/id/statistical-geography/E07000026"}
    (granted,) = told(None, uri, "E06000063")
    data: Any = granted.data
    assert data.council == "E06000063"
    with pytest.raises(Reject, match="another council's"):
        told(None, uri)


ANSWER = b"CaseReference,PaymentReference,Outcome,ContactEmail\nPREM-1,pay-1,renewed,a@example.com\n"


def paid(tmp_path: Path, **settings: Any) -> tuple[Renewals, Event, Path]:
    """A sink that tells of renewals, a fee that was paid, and where the answer to it is to lie."""
    config = Renewals.config_model(
        _env_prefix="HUB_TEST_", folder=str(tmp_path), renewals_folder=str(tmp_path), **settings
    )
    sink = Renewals(Instance("birmingham", "premises_licensing", "E08000025"), config)
    moment = datetime(2026, 3, 2, tzinfo=UTC)
    data = FeePaid(
        council="E08000025",
        licence_reference="PREM-1",
        payment_id="pay-1",
        amount=19_000,
        currency="GBP",
        paid_at=moment,
    )
    event = to_event(Fact(data, "PREM-1", moment, "pay-1"), "/s", "E08000025", "c")
    return sink, event, tmp_path / f"renewal-{event.envelope.id}.answer.csv"


async def test_an_answer_that_is_being_written_is_none_yet(tmp_path: Path) -> None:
    sink, event, place = paid(tmp_path)
    delivery = asyncio.create_task(sink.deliver(event, event.envelope.id))
    while not list(tmp_path.glob("renewal-*")):
        await asyncio.sleep(0)
    for written in (0, 51, 70, len(ANSWER) - 1):
        place.write_bytes(ANSWER[:written])
        await asyncio.sleep(0.6)
        assert not delivery.done()
    place.write_bytes(ANSWER)
    assert (await delivery).reference == "PREM-1"
    await sink.close()


async def test_an_answer_to_an_earlier_attempt_is_waited_for_as_long_as_it_grows(tmp_path: Path) -> None:
    sink, event, place = paid(tmp_path)
    place.touch()
    finding = asyncio.create_task(sink.find(event, event.envelope.id))
    with place.open("ab", buffering=0) as office:
        for letter in ANSWER.rstrip():
            await asyncio.sleep(0.01)
            assert not finding.done()
            office.write(bytes([letter]))
    found = await finding
    assert found is not None and found.outcome is not None
    assert found.outcome["ContactEmail"] == "a@example.com"
    await sink.close()


@pytest.mark.parametrize(
    ("left", "reference", "refused"),
    [
        (b"", "", ""),
        (ANSWER[:51], "", ""),
        (ANSWER[:70], "", ""),
        (ANSWER.rstrip(), "PREM-1", ""),
        (ANSWER.rstrip().replace(b"renewed", b"refused"), "", "does not renew"),
        (ANSWER, "PREM-1", ""),
    ],
    ids=["empty", "header", "half a row", "no line break", "refusal without one", "whole"],
)
async def test_an_answer_that_a_dead_worker_did_not_live_to_judge_is_judged_before_the_renewal_goes_again(
    tmp_path: Path, left: bytes, reference: str, refused: str
) -> None:
    sink, event, place = paid(tmp_path)
    place.write_bytes(left)
    if refused:
        with pytest.raises(Reject, match=refused):
            await sink.find(event, event.envelope.id)
    else:
        found = await sink.find(event, event.envelope.id)
        assert (found.reference if found else "") == reference
    assert list(tmp_path.iterdir()) == [place]
    await sink.close()


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (b"", "cannot be read"),
        (ANSWER[:51], "cannot be read"),
        (ANSWER[:70], "cannot be read"),
        (ANSWER.rstrip(), ""),
        (ANSWER.replace(b"renewed", b"refused"), "does not renew"),
    ],
    ids=["empty", "header", "half a row", "no line break", "refusal"],
)
async def test_what_the_answer_is_in_the_end_is_judged_as_it_is(
    tmp_path: Path, answer: bytes, refused: str
) -> None:
    sink, event, place = paid(tmp_path, answer_within_seconds=1)
    delivery = asyncio.create_task(sink.deliver(event, event.envelope.id))
    while not list(tmp_path.glob("renewal-*")):
        await asyncio.sleep(0)
    place.write_bytes(answer)
    if refused:
        with pytest.raises(Reject, match=refused):
            await delivery
    else:
        assert (await delivery).reference == "PREM-1"
    await sink.close()


DAYS = st.dates(date(2005, 11, 24), date(2040, 12, 31))


@given(DAYS, st.integers(0, 800))
def test_every_anniversary_comes_into_sight_once_and_four_weeks_before(start: date, days: int) -> None:
    came: dict[date | None, date] = {}
    for day in (start + timedelta(days=days + n) for n in range(800)):
        came.setdefault(due_on(start, None, day), day)
    (first, _), *rest = came.items()
    assert first is None or start < first <= start + timedelta(days=days) + NOTICE
    assert all(due and due - day == NOTICE for due, day in rest)
    years = [due.year for due in came if due]
    assert len(rest) >= 2 and years == list(range(years[0], years[-1] + 1))


@given(DAYS, DAYS, DAYS)
def test_a_fee_is_due_when_what_is_paid_for_ends(start: date, end: date, today: date) -> None:
    assert due_on(start, end, today) == (end if end <= today + NOTICE else None)


def test_a_register_made_on_another_day_is_the_same_unless_a_fee_comes_into_sight() -> None:
    row = {**PLAIN, "LicenceStartDate": "20/03/2024"}
    days = ["01/02/2026", "19/02/2026", "20/02/2026", "01/06/2026"]
    rows = [dated({**row, "ExtractDate": day}) for day in days]
    assert rows[0] == rows[1]
    assert rows[1] != rows[2] == rows[3]


async def test_a_file_without_the_day_it_was_made_on_is_not_taken(
    register: PremisesRegister, tmp_path: Path
) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(PLAIN))
    writer.writeheader()
    writer.writerow(PLAIN)
    (tmp_path / "undated.csv").write_text(text.getvalue())
    ends = await through(register, [tmp_path / "undated.csv"], tmp_path)
    assert [end.refused for end in ends] == ["the file cannot be read: the file has no ExtractDate"]
    assert (tmp_path / "drop" / "quarantine").is_dir()

"""Registers of taxi licences: each row ends as an event, as nothing to tell, or set aside with what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.taxi_licensing.connector import TaxiRegister
from connectors.taxi_licensing.mapping import facts, national_line, national_row
from connectors.taxi_licensing.national import Register
from connectors.taxi_licensing.records import Licence
from hub.events.generated.licensing import TaxiLicenceGranted
from hub.sdk import BadRow, Change, Fact
from tests.conformance.registers import source_over, through
from tests.sdk.test_rows import read_in_little_memory

OWN = Path(__file__).parents[2] / "connectors" / "taxi_licensing" / "fixtures"
PLAIN = {
    "LicenceNumber": "HC-1",
    "Status": "Granted",
    "RegistrationMark": "AB12CDE",
    "LicenceStartDate": "2026-01-01",
    "LicenceEndDate": "2026-12-31",
    "LicenceType": "TAXI",
    "LicensingAuthority": "Birmingham",
    "PlateNumber": "HC-0001",
}


@pytest.fixture
def register(tmp_path: Path) -> TaxiRegister:
    folder = tmp_path / "drop"
    folder.mkdir()
    source = source_over(TaxiRegister, folder)
    assert isinstance(source, TaxiRegister)
    return source


def written(path: Path, rows: Iterable[dict[str, str]]) -> Path:
    """A register of licences without numbers, which differ from the plain one as given."""
    columns = [*sorted(PLAIN.keys() - {"LicenceNumber"}), "WheelchairAccessible"]
    lines = [columns, *([{**PLAIN, **row}.get(name, "") for name in columns] for row in rows)]
    path.write_text("\n".join(map(",".join, lines)))
    return path


def told(before: dict[str, str] | None, after: dict[str, str] | None) -> list[Fact]:
    rows = [None if row is None else Licence.model_validate({**PLAIN, **row}) for row in (before, after)]
    kind: Any = "added" if before is None else "removed" if after is None else "changed"
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    change = Change[Licence](kind=kind, key="HC-1", at=at, id="HC-1:7", before=rows[0], after=rows[1])
    return list(facts(change, "E08000025"))


async def test_our_own_register_ends_as_it_should(register: TaxiRegister, tmp_path: Path) -> None:
    ends = await through(register, [OWN / "register.csv"], tmp_path)
    assert [str(end) for end in ends] == [
        "taxi-licence.granted",
        "taxi-licence.suspended",
        "taxi-licence.revoked",
        "taxi-licence.granted",
        "nothing to tell",
    ]
    vehicle, driver, unsound = (ends[number].facts[0].data for number in (0, 2, 3))
    assert isinstance(vehicle, TaxiLicenceGranted)
    assert isinstance(unsound, TaxiLicenceGranted)
    assert (vehicle.registration_mark, vehicle.ends_on, vehicle.wheelchair_accessible) == (
        "AB12CDE",
        "2026-12-31",
        True,
    )
    told: Any = driver
    assert (told.kind, told.licence_type, told.driving_licence_number) == (
        "driver",
        "TAXI",
        "MORGA657054SM9IJ",
    )
    assert (unsound.driving_licence_number, unsound.flagged) == (None, ["driving_licence_number"])


async def test_broken_rows_are_set_aside_by_what_is_wrong_and_nothing_they_say(
    register: TaxiRegister, tmp_path: Path
) -> None:
    ends = await through(register, [OWN / "broken.csv"], tmp_path)
    assert [(end.field.removeprefix("after."), end.refused.partition("error, ")[2]) for end in ends[:8]] == [
        ("RegistrationMark", "is required of a vehicle"),
        ("LicenceEndDate", "is before the first day"),
        ("LicenceType", "should be TAXI or PHV"),
        ("RegistrationMark", "is not of a registration mark's shape"),
        ("LicenceStartDate", "is not a day as YYYY-MM-DD or DD/MM/YYYY"),
        ("WheelchairAccessible", "should be true, false or empty"),
        ("PlateNumber", ""),
        ("Status", "is a status that is not known"),
    ]
    assert [end.field for end in ends[8:]] == [
        "after.LicenceKind",
        "LicensingAuthorityCode",
        "after.LicensingAuthority",
    ]
    assert not [
        end for end in ends if any(said in end.refused for said in ("AB12", "MINICAB", "maybe", "boat"))
    ]


async def test_a_file_with_a_header_is_read_by_it_whether_its_licences_have_numbers_or_not(
    register: TaxiRegister, tmp_path: Path
) -> None:
    ends = await through(register, [written(tmp_path / "unnumbered.csv", [{}])], tmp_path)
    assert [str(end) for end in ends] == ["taxi-licence.granted"]
    told: Any = ends[0].facts[0].data
    assert (told.licence_reference, told.registration_mark) == ("TAXI/HC-0001", "AB12CDE")


_MISSPELT = "set aside: after.Status: Value error, is a status that is not known"


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["Granted", "Grnted", "Grnted", "Active"], ["taxi-licence.granted", _MISSPELT, "nothing to tell"]),
        (["Granted", "Grnted", "Expired"], ["taxi-licence.granted", _MISSPELT, "taxi-licence.ended"]),
        (["Granted", "Grnted", "gone"], ["taxi-licence.granted", _MISSPELT, "taxi-licence.ended"]),
        (["Grnted", "Grnted", "Granted"], [_MISSPELT, "taxi-licence.granted"]),
        (["Granted", "Pending", "Renewed"], ["taxi-licence.granted", "nothing to tell", "nothing to tell"]),
        (["Granted", "Pending", "gone"], ["taxi-licence.granted", "nothing to tell", "taxi-licence.ended"]),
        (
            ["Granted", "Received", "Refused"],
            ["taxi-licence.granted", "nothing to tell", "taxi-licence.ended"],
        ),
        (
            ["Revoked", "Pending", "Granted"],
            ["taxi-licence.revoked", "nothing to tell", "taxi-licence.granted"],
        ),
    ],
)
async def test_a_row_is_compared_with_what_its_licence_said_last_of_where_it_stands(
    register: TaxiRegister, tmp_path: Path, statuses: list[str], expected: list[str]
) -> None:
    files = [
        written(tmp_path / f"{number}.csv", [{"Status": status}] if status != "gone" else [])
        for number, status in enumerate(statuses)
    ]
    assert [str(end) for end in await through(register, files, tmp_path)] == expected


async def test_every_published_sample_is_understood_row_by_row(
    register: TaxiRegister, tmp_path: Path, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted((samples / "taxi_phv_database").rglob("*.csv"))
    ends = await through(register, files, tmp_path)
    with capsys.disabled():
        print()
        for end in ends:
            print(f"{end.file:<26}{end.line or '-':>3}  {end}")
    good = [str(end) for end in ends if end.file == "CAZ-2024-05-01-BCC.csv"]
    assert good == ["taxi-licence.granted"] * 4
    bad = [(end.line, end.field, end.refused) for end in ends if end.file == "CAZ-2024-05-02-BCC.csv"]
    named = {field.removeprefix("after.") for _, field, refused in bad if refused}
    assert {"RegistrationMark", "LicenceType"} <= named
    reasons = {refused for *_, refused in bad}
    assert "the row has 6 fields where 7 are due" in reasons
    assert "a row with this key came before" in reasons  # its plate is the first row's
    assert "4 of 4 entries are missing: rows that cannot be read: 1, nothing is removed" in reasons
    assert sum(1 for *_, refused in bad if refused) == 5 + 1, "a row disappeared"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, {}, ["granted"]),
        (None, {"Status": "Pending"}, []),
        ({"Status": "Pending"}, {}, ["granted"]),
        ({"Status": "Issued"}, {"Status": "Renewed"}, []),
        ({}, {"LicenceEndDate": "2027-12-31"}, ["varied"]),
        ({}, {"Status": "Suspended"}, ["suspended"]),
        ({"Status": "Suspended"}, {"Status": "Suspended", "PlateNumber": "2"}, []),
        ({"Status": "Suspended"}, {}, ["varied"]),
        ({}, {"Status": "Revoked"}, ["revoked"]),
        ({"Status": "Revoked"}, {}, ["varied"]),
        ({}, {"Status": "Expired"}, ["ended"]),
        ({}, None, ["ended"]),
        ({}, {"Status": "Refused"}, ["ended"]),
        ({"Status": "Suspended"}, {"Status": "Withdrawn"}, ["ended"]),
        ({"Status": "Pending"}, {"Status": "Refused"}, []),
        ({"Status": "Refused"}, {}, ["granted"]),
        ({"Status": "Revoked"}, None, []),
        ({"Status": "Expired"}, {"Status": "Expired", "PlateNumber": "2"}, []),
    ],
)
def test_a_change_tells_what_happened(
    before: dict[str, str] | None, after: dict[str, str] | None, expected: list[str]
) -> None:
    assert [fact.data.type.rpartition(".")[2] for fact in told(before, after)] == expected


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=15).filter(
    lambda text: text.strip() == text
)


@given(
    plate=TEXT,
    access=st.sampled_from(["", "true", "FALSE"]),
    days=st.tuples(st.dates(date(2000, 1, 1)), st.dates(date(2000, 1, 1))).map(sorted),
    kind=st.sampled_from(["TAXI", "phv", "HCV"]),
)
def test_whatever_the_register_may_say_the_national_database_takes(
    plate: str, access: str, days: list[date], kind: str
) -> None:
    row = {"PlateNumber": plate, "WheelchairAccessible": access, "LicenceType": kind}
    row |= {"LicenceStartDate": f"{days[0]:%d/%m/%Y}", "LicenceEndDate": days[1].isoformat()}
    (fact,) = told(None, row)
    assert isinstance(fact.data, TaxiLicenceGranted)
    national = Register()
    line = national_line(national_row(fact.data))
    assert national.take("CAZ-2026-03-02-BCC", line, datetime(2026, 3, 2, tzinfo=UTC)) == []
    assert national.vehicles["Birmingham"]["AB12CDE"][5] == plate


def test_a_file_without_lines_is_read_in_little_memory(register: TaxiRegister, tmp_path: Path) -> None:
    bad = BadRow("the line has more than 900000 characters")
    assert read_in_little_memory(register.read, tmp_path / "full.csv") == [bad]

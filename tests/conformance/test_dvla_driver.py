"""DVLA's driver enquiry: its samples and three shapes of error, and a council's drivers over days of rounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.dvla_driver.config import Config
from connectors.dvla_driver.connector import Drivers
from connectors.dvla_driver.mapping import kept, words
from connectors.dvla_driver.round import Round
from connectors.dvla_driver.simulator import API_KEY, PASSWORD, DvlaSimulator
from hub.sdk import Reject, Retry, Stop
from hub.sdk.clock import SteppedClock
from hub.sdk.connector import Instance

OWN = Path(__file__).parents[2] / "connectors" / "dvla_driver" / "fixtures"
SAMPLES = Path(__file__).parents[3] / "shared" / "fixtures" / "dvla"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no published samples beside the project")

INSTANCE = Instance("birmingham-drivers", "dvla_driver", "E08000025")
NIGHT = datetime(2026, 3, 2, 2, tzinfo=UTC)
CHANGED, DISQUALIFIED, EXPIRED = (
    f"driving.licence.{verb}" for verb in ("changed", "disqualified", "expired")
)


class Council:
    """A council that asks every night; `heard` are the events of one night as (reference, type)."""

    def __init__(self, dvla: DvlaSimulator, page_size: int = 2) -> None:
        self.dvla, self.page_size = dvla, page_size
        self.cursor: str | None = None
        self.raw: list[dict[str, Any]] = []
        self.set_aside: list[tuple[str, str]] = []
        self.source = self.worker()

    def worker(self) -> Drivers:
        settings = self.dvla.config() | {"page_size": self.page_size}
        config = Config(_env_prefix="HUB_TEST_DVLA_", **settings)  # type: ignore[call-arg]
        return Drivers(INSTANCE, config, self.dvla.clock)

    async def night(self) -> list[tuple[str, str]]:
        heard, more = [], True
        while more:
            page = await self.source.fetch(self.cursor)
            self.cursor, more = page.next, page.more
            self.raw += page.items
            for item in page.items:
                try:
                    facts = self.source.translate(json.dumps(item).encode())
                except Reject as reject:
                    self.set_aside.append((item["licence_reference"], reject.reason))
                    continue
                assert facts, "a raw record that tells nothing"
                heard += [(fact.subject, fact.data.type) for fact in facts]
        assert isinstance(self.dvla.clock, SteppedClock)
        self.dvla.clock.advance(86_400)
        return heard


@asynccontextmanager
async def at_work(page_size: int = 2) -> AsyncIterator[tuple[DvlaSimulator, Council]]:
    dvla = DvlaSimulator(SteppedClock(NIGHT))
    async with dvla.serve():
        council = Council(dvla, page_size)
        yield dvla, council
        await council.source.close()


@pytest.mark.parametrize("path", sorted(OWN.glob("*.json")), ids=lambda path: path.stem)
def test_every_fixture_becomes_events_or_names_the_field_at_fault(path: Path) -> None:
    source = Council(DvlaSimulator()).source
    if path.stem.startswith("broken"):
        with pytest.raises(Reject) as caught:
            source.translate(path.read_bytes())
        assert caught.value.field in (
            "driving_licence_number",
            "answer.licence.status",
            "answer.token.validToDate",
        )
        return
    (fact,) = source.translate(path.read_bytes())
    verb = {"disqualified": DISQUALIFIED, "expired": EXPIRED}.get(path.stem.split("_")[0], CHANGED)
    assert fact.data.type == verb
    assert fact.data.model_dump()["penalty_points"] == 9


@needs_samples
def test_every_published_answer_becomes_events_and_every_other_file_is_set_aside_by_name() -> None:
    source, ends = Council(DvlaSimulator()).source, {}
    for path in sorted((SAMPLES / "driver_enquiry").glob("*.json")):
        answer = json.loads(path.read_bytes())
        item = {"licence_reference": "TAXI-1", "noticed_at": NIGHT.isoformat(), "answer": kept(answer)}
        try:
            facts = source.translate(json.dumps(item).encode())
            assert {fact.data.model_dump()["valid_until"] for fact in facts} == {"2024-12-15"}
            ends[path.name] = " ".join(fact.data.type for fact in facts)
        except Reject as reject:
            ends[path.name] = reject.field
        assert "Harrison" not in json.dumps(item)
        assert "EA1234" not in json.dumps(item)
    answers = {name: end for name, end in ends.items() if end.startswith("driving.")}
    assert sorted(answers) == [
        "driverResponse.json",
        "driverResponseSentenceDate.json",
        "driverResponseTokenValidityToToken.json",
    ]
    assert all(DISQUALIFIED in end for end in answers.values())  # they wait for sentence
    assert {end for name, end in ends.items() if name not in answers} <= {"answer.driver", "answer.licence"}
    assert len(ends) == 11


@needs_samples
def test_each_shape_of_error_is_told_by_its_code_alone() -> None:
    told = {}
    for path in (SAMPLES / "ves_errors").glob("*.json"):
        case = json.loads(path.read_bytes())
        told[case["http_status"]] = words(case["http_status"], case["raw_body"].encode())
    assert told == {
        404: "404",
        429: "Too Many Requests",
        456: "",
        500: "ENQ108",
        503: "System currently down for maintenance",
    }
    not_found = (SAMPLES / "driver_enquiry" / "driverResponseInternalServerError.json").read_bytes()
    assert words(500, not_found) == "ENQ018"


async def test_only_changes_are_told_and_each_of_them() -> None:
    async with at_work() as (dvla, council):
        driver = dvla.license_driver("TAXI-1")
        assert await council.night() == []  # in good standing when first seen
        assert await council.night() == []
        dvla.move_house(driver)
        assert await council.night() == []
        for change in (dvla.endorse, lambda d: dvla.disqualify(d, date(2027, 1, 1)), dvla.reinstate) * 2:
            change(driver)
            (told,) = await council.night()
            verb = (
                DISQUALIFIED
                if dvla.drivers[dvla.numbers[driver]]["licence"]["status"] != "Valid"
                else CHANGED
            )
            assert told == (driver, verb)
            assert await council.night() == []


@pytest.mark.parametrize("wrong", ["revoked", "provisional", "nothing may be driven"])
async def test_a_licence_that_is_no_valid_full_one_is_told_of_at_first_sight_and_not_again(
    wrong: str,
) -> None:
    async with at_work() as (dvla, council):
        driver = dvla.license_driver("TAXI-1")
        answer = dvla.drivers[dvla.numbers[driver]]
        match wrong:
            case "revoked":
                answer["licence"]["status"] = "Revoked"
            case "provisional":
                answer["licence"]["type"] = "Provisional"
            case _:
                for category in answer["entitlement"]:
                    category["expiryDate"] = "2026-01-31"
        assert await council.night() == [(driver, CHANGED)]
        assert await council.night() == []


def test_days_are_those_of_london() -> None:
    answer = _answer(disqualifiedUntil="2026-06-30", validToDate="2026-06-30")
    item = {"licence_reference": "TAXI-1", "noticed_at": "2026-06-30T23:30:00+00:00", "answer": answer}
    (fact,) = Council(DvlaSimulator()).source.translate(json.dumps(item).encode())
    assert fact.data.type == EXPIRED  # the first of July has begun, and the disqualification is over
    assert fact.time == datetime(2026, 6, 30, 23, tzinfo=UTC)


def _answer(disqualifiedUntil: str, validToDate: str) -> dict[str, Any]:  # noqa: N803 - DVLA's names
    answer = json.loads((OWN / "changed.json").read_bytes())["answer"]
    answer["driver"]["disqualifiedUntil"] = disqualifiedUntil
    answer["token"]["validToDate"] = validToDate
    return dict(answer)


async def test_what_comes_and_goes_is_told_every_time_as_another_event() -> None:
    async with at_work() as (dvla, council):
        driver = dvla.license_driver("TAXI-1")
        await council.night()
        for _ in range(3):
            dvla.disqualify(driver, None)
            assert await council.night() == [(driver, DISQUALIFIED)]
            dvla.reinstate(driver)
            assert await council.night() == [(driver, CHANGED)]
        keys = [
            fact.key for item in council.raw for fact in council.source.translate(json.dumps(item).encode())
        ]
        assert len(set(keys)) == len(keys) == 6


async def test_what_passes_with_time_alone_is_noticed() -> None:
    async with at_work() as (dvla, council):
        driver = dvla.license_driver("TAXI-1")
        dvla.disqualify(driver, NIGHT.date() + timedelta(days=1))
        dvla.drivers[dvla.numbers[driver]]["licence"]["status"] = "Valid"
        dvla.drivers[dvla.numbers[driver]]["token"]["validToDate"] = (
            (NIGHT + timedelta(days=3)).date().isoformat()
        )
        nights = [await council.night() for _ in range(6)]
    assert nights == [[(driver, DISQUALIFIED)], [], [(driver, CHANGED)], [], [(driver, EXPIRED)], []]


async def test_another_worker_notices_the_same_changes() -> None:
    async with at_work() as (dvla, council):
        drivers = [dvla.license_driver() for _ in range(5)]
        await council.night()
        await council.source.close()
        council.source = council.worker()
        assert await council.night() == []
        dvla.endorse(drivers[3])
        assert await council.night() == [(drivers[3], CHANGED)]


async def test_a_number_that_is_none_is_not_asked_for_and_one_that_is_unknown_once_a_month() -> None:
    async with at_work() as (dvla, council):
        dvla.license_driver("TAXI-1", number="not a number")
        dvla.license_driver("TAXI-2", number="NOBOD801155AX000")
        for _ in range(32):
            assert await council.night() == []
        assert council.set_aside == [
            ("TAXI-1", "driving_licence_number: is not of the shape of a driving licence number"),
            ("TAXI-2", "driving_licence_number: is not known to DVLA"),
        ]
        assert dvla.enquiries["NOBOD801155AX000"] == 2
        dvla.numbers["TAXI-2"] = dvla.numbers["TAXI-00000"]  # the council puts it right
        dvla.license_driver("TAXI-3")
        assert await council.night() == []
        assert dvla.enquiries[dvla.numbers["TAXI-2"]] == 33 + 1


@pytest.mark.parametrize(
    "curse",
    [500, 502, 504, b'{"driver": {', b"", b"[]"],
    ids=["500", "502", "504", "half an answer", "nothing", "a list"],
)
@pytest.mark.parametrize("place", [0, 1, -1])
async def test_a_driver_for_whom_dvla_fails_does_not_hold_up_the_others(
    curse: int | bytes, place: int
) -> None:
    async with at_work() as (dvla, council):
        drivers = [dvla.license_driver() for _ in range(4)]
        await council.night()
        dvla.cursed = {dvla.numbers[drivers[place]]: curse}
        for driver in drivers:
            dvla.endorse(driver)
        odd = drivers[place]
        assert await council.night() == [(driver, CHANGED) for driver in drivers if driver != odd]
        dvla.cursed = {}
        assert await council.night() == [(odd, CHANGED)]


async def test_drivers_at_the_end_of_the_list_for_whom_dvla_fails_are_asked_for_once_more_and_left() -> None:
    async with at_work(page_size=3) as (dvla, council):
        drivers = [dvla.license_driver() for _ in range(4)]
        await council.night()
        dvla.cursed = {dvla.numbers[driver]: 502 for driver in drivers[-2:]}  # a page of their own
        dvla.enquiries.clear()
        dvla.endorse(drivers[0])
        assert await council.night() == [(drivers[0], CHANGED)]
        assert [dvla.enquiries[dvla.numbers[driver]] for driver in drivers] == [1, 1, 2, 2]


async def test_while_dvla_fails_for_all_only_a_few_are_asked_for() -> None:
    async with at_work(page_size=50) as (dvla, council):
        dvla.license_driver("A", number="not a number")  # which says nothing of DVLA
        for _ in range(30):
            dvla.license_driver()
        dvla.cursed = dict.fromkeys(dvla.drivers, 502)
        with pytest.raises(Retry, match="502"):
            await council.night()
        assert dvla.enquiries.total() <= 5


async def test_a_failure_of_all_is_a_bad_moment_and_loses_nothing() -> None:
    async with at_work() as (dvla, council):
        drivers = [dvla.license_driver() for _ in range(3)]
        await council.night()
        for driver in drivers:
            dvla.endorse(driver)
        for fault in ("500", "503", "429"):
            dvla.faults = {fault: 1.0}
            with pytest.raises(Retry) as caught:
                await council.night()
            assert fault in caught.value.reason
        dvla.have("a good day")
        assert await council.night() == [(driver, CHANGED) for driver in drivers]


async def test_an_enquiry_that_was_paid_for_is_not_made_again_because_the_next_one_fails() -> None:
    async with at_work() as (dvla, council):
        drivers = [dvla.license_driver() for _ in range(4)]
        dvla.disqualify(drivers[0], None)
        dvla.quota = 2
        page = await council.source.fetch(None)
        assert (len(page.items), page.more) == (1, True)
        dvla.quota = 1
        page = await council.source.fetch(page.next)  # the third, and no fourth
        with pytest.raises(Retry, match="Too Many Requests"):
            await council.source.fetch(page.next)
        dvla.quota = None
        council.cursor = page.next
        assert await council.night() == []
        assert set(dvla.enquiries.values()) == {1}


async def test_a_long_wait_that_dvla_asks_for_keeps_what_was_paid_for_and_is_told() -> None:
    async with at_work() as (dvla, council):
        dvla.disqualify(dvla.license_driver("TAXI-0"), None)
        dvla.resets_in = 600
        async with asyncio.timeout(10):
            page = await council.source.fetch(None)
            assert ([item["licence_reference"] for item in page.items], page.more) == (["TAXI-0"], True)
            with pytest.raises(Retry) as caught:
                await council.source.fetch(page.next)
        assert caught.value.after == pytest.approx(600, abs=30)
        assert dvla.enquiries.total() == 1


async def test_a_list_that_no_cursor_holds_halts_the_instance_before_anybody_is_paid_for() -> None:
    async with at_work() as (dvla, council):
        rows = [f"TAXI-{number:05},SAMPL801155AX000" for number in range(60_000)]
        dvla.list_file.write_text("\n".join(["licence_reference,driving_licence_number", *rows]))
        with pytest.raises(Stop, match="60000 drivers"):
            await council.night()
        assert not dvla.enquiries


async def test_the_token_is_asked_for_anew_when_it_ends_and_sent_as_it_is() -> None:
    async with at_work() as (dvla, council):
        for _ in range(3):
            await council.night()
        assert dvla.logins == 3
        asked = [one for one in dvla.requests if one.path.endswith("retrieve")]
        assert all(one.headers["x-api-key"] == API_KEY for one in asked)
        assert not [one for one in asked if one.headers["authorization"].startswith("Bearer")]


async def test_who_left_the_list_is_forgotten() -> None:
    async with at_work() as (dvla, council):
        driver = dvla.license_driver("TAXI-1")
        await council.night()
        dvla.strike_off(driver)
        await council.night()
        assert council.cursor
        assert "TAXI-1" not in Round.of(council.cursor, NIGHT).known


async def test_who_a_driver_is_stays_out_of_the_hub() -> None:
    async with at_work() as (dvla, council):
        driver = dvla.license_driver("TAXI-1")
        dvla.disqualify(driver, None)
        await council.night()
        number = dvla.numbers[driver]
        for text in (json.dumps(council.raw), council.cursor or ""):
            for secret in (number, "EXAMPLE", "ASHA", "1985-01-15", "Sample Street", PASSWORD):
                assert secret not in text


@pytest.mark.parametrize("text", ["", "licence_reference\nTAXI-1\n", "\xff"])
async def test_what_is_no_list_halts_the_instance(text: str, tmp_path: Path) -> None:
    async with at_work() as (dvla, council):
        dvla.list_file.write_text(text, encoding="latin-1")
        with pytest.raises(Stop, match="list of drivers"):
            await council.night()
        dvla.list_file.unlink()
        with pytest.raises(Stop, match="FileNotFoundError"):
            await council.night()


async def test_an_address_that_knows_no_enquiry_halts_the_instance_and_is_not_taken_for_unknown_drivers() -> (
    None
):
    async with at_work() as (dvla, council):
        dvla.faults = {"410": 1.0}
        with pytest.raises(Stop):
            await council.night()

"""A council's licensing back office: leaves its register over SFTP, and takes renewals beside it."""

from __future__ import annotations

import asyncio
import csv
import io
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar

from connectors.premises_licensing.records import day
from hub.sdk.clock import Clock
from hub.sdk.sftp_simulator import FileSimulator

#: Faults: the register is cut off in the middle, or has a row that cannot be read; renewals are not looked at, or
#: refused.
HALF, SPOILT, SILENT, REFUSED = "half a register", "spoilt row", "no answer", "refused"

COLUMNS = (
    "ExtractDate OrganisationURI OrganisationLabel CaseReference CaseDate ServiceTypeURI ServiceTypeLabel"
    " PremisesName LocationText Postcode EntertainmentTypeURI EntertainmentTypeLabel LateNightRefreshment"
    " AlcoholSupply OpeningHours StatusURI StatusLabel LicenceStartDate LicenceEndDate OnPremisesAlcoholSale"
    " OffPremisesAlcoholSale LicenceHolder LicenceHolderAddress LicenceHolderPostcode ApplicantTypeURI"
    " ApplicantTypeLabel DesignatedPremisesSupervisor SupervisorLicenceNo SupervisorAddress SupervisorPostcode"
    " Conditions DecisionDate DecidedBy LicenceURL UPRN GeoPointLicensingURL"
).split()

_NAMES = ("The Anchor", "Corner Stores", "Lagoon Kitchen", "The Foundry Bar", "Mill Lane Social Club")
_LOOK_S = 0.1


class PremisesSimulator(FileSimulator):
    """`change` an entry, then `publish` the register. What lies in `/drop/renewals` is taken as it comes: the period
    that is paid for is a year longer, a payment that is known renews nothing twice, and an answer is left beside.
    """

    file_name: ClassVar[str] = "premises-{n:06}.csv"
    whole: ClassVar[bool] = True
    bad_days: ClassVar[dict[str, dict[str, float]]] = FileSimulator.bad_days | {
        "registers cut off": {HALF: 1.0},
        "rows spoilt": {SPOILT: 1.0},
        "renewals not looked at": {SILENT: 1.0},
        "renewals refused": {REFUSED: 1.0},
    }

    def __init__(self, clock: Clock | None = None, seed: int | None = None) -> None:
        super().__init__(clock, seed)
        self.renewed: dict[str, dict[str, str]] = {}
        self._renewals = self.folder / "renewals"
        self._renewals.mkdir()

    def config(self) -> dict[str, Any]:
        """The register's folder, and that for renewals."""
        return super().config() | {"renewals_folder": "/drop/renewals"}

    @asynccontextmanager
    async def serve_sftp(self, port: int) -> AsyncIterator[str]:
        """The server, and the office behind it."""
        async with super().serve_sftp(port) as url:
            self.spawn(self._office())
            yield url

    def row(self, number: int) -> tuple[str, dict[str, str]]:
        """A licence that was granted lately."""
        reference, name = f"PREM-2026-{number:05}", _NAMES[number % len(_NAMES)]
        granted = self._day(-30)
        return reference, dict.fromkeys(COLUMNS, "") | {
            "OrganisationURI": "http://statistics.data.gov.uk/id/statistical-geography/E08000025",
            "OrganisationLabel": "Birmingham City Council",
            "CaseReference": reference,
            "ServiceTypeURI": "http://id.esd.org.uk/service/860",
            "ServiceTypeLabel": "Premises licence",
            "PremisesName": name,
            "LocationText": f"{number} Example Street, Birmingham",
            "Postcode": "B1 1AA",
            "EntertainmentTypeLabel": "Live music|Recorded music",
            "LateNightRefreshment": "true",
            "AlcoholSupply": "Yes",
            "OpeningHours": "m-th 1000-2330 fs 1000-0130 su 1200-2230",
            "StatusLabel": "Approved",
            "LicenceStartDate": granted,
            "OnPremisesAlcoholSale": "Y",
            "OffPremisesAlcoholSale": "N",
            "LicenceHolder": f"Example Inns {number} Ltd",
            "DesignatedPremisesSupervisor": "A Person",
            "DecisionDate": granted,
            "DecidedBy": "Delegated",
            "UPRN": f"1000{number:08}",
        }

    def altered(self, row: dict[str, str]) -> dict[str, str]:
        """Open longer."""
        return {**row, "OpeningHours": "every day 0900-0200"}

    def encode(self, rows: Iterable[dict[str, str]]) -> bytes:
        """As of today."""
        today = self._day(0)
        return super().encode({**row, "ExtractDate": today} for row in rows)

    def write(self, body: bytes) -> str:
        """On a bad day, less than the register or more."""
        fault = self.draw(HALF, SPOILT)
        if fault == HALF:
            body = body[: len(body) // 2]
        return super().write(self.spoilt(body) if fault == SPOILT else body)

    def change(self, reference: str, **columns: str) -> None:
        """Enter something about a licence, a new one if there is none of that reference."""
        known = self.register.get(reference) or self.row(len(self.register) + 1)[1]
        self.register[reference] = {**known, "CaseReference": reference, **columns}

    def publish(self) -> str:
        """Leave the register as it stands; gives the file's name."""
        return self.write(self.encode(self.register.values()))

    def leave(self, number: int, rows: Iterable[Mapping[str, str]]) -> None:
        """The register of that number, as of today, row by row: for one that is too large to be held."""
        partial, today = self.folder / ".register", self._day(0)
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows({**row, "ExtractDate": today} for row in rows)
        partial.rename(self.folder / self.file_name.format(n=number))

    def effects(self) -> Counter[str]:
        """Renewals by payment, those too that are waiting."""
        self.take_renewals()
        return Counter(list(self.renewed))

    def take_renewals(self) -> None:
        """What the office does all day."""
        if self.draw(SILENT):
            return
        for path in sorted(self._renewals.glob("renewal-*.csv")):
            if not path.name.endswith(".answer.csv"):
                row = next(csv.DictReader(path.read_text().splitlines()))
                self._answer(path.stem, self._taken(row))
                path.unlink()

    def _taken(self, row: dict[str, str]) -> dict[str, str]:
        """The answer to a renewal; the same to a repeat."""
        payment, reference = row["PaymentReference"], row["CaseReference"]
        answer = {
            "CaseReference": reference,
            "PaymentReference": payment,
            "Outcome": "renewed",
            "AnsweredAt": self.clock.now().isoformat(),
        }
        entry = self.register.get(reference)
        if self.draw(REFUSED) or (entry and entry["StatusLabel"] == "Revoked"):
            return answer | {"Outcome": "refused"}
        if payment in self.renewed:
            return self.renewed[payment]
        if entry is None:
            self.change(reference)
            entry = self.register[reference]
        paid_until = day(entry["LicenceEndDate"]) or self.clock.now().date()
        entry["LicenceEndDate"] = f"{paid_until + timedelta(days=365):%d/%m/%Y}"
        email = f"licensee+{reference.lower().replace('/', '-')}@example.com"
        told = {name: entry[name] for name in ("PremisesName", "LicenceEndDate")} | {"ContactEmail": email}
        self.renewed[payment] = answer | told
        return self.renewed[payment]

    def _answer(self, stem: str, row: dict[str, str]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(row))
        writer.writeheader()
        writer.writerow(row)
        partial = self._renewals / f".{stem}"
        partial.write_text(text.getvalue(), newline="")
        partial.rename(self._renewals / f"{stem}.answer.csv")

    async def _office(self) -> None:
        while True:
            self.take_renewals()
            await asyncio.sleep(_LOOK_S)

    def _day(self, days: int) -> str:
        return f"{self.clock.now() + timedelta(days=days):%d/%m/%Y}"

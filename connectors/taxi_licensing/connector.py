"""Taxi and private-hire licences: what changed in a council's register, and the national database told of it."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TextIO
from uuid import uuid4

from connectors.taxi_licensing.config import Config
from connectors.taxi_licensing.mapping import facts, job_facts, national_line, national_row
from connectors.taxi_licensing.records import PUBLISHED, Job, Licence
from hub.events.generated.licensing import (
    TaxiLicenceEnded,
    TaxiLicenceGranted,
    TaxiLicenceRevoked,
    TaxiLicenceSuspended,
    TaxiLicenceVaried,
    TaxiRegisterAccepted,
    TaxiRegisterRefused,
)
from hub.sdk import (
    ApiKey,
    BadRow,
    Change,
    Entry,
    Event,
    ExportSink,
    Fact,
    Http,
    OutcomeSink,
    Policy,
    Receipt,
    RegisterSource,
    Retry,
    Stop,
    csv_rows,
)
from hub.sdk.http import decoded
from hub.sdk.identifiers import todays_council
from hub.sdk.rows import LONGEST_ROW

JOBS = "/v1/scheme-management/register-csv-from-s3/jobs"

#: How often a job is asked after, seconds; the largest file that is taken, and how much of it is sent at once, bytes.
_LOOK_S = 2.0
_LARGEST = 50 * 10**6
_PIECE = 256 << 10


class TaxiRegister(RegisterSource[Config, Licence]):
    """The whole register as CSV: with a header, or in the national database's published form."""

    name = "register"
    emits = (
        TaxiLicenceGranted,
        TaxiLicenceVaried,
        TaxiLicenceSuspended,
        TaxiLicenceRevoked,
        TaxiLicenceEnded,
    )
    pattern = "*.csv"

    @property
    def used(self) -> bool:
        """Unless the instance is the national database."""
        return not self.config.authority_id

    def read(self, file: TextIO) -> Iterable[dict[str, str] | BadRow]:
        """By the first line: a header has every column of the published form by its name."""
        headed = PUBLISHED[0] in file.readline(LONGEST_ROW)
        file.seek(0)
        return csv_rows(file, None if headed else PUBLISHED)

    def row_key(self, row: Mapping[str, Any]) -> str:
        """The licence's number; where rows have none, the plate's, which are counted by type."""
        return (row.get("LicenceNumber") or f"{row['LicenceType']}/{row['PlateNumber']}").strip()

    def supersedes(self, before: Licence, after: Licence) -> bool:
        """Not where there is an application under way: what was in force is so until that is decided."""
        return not (before.stands and after.standing == "pending")

    def events(self, record: Change[Licence]) -> Iterator[Fact]:
        """See `mapping`."""
        return facts(record, todays_council(self.instance.party))


class NationalDatabase(ExportSink[Config], OutcomeSink[Config, Job]):
    """All vehicles that a council licenses, once a day where something changed; each file replaces the one before.

    The file goes to the bucket over SFTP, then a job is asked for that takes it in. A job that fails leaves the
    database as it was: that is told as an event, and the register goes again when it has changed. Changed or not, it
    goes within the week that the law sets (SI 2019/885).
    """

    name = "national"
    accepts = (
        TaxiLicenceGranted,
        TaxiLicenceVaried,
        TaxiLicenceSuspended,
        TaxiLicenceRevoked,
        TaxiLicenceEnded,
    )
    emits = (TaxiRegisterAccepted, TaxiRegisterRefused)
    key_field = "authority_id"
    at_least_every = timedelta(days=6)
    patience = timedelta(minutes=10)

    @property
    def used(self) -> bool:
        """Where the authority's code there is known."""
        return bool(self.config.authority_id)

    def open_http(self) -> Http:
        """The job API."""
        key = self.config.api_key
        auth = ApiKey(key, "X-API-Key", "") if key else None
        return Http(self.config.api_url, auth=auth, policy=Policy(self.config.timeout_seconds))

    def wants(self, event: Event) -> bool:
        """Vehicles; drivers are not in it."""
        return bool(event.data["kind"] == "vehicle")

    def entry(self, event: Event) -> Entry:
        """A licence in force is in it, any other is not."""
        data = self.data_of(event)
        row = national_row(data) if isinstance(data, TaxiLicenceGranted | TaxiLicenceVaried) else None
        return Entry(event.data["licence_reference"], row)

    async def export(self, rows: AsyncIterable[Mapping[str, Any]], moment: datetime) -> Receipt:
        """Write the file, and have it taken in."""
        name, vehicles = f"CAZ-{moment:%Y-%m-%d}-{self.config.authority_id}", 0

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal vehicles
            piece = bytearray()
            async for row in rows:
                vehicles += 1
                piece += national_line(row)
                if len(piece) >= _PIECE:
                    yield bytes(piece)
                    piece.clear()
            yield bytes(piece)

        if await self.files.write(f"{name}.csv", pieces()) > _LARGEST:
            raise Stop("the register is larger than the 50 MB that the national database takes")
        if not self.config.api_url:
            return Receipt(name)
        job_id, answer = await self._job(name)
        outcome = {
            "authority_id": self.config.authority_id,
            "file_name": f"{name}.csv",
            "job_id": job_id,
            "status": answer["status"],
            "vehicles": vehicles,
            "ended_at": self.clock.now().isoformat(),
            "errors": answer.get("errors") or [],
        }
        return Receipt(job_id, outcome=outcome)

    def events(self, record: Job) -> Iterator[Fact]:
        """See `mapping`."""
        return job_facts(record, todays_council(self.instance.party))

    async def _job(self, name: str) -> tuple[str, dict[str, Any]]:
        """Have a job made for a file and wait for its end: its name, and what it says then."""
        headers = {"X-Correlation-Id": str(uuid4())}
        asked = {"filename": name, "s3Bucket": self.config.bucket}
        made = await self.http.post_json(JOBS, asked, headers)
        job_id = str(made["jobName"])
        began = self.clock.now()
        while (self.clock.now() - began).total_seconds() < self.config.job_seconds:
            answer = await self.http.send("GET", f"{JOBS}/{job_id}", headers=headers)
            told: dict[str, Any] = decoded(answer)
            if told["status"] != "RUNNING":
                return job_id, told
            await self.clock.sleep(_LOOK_S)
        raise Retry("the job has not ended")

"""Two systems in one: a council's taxi register over SFTP, and the national database behind SFTP and its job API."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.taxi_licensing.connector import JOBS
from connectors.taxi_licensing.national import Register
from hub.sdk.clock import Clock
from hub.sdk.sftp_simulator import FileSimulator
from hub.sdk.simulator import CUT, GARBAGE, LOST, Listener

#: Faults: jobs that fail, jobs that do not end, registers that are cut off in the middle.
FAILS, ENDLESS, HALF = "job fails", "job never ends", "half a register"


@dataclass
class _Job:
    errors: list[str]
    endless: bool
    looked_at: int = 0

    def told(self) -> dict[str, Any]:
        """As it runs: it is never through when it is first looked at."""
        self.looked_at += 1
        if self.endless or self.looked_at == 1:
            return {"status": "RUNNING", "errors": None}
        return {"status": "FAILURE" if self.errors else "SUCCESS", "errors": self.errors or None}


class TaxiSimulator(FileSimulator):
    """`change` a licence, then `publish` the council's register in `/drop`.

    The national database takes files from `/drop/national`, its bucket, once a job is asked for, and holds them in
    `national`; vehicles may be looked up.
    """

    file_name: ClassVar[str] = "taxi-{n:06}.csv"
    whole: ClassVar[bool] = True
    bad_days: ClassVar[dict[str, dict[str, float]]] = FileSimulator.bad_days | {
        "registers cut off": {HALF: 1.0},
        "jobs fail": {FAILS: 1.0},
        "jobs never end": {ENDLESS: 1.0},
        "job API down": {"503": 1.0},
        "too many requests": {"429": 1.0},
        "answers lost": {LOST: 0.5},
        "half answers": {CUT: 1.0},
        "apologies in place of answers": {GARBAGE: 1.0},
        "key revoked": {"401": 1.0},
    }

    def __init__(self, clock: Clock | None = None, seed: int | None = None) -> None:
        super().__init__(clock, seed)
        self.national = Register()
        self.api_key = "simulated-key-of-the-national-database"
        self._jobs: dict[str, _Job] = {}
        self._bucket = self.folder / "national"
        self._bucket.mkdir()

    def listeners(self) -> list[Listener]:
        """SFTP and HTTP."""
        return [self.serve_sftp, self.serve_http]

    def config(self) -> dict[str, Any]:
        """Both systems'. An instance for the council's register leaves `authority_id` and what follows out, one for
        the national database has `/drop/national` as its folder."""
        national = {"authority_id": "BCC", "api_url": self.url, "api_key": self.api_key}
        return super().config() | national

    def row(self, number: int) -> tuple[str, dict[str, str]]:
        """A vehicle's licence, of one who drives it."""
        reference = f"HC-2026-{number:05}"
        first, last = self._day(-30), self._day(335)
        letters = "".join(chr(ord("A") + number // 26**place % 26) for place in range(3))
        return reference, {
            "LicenceNumber": reference,
            "LicenceKind": "vehicle",
            "Status": "Granted",
            "RegistrationMark": f"BX{number % 100:02}{letters}",
            "LicenceStartDate": first,
            "LicenceEndDate": last,
            "LicenceType": "TAXI",
            "LicensingAuthority": "Birmingham",
            "LicensingAuthorityCode": "E08000025",
            "PlateNumber": f"HC-{number:05}",
            "WheelchairAccessible": "true",
            "DrivingLicenceNumber": f"MORGA{657054 + number % 10}SM9IJ",
        }

    def altered(self, row: dict[str, str]) -> dict[str, str]:
        """Another plate."""
        return {**row, "PlateNumber": row["PlateNumber"] + "A"}

    def write(self, body: bytes) -> str:
        """On a bad day, half of it."""
        return super().write(body[: len(body) // 2] if self.draw(HALF) else body)

    def change(self, reference: str, **columns: str) -> None:
        """Enter something about a licence, a new one if there is none of that number."""
        known = self.register.get(reference) or self.row(len(self.register) + 1)[1]
        self.register[reference] = {**known, "LicenceNumber": reference, **columns}

    def publish(self) -> str:
        """Leave the council's register as it stands; gives the file's name."""
        return self.write(self.encode(self.register.values()))

    def revoke(self, reference: str) -> None:
        """What a council's officer may decide about a driver: this licence and every other of theirs is revoked."""
        driver = self.register[reference]["DrivingLicenceNumber"]
        for held, row in self.register.items():
            if held == reference or (driver and row["DrivingLicenceNumber"] == driver):
                self.change(held, Status="Revoked")

    def licensed(self) -> set[str]:
        """The marks of all vehicles in the national database."""
        return {mark for held in self.national.vehicles.values() for mark in held}

    def effects(self) -> Counter[str]:
        """They, once each: a register replaces the one before."""
        return Counter(self.licensed())

    def routes(self) -> list[BaseRoute]:
        """Jobs, and what is known of a vehicle."""
        return [
            Route(JOBS, self._make_job, methods=["POST"]),
            Route(f"{JOBS}/{{name}}", self._look_at_job),
            Route("/v1/vehicles/{mark}/licence-info", self._info),
            Route("/v1/vehicles/{mark}/licence-info-historical", self._history),
        ]

    def refusal(self, status: int) -> Response:
        """As its gateway says it."""
        return JSONResponse({"message": "refused"}, status)

    async def _make_job(self, request: Request) -> Response:
        if answer := self._unfit(request):
            return answer
        told = await request.json()
        name = str(told.get("filename", ""))
        if not name or not told.get("s3Bucket"):
            return self.refusal(400)
        path = self._bucket / f"{name}.csv"
        if self.draw(FAILS):
            errors = ["Line 1: the register is closed"]
        else:
            body = path.read_bytes() if path.is_file() else None
            errors = self.national.take(name, body, self.clock.now())
        job = f"{name}-{self.random.getrandbits(48):012x}"  # another for ever, also after a restart
        self._jobs[job] = _Job(errors, endless=bool(self.draw(ENDLESS)))
        return JSONResponse({"jobName": job}, 201)

    async def _look_at_job(self, request: Request) -> Response:
        job = self._jobs.get(request.path_params["name"])
        return self._unfit(request) or (JSONResponse(job.told()) if job else self.refusal(404))

    async def _info(self, request: Request) -> Response:
        told = self.national.info(request.path_params["mark"], self.clock.now().date())
        return self._unfit(request) or (JSONResponse(told) if told else self.refusal(404))

    async def _history(self, request: Request) -> Response:
        page, size = (
            int(request.query_params.get(name, default))
            for name, default in (("pageNumber", "0"), ("pageSize", "10"))
        )
        told = self.national.history(request.path_params["mark"], page, max(size, 1))
        return self._unfit(request) or JSONResponse(told)

    def _unfit(self, request: Request) -> Response | None:
        """The refusal of a request without the key, or without a correlation id."""
        if not secrets.compare_digest(request.headers.get("x-api-key", ""), self.api_key):
            return self.refusal(403)
        try:
            UUID(request.headers.get("x-correlation-id", ""))
        except ValueError:
            return self.refusal(400)
        return None

    def _day(self, days: int) -> str:
        return f"{self.clock.now() + timedelta(days=days):%Y-%m-%d}"

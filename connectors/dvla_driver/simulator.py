"""DVLA's driver enquiry as it behaves: a login, an API key, three shapes of error, and its bad days.

As far as it is public (hmcts/cpp-context-staging-dvla, DVLA's developer portal). The council's list of drivers is kept
beside it in a file, since a connector is useless without one.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.dvla_driver.round import COLUMNS
from hub.sdk.clock import Clock
from hub.sdk.simulator import Simulator

USER, PASSWORD, API_KEY = "E08000025-licensing", "dvla-simulated-password", "dvla-simulated-api-key"
TOKEN_LASTS = timedelta(hours=1)
_SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TITLES = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 500: "Internal Server Error"}


class DvlaSimulator(Simulator):
    """`drivers` holds an answer by driving licence number, and `numbers` the council's list, one driver at first.

    A driver whose number is in `cursed` is answered with that status, or 200 and that body; all others as ever. `quota`
    is how many more enquiries are answered before all are refused as too many; None for any number. With `resets_in`,
    answers say that there is none left for so many seconds. `enquiries` counts what would be charged for.
    """

    bad_days: ClassVar[dict[str, dict[str, float]]] = {
        "too many requests": {"429": 1.0},
        "maintenance": {"503": 1.0},
        "system errors": {"500": 0.5},
        "half answers": {"cut": 0.5},
        "no answers": {"hang": 1.0},
        "pages in place of answers": {"garbage": 1.0},
        "password expired": {"401": 1.0},
        "key revoked": {"403": 1.0},
    }

    def __init__(
        self,
        clock: Clock | None = None,
        seed: int | None = None,
        drivers: Mapping[str, str] | None = None,
    ) -> None:
        """`drivers` is a council's list, by reference, of which all are in good standing; one of its own otherwise."""
        super().__init__(clock, seed)
        self.drivers: dict[str, dict[str, Any]] = {}
        self.numbers: dict[str, str] = {}
        self.cursed: dict[str, int | bytes] = {}
        self.quota: int | None = None
        self.resets_in: int | None = None
        self.enquiries: Counter[str] = Counter()
        self.logins = 0
        self._folder = TemporaryDirectory(prefix="dvla-")
        self._key = OctKey.generate_key(256)
        for reference, number in (drivers or {}).items():
            self.drivers[number] = _valid(number, self.clock.now().date())
            self.license_driver(reference, number)
        if not drivers:
            self.license_driver("TAXI-00000")

    def config(self) -> dict[str, Any]:
        """Settings of an instance."""
        return {
            "user_name": USER,
            "password": PASSWORD,
            "api_key": API_KEY,
            "drivers": self.list_file,
            "base_url": self.url,
        }

    @property
    def list_file(self) -> Path:
        """The council's list."""
        return Path(self._folder.name) / "drivers.csv"

    def routes(self) -> list[BaseRoute]:
        """Login and enquiry."""
        return [
            Route("/thirdparty-access/v1/authenticate", self._authenticate, methods=["POST"]),
            Route("/full-driver-enquiry/v1/driving-licences/retrieve", self._retrieve, methods=["POST"]),
        ]

    def refusal(self, status: int) -> Response:
        """In the shape that each status comes in."""
        if status in (403, 429):
            return JSONResponse({"message": "Too Many Requests" if status == 429 else "Forbidden"}, status)
        if status >= 502:
            told = "The service is currently down for maintenance"
            title = "System currently down for maintenance"
            return JSONResponse([{"status": status, "title": title, "detail": told}], status)
        codes = {400: "REQUEST_VALIDATION_ERROR", 404: "ENQ018", 500: "ENQ108"}
        details = {
            400: "Failed to parse request body",
            404: "For the given drivingLicenceNumber field, no driver record could be found",
        }
        error = {
            "status": str(status),
            "code": codes.get(status, "UNAUTHORISED"),
            "title": _TITLES.get(status, "Error"),
            "detail": details.get(status, "System Error occurred"),
        }
        return JSONResponse({"errors": [error]}, status)

    def populate(self, count: int) -> set[str]:
        """Have `count` more licensed drivers with something to tell at first sight: disqualified, or run out."""
        made = set()
        for _ in range(count):
            reference = self.license_driver()
            if len(self.numbers) % 2:
                self.disqualify(reference, self.clock.now().date() + timedelta(days=365))
            else:
                self.expire(reference)
            made.add(reference)
        return made

    def license_driver(self, reference: str = "", number: str | None = None) -> str:
        """Put a driver with a valid licence on the council's list, or another `number`; gives the reference."""
        count = len(self.drivers) + 1
        reference = reference or f"TAXI-{count:05}"
        if number is None:
            number = "SAMPL801155AX" + "".join(_SIGNS[count // 36**place % 36] for place in (2, 1, 0))
            self.drivers[number] = _valid(number, self.clock.now().date())
        self.numbers[reference] = number
        self._write()
        return reference

    def strike_off(self, reference: str) -> None:
        """Take a driver off the council's list."""
        del self.numbers[reference]
        self._write()

    def disqualify(self, reference: str, until: date | None) -> None:
        """A court disqualifies a driver until a day, or for life."""
        answer = self.drivers[self.numbers[reference]]
        answer["licence"]["status"] = "Disqualified"
        answer["driver"] |= {"disqualifiedForLife": until is None}
        answer["driver"] |= {"disqualifiedUntil": until.isoformat()} if until else {}

    def reinstate(self, reference: str) -> None:
        """The disqualification is over."""
        answer = self.drivers[self.numbers[reference]]
        answer["licence"]["status"] = "Valid"
        answer["driver"].pop("disqualifiedUntil", None)
        answer["driver"]["disqualifiedForLife"] = False

    def endorse(self, reference: str, code: str = "SP30", points: int = 3) -> None:
        """A court endorses a licence."""
        today = self.clock.now().date().isoformat()
        endorsement = {
            "offenceCode": code,
            "penaltyPoints": points,
            "offenceDate": today,
            "convictionDate": today,
        }
        self.drivers[self.numbers[reference]]["endorsements"].append(endorsement)

    def move_house(self, reference: str) -> None:
        """The driver has another address, which is nobody's business."""
        address = {
            "unstructuredAddress": {"line1": "2 Other Street", "line5": "LEEDS", "postcode": "LS1 1UR"}
        }
        self.drivers[self.numbers[reference]]["driver"]["address"] = address

    def expire(self, reference: str) -> None:
        """The licence ran out yesterday."""
        yesterday = self.clock.now().date() - timedelta(days=1)
        self.drivers[self.numbers[reference]]["token"]["validToDate"] = yesterday.isoformat()

    async def _authenticate(self, request: Request) -> Response:
        if await request.json() != {"userName": USER, "password": PASSWORD}:
            return self.refusal(401)
        self.logins += 1
        expires = int((self.clock.now() + TOKEN_LASTS).timestamp())
        claims = {"sub": USER, "exp": expires, "jti": str(self.logins)}
        return JSONResponse({"id-token": jwt.encode({"alg": "HS256"}, claims, self._key)})

    async def _retrieve(self, request: Request) -> Response:
        if request.headers.get("x-api-key") != API_KEY:
            return self.refusal(403)
        if not self._genuine(request.headers.get("authorization", "")):
            return self.refusal(401)
        asked = await request.json()
        number = asked.get("drivingLicenceNumber")
        if not isinstance(number, str) or asked.get("acceptPartialResponse") not in ("true", "false"):
            return self.refusal(400)
        if self.quota is not None:
            if self.quota == 0:
                return self.refusal(429)
            self.quota -= 1
        self.enquiries[number] += 1
        curse = self.cursed.get(number)
        if curse is not None:
            return self.refusal(curse) if isinstance(curse, int) else Response(curse)
        answer = self.drivers.get(number)
        if not answer:
            return self.refusal(404)
        limit = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(self.resets_in)}
        return JSONResponse(answer, headers=limit if self.resets_in is not None else None)

    def _genuine(self, token: str) -> bool:
        """Sent as it is, without a scheme."""
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
        except (JoseError, ValueError):
            return False
        return bool(claims["exp"] > self.clock.now().timestamp())

    def _write(self) -> None:
        """The whole list, in place of the one that there was."""
        new = self.list_file.with_suffix(".new")
        with new.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *self.numbers.items()])
        new.replace(self.list_file)


def _valid(number: str, today: date) -> dict[str, Any]:
    """A full answer about a made-up driver in good standing."""
    ends = (today + timedelta(days=3_000)).isoformat()
    category = {"fromDate": "2005-01-15", "expiryDate": ends, "categoryStatus": "Valid", "restrictions": []}
    return {
        "driver": {
            "drivingLicenceNumber": number,
            "firstNames": "ASHA",
            "lastName": "EXAMPLE",
            "title": "MS",
            "gender": "Female",
            "dateOfBirth": "1985-01-15",
            "address": {"unstructuredAddress": {"line1": "1 Sample Street", "postcode": "B1 1BB"}},
            "disqualifiedForLife": False,
            "disqualifiedPendingSentence": False,
            "imagesExist": True,
        },
        "licence": {"type": "Full", "status": "Valid"},
        "entitlement": [
            {"categoryCode": "B", "categoryType": "Full", **category},
            {"categoryCode": "AM", "categoryType": "Full", **category},
            {"categoryCode": "A", "categoryType": "Provisional", **category},
        ],
        "testPass": [],
        "endorsements": [],
        "token": {"validFromDate": "2020-01-15", "validToDate": ends, "issueNumber": "21"},
    }

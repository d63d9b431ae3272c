"""DVLA driver enquiry: what changes in the driving licences of the drivers whom a council licenses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import httpx2
from pydantic import SecretStr, ValidationError

from connectors.dvla_driver.config import Config
from connectors.dvla_driver.mapping import (
    REFUSED,
    SHAPE,
    UNKNOWN,
    digest,
    facts,
    flags_of,
    is_news,
    kept,
    mark,
    words,
)
from connectors.dvla_driver.records import Answer, Enquiry
from connectors.dvla_driver.round import Round, read_drivers
from hub.events.generated.driving import LicenceChanged, LicenceDisqualified, LicenceExpired
from hub.sdk import (
    Attributes,
    Fact,
    Failed,
    Http,
    Login,
    Page,
    Policy,
    PollingSource,
    RateLimit,
    Refused,
    Reject,
    Retry,
    Stop,
    Token,
    jwt_expiry,
    london_day,
)
from hub.sdk.identifiers import driving_licence_number
from hub.sdk.webhook import outline_of

_FAULTS = {
    SHAPE: "is not of the shape of a driving licence number",
    REFUSED: "was refused by DVLA",
    UNKNOWN: "is not known to DVLA",
}
_NO_DRIVER = "ENQ018"
#: After so many seconds a page is committed as far as it has come.
_ENOUGH_S = 60.0
#: Where so many drivers fail and none of the page is answered, it is DVLA that fails, and each may cost an enquiry.
_FEW = 5
_PATH = "/full-driver-enquiry/v1/driving-licences/retrieve"


class DvlaLogin(Login):
    """User name and password for an `id-token`, which is sent without a scheme."""

    scheme = ""

    def __init__(self, config: Config, now: Any) -> None:
        super().__init__(now)
        self._config = config

    def token_request(self) -> httpx2.Request:
        """The request for a token."""
        known = {"userName": self._config.user_name, "password": self._config.password.get_secret_value()}
        return httpx2.Request(
            "POST", f"{self._config.base_url}/thirdparty-access/v1/authenticate", json=known
        )

    def read(self, answer: Any) -> Token:
        """The token says itself when it ends."""
        return Token(SecretStr(answer["id-token"]), jwt_expiry(answer["id-token"]))


class Drivers(PollingSource[Config, Enquiry]):
    """Asks for every driver on the council's list once a day, and passes on what is not as it was.

    The cursor remembers a digest of every driver's last answer, so a change is noticed whoever runs the instance.
    """

    name = "drivers"
    emits = (LicenceChanged, LicenceDisqualified, LicenceExpired)
    key_field = "licence_reference"
    every = timedelta(days=1)
    patience = timedelta(minutes=3)

    def open_http(self) -> Http:
        """The API: about ten requests a second."""
        config = self.config
        policy = Policy(config.timeout_seconds, limit=RateLimit(10), words=words)
        headers = {"X-API-Key": config.api_key.get_secret_value()}
        return Http(config.base_url, headers, DvlaLogin(config, lambda: self.clock.now().timestamp()), policy)

    async def fetch(self, cursor: str | None) -> Page:
        """The next few drivers of the list. One for whom DVLA fails alone is put off, so that the others go on."""
        at = Round.of(cursor, self.clock.now())
        drivers = await asyncio.to_thread(read_drivers, self.config.drivers)
        at.require_room(drivers)
        page, again = at.page(drivers, self.config.page_size)
        # A last page may be shorter than others, and all of it odd.
        few = min(_FEW, len(drivers), max(self.config.page_size, 2))
        items: list[dict[str, Any]] = []
        marks: dict[str, str] = {}
        put_off: list[str] = []
        answered, day = False, london_day(at.noticed_at)
        enough = asyncio.get_running_loop().time() + _ENOUGH_S
        for place, reference in enumerate(page):
            if answered and asyncio.get_running_loop().time() > enough:
                page = page[:place]
                break
            number, before = drivers[reference], at.known.get(reference, "")
            unasked = self._unasked(number, before, day)
            try:
                marked, told = unasked or await self._ask(number, before, day)
            except Retry as error:
                if not _asks_to_wait(error) and (answered or again or len(put_off) + 1 < few):
                    put_off.append(reference)
                    continue
                if not answered:
                    raise
                page = page[:place]  # what was paid for is kept
                break
            answered = answered or unasked is None
            marks[reference] = marked
            if told and is_news(before, marked):
                items.append({"licence_reference": reference, "noticed_at": at.at, **told})
        at = at.following(page, again, put_off, marks) if page else at
        more = bool(at.page(drivers, 1)[0])
        return Page(items, next=(at if more else at.ended(drivers)).text(), more=more)

    def parse(self, body: bytes, attributes: Attributes) -> Enquiry:
        """An enquiry with its answer. Raises Reject for a number to which there was none."""
        fault = _FAULTS.get(str(outline_of(body).get("fault", "")))
        if fault:
            raise Reject(
                f"driving_licence_number: {fault}", field="driving_licence_number", kind="identifier"
            )
        return super().parse(body, attributes)

    def events(self, record: Enquiry) -> Iterator[Fact]:
        """See `mapping`."""
        return facts(record, self.instance.party)

    def _unasked(self, text: str, before: str, day: date) -> tuple[str, dict[str, Any]] | None:
        """As `_ask`, for a number that need not be asked for: it is none, or DVLA did not know it lately."""
        numbered = digest(text)
        if driving_licence_number(text) is None:
            return SHAPE + numbered, {"fault": SHAPE}
        if _is_unknown(before, numbered):
            since = date.fromisoformat(before[1 : -len(numbered)])
            if day - since < timedelta(days=self.config.ask_again_days):
                return before, {}
        return None

    async def _ask(self, text: str, before: str, day: date) -> tuple[str, dict[str, Any]]:
        """The mark of a driver, and what to pass on if it is news: the answer, or what is wrong with the number."""
        number, numbered = driving_licence_number(text), digest(text)
        asked = {"drivingLicenceNumber": number, "acceptPartialResponse": "false"}
        try:
            told = await self.http.post_json(_PATH, asked | {"includeCPC": False, "includeTacho": False})
        except Refused as refused:
            marked, fault = _refusal(refused, f"{day}{numbered}", numbered)
            return marked, {} if _is_unknown(before, numbered) else fault
        if not isinstance(told, dict):
            raise Retry(f"POST {_PATH}: the answer is not an object")
        answer = kept(told)
        marked = mark(answer | {"number": numbered}, _understood(answer), day)
        return marked, {"before": flags_of(before), "answer": answer}


def _asks_to_wait(error: Retry) -> bool:
    """Whether DVLA asks to be left alone, by whichever driver it is asked; it does not fail for one of them."""
    return error.status in (429, 503) if isinstance(error, Failed) else error.after is not None


def _is_unknown(before: str, numbered: str) -> bool:
    """Whether DVLA did not know a number, by the mark of before and the number's digest."""
    return before.startswith(UNKNOWN) and before.endswith(numbered)


def _refusal(refused: Refused, dated: str, numbered: str) -> tuple[str, dict[str, Any]]:
    """The mark of a number that DVLA refuses. Raises Stop where it is not the number that is refused."""
    code = words(refused.status, refused.body)
    if refused.status == 404 and code == _NO_DRIVER:
        return UNKNOWN + dated, {"fault": UNKNOWN}
    if refused.status == 400:
        return REFUSED + numbered, {"fault": REFUSED}
    raise Stop(f"{refused.reason}: check the instance's base_url")


def _understood(answer: Mapping[str, Any]) -> Answer | None:
    try:
        return Answer.model_validate(answer)
    except ValidationError:
        return None

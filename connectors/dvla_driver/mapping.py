"""From DVLA's answers to facts, and what is remembered of an answer so that a change is noticed. Pure.

DVLA does not say when something changed. A fact is as old as the round that noticed it, but for a licence that ran
out, whose day is known. On that day's date, too, it is judged who is disqualified and what may be driven.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from connectors.dvla_driver.records import Answer, Enquiry, Flags
from hub.events.generated.driving import LicenceChanged, LicenceDisqualified, LicenceExpired
from hub.events.model import EventData
from hub.sdk import LONDON, Fact, london_day

#: Groups of an answer that are kept, and of the driver these fields alone: no name, address or date of birth.
_KEPT = ("licence", "entitlement", "endorsements", "token", "tokenValidity")
_KEPT_OF_DRIVER = ("disqualifiedUntil", "disqualifiedForLife", "disqualifiedPendingSentence")


def kept(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an answer that enters the hub. What is not of its shape is kept as it is, and set aside later."""
    driver = answer.get("driver")
    chosen: dict[str, Any] = {name: answer[name] for name in _KEPT if name in answer}
    if isinstance(driver, Mapping):
        chosen["driver"] = {name: driver[name] for name in _KEPT_OF_DRIVER if name in driver}
    return chosen


def facts(enquiry: Enquiry, council: str) -> Iterator[Fact]:
    """What became worse, or else that something changed; at first sight, only what is wrong already."""
    answer, day = enquiry.answer, london_day(enquiry.noticed_at)
    now, before = flags(answer, day), enquiry.before or Flags(disqualified=False, expired=False)
    told: list[tuple[type[EventData], datetime]] = []
    if now.disqualified and not before.disqualified:
        told.append((LicenceDisqualified, enquiry.noticed_at))
    if now.expired and not before.expired:
        told.append((LicenceExpired, _ran_out(answer, enquiry.noticed_at)))
    if not told and (enquiry.before or not in_order(answer, day)):
        told.append((LicenceChanged, enquiry.noticed_at))
    values = _values(enquiry, council, now)
    for model, moment in told:
        key = f"{enquiry.licence_reference}:{enquiry.noticed_at.isoformat()}"
        yield Fact(model(**values), enquiry.licence_reference, moment, key)


def flags(answer: Answer, day: date) -> Flags:
    """What of an answer calls for action on a day. The last day of a disqualification still counts."""
    driver, status, ends = answer.driver, answer.licence.status.lower(), _valid_until(answer)
    until = driver.disqualified_until
    return Flags(
        disqualified=bool(
            driver.disqualified_for_life
            or driver.disqualified_pending_sentence
            or (until and until >= day)
            or status == "disqualified"
        ),
        expired=status == "expired" or bool(ends and ends < day),
    )


def in_order(answer: Answer, day: date) -> bool:
    """Whether it is a full licence, by DVLA's word a valid one, with which something may be driven on a day."""
    licence = answer.licence
    return (
        licence.status.lower() == "valid"
        and licence.type.lower() != "provisional"
        and bool(_drivable(answer, day))
    )


#: Marks of numbers to which there is no answer, before a digest of the number: of another shape, refused, and
#: unknown, the last with the day on which it was. No digest begins with one of these.
SHAPE, REFUSED, UNKNOWN = "!", "#", "?"

#: Characters of a digest: 48 bits tell two states of one driver apart.
DIGEST = 8


def mark(raw: Mapping[str, Any], answer: Answer | None, day: date) -> str:
    """What is remembered of an answer: its digest and, as letters, what is wrong. `answer` is None where `raw` is not
    understood.

    What may be driven, and what is wrong, pass with time alone, so they are part of the digest.
    """
    if answer is None:
        return digest(json.dumps(raw, sort_keys=True)) + "U"
    now = flags(answer, day)
    letters = "D" * now.disqualified + "E" * now.expired or "N" * (not in_order(answer, day))
    return digest(json.dumps([raw, letters, _drivable(answer, day)], sort_keys=True)) + letters


def flags_of(marked: str) -> dict[str, bool] | None:
    """The flags that `mark` wrote down; None where there was no answer."""
    if not marked or marked[0] in (SHAPE, REFUSED, UNKNOWN):
        return None
    return {"disqualified": "D" in marked[DIGEST:], "expired": "E" in marked[DIGEST:]}


def is_news(before: str, marked: str) -> bool:
    """Whether a mark is worth telling: it is another one, or at first sight, something is wrong."""
    return marked != before and (flags_of(before) is not None or len(marked) > DIGEST)


def digest(text: str) -> str:
    """A short digest."""
    return urlsafe_b64encode(hashlib.blake2b(text.encode(), digest_size=6).digest()).decode()


def words(_: int, body: bytes) -> str:
    """The code or known sentence in any of DVLA's three shapes of error; empty where there is none.

    `{"errors": [{"code": …}]}`; `{"message": …}` of the gateway; and, in maintenance, a bare list.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    match told:
        case {"errors": [{"code": str(code)}, *_]} if code.isascii() and code.replace("_", "").isalnum():
            return code[:40]
        case {"message": "Too Many Requests" | "Forbidden" | "Unauthorized" as message}:
            return str(message)
        case [{"title": "System currently down for maintenance" as title}, *_]:
            return str(title)
    return ""


def _values(enquiry: Enquiry, council: str, now: Flags) -> dict[str, Any]:
    answer, until, ends = (
        enquiry.answer,
        enquiry.answer.driver.disqualified_until,
        _valid_until(enquiry.answer),
    )
    return {
        "council": council,
        "licence_reference": enquiry.licence_reference,
        "licence_type": answer.licence.type,
        "licence_status": answer.licence.status,
        "disqualified": now.disqualified,
        "disqualified_until": until.isoformat() if until and now.disqualified else None,
        "disqualified_for_life": bool(answer.driver.disqualified_for_life),
        "valid_until": ends.isoformat() if ends else None,
        "entitlements": _drivable(answer, london_day(enquiry.noticed_at)),
        "offence_codes": sorted(one.code for one in answer.endorsements),
        "penalty_points": sum(one.points or 0 for one in answer.endorsements),
    }


def _drivable(answer: Answer, day: date) -> list[str]:
    """The categories that may be driven on a day, provisional ones left out."""
    return sorted(
        {
            one.code
            for one in answer.entitlements
            if one.type.lower() != "provisional"
            and (one.starts is None or one.starts <= day)
            and (one.ends is None or one.ends >= day)
        }
    )


def _valid_until(answer: Answer) -> date | None:
    return answer.validity.ends if answer.validity else None


def _ran_out(answer: Answer, noticed_at: datetime) -> datetime:
    ends = _valid_until(answer)
    if ends is None:
        return noticed_at
    return min(noticed_at, datetime.combine(ends + timedelta(days=1), time.min, LONDON))

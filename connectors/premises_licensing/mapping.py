"""From the register's changes and the back office's answers to the hub's facts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any

from connectors.premises_licensing.records import Answer, Licence
from hub.events.generated.licensing import (
    PremisesLicenceEnded,
    PremisesLicenceFeeDue,
    PremisesLicenceGranted,
    PremisesLicenceRenewed,
    PremisesLicenceRevoked,
    PremisesLicenceSuspended,
    PremisesLicenceVaried,
)
from hub.events.model import EventData
from hub.sdk import LONDON, Change, Fact, Reject, london_day
from hub.sdk.identifiers import postcode, same_council, uprn

#: What a licence allows, to whom and where: if one of these changes, it was varied.
TERMS = (
    *("service", "premises_name", "address", "postcode", "uprn", "entertainment", "late_night_refreshment"),
    *("alcohol", "sold_on_premises", "sold_off_premises", "opening_hours", "holder", "supervisor"),
    *("conditions", "starts_on"),
)

_OF_STANDING: dict[str, type[EventData]] = {
    "suspended": PremisesLicenceSuspended,
    "revoked": PremisesLicenceRevoked,
}


def facts(change: Change[Licence], council: str) -> Iterator[Fact]:
    """What a change of the register tells. Other entries than premises licences and club certificates, such as
    temporary event notices, and applications that are pending, tell nothing."""
    row = change.row
    if not same_council(row.organisation_uri, council):
        raise Reject("OrganisationURI: is another council's", field="OrganisationURI", kind="another-council")
    if "premises" not in row.service.lower():
        return
    was = change.before.standing if change.before else ""
    now = change.after.standing if change.after else "ended"
    values = _values(row, council)
    if now == "in force" and was in ("", "pending", "refused"):
        yield _fact(PremisesLicenceGranted, change, values)
    elif now == "in force":
        terms = [name for name in TERMS if was == "in force" and change.differs(name)]
        if terms or was != "in force":
            yield _fact(PremisesLicenceVaried, change, values | {"changed": terms or ["status"]})
    elif now in _OF_STANDING and now != was:
        yield _fact(_OF_STANDING[now], change, values)
    elif now in ("ended", "refused") and change.before and change.before.stands:
        reason = row.status if change.after else "removed"
        yield _fact(PremisesLicenceEnded, change, values | {"reason": reason})
    if change.after and change.after.stands and row.fee_due_on and _comes_into_sight(change, row.fee_due_on):
        due = row.fee_due_on.isoformat()
        data = _data(PremisesLicenceFeeDue, values | {"due_on": due})
        yield Fact(data, change.key, change.at, f"{change.key}:{due}")


def renewal_facts(answer: Answer, council: str) -> Iterator[Fact]:
    """That the register lists a licence as paid for, in the back office's word."""
    data = PremisesLicenceRenewed(
        council=council,
        licence_reference=answer.reference,
        premises_name=answer.premises_name or None,
        payment_id=answer.payment,
        ends_on=_iso(answer.ends_on),
        contact_email=answer.contact_email or None,
    )
    yield Fact(data, answer.reference, answer.answered_at.astimezone(UTC), answer.payment)


def _comes_into_sight(change: Change[Licence], due: date) -> bool:
    """Whether it is told now: not again with every change, and for a licence that is new to us not if it is past."""
    if change.before is None:
        return due >= london_day(change.at)
    return change.differs("fee_due_on")


def _values(row: Licence, council: str) -> dict[str, Any]:
    place = {"postcode": postcode(row.postcode), "uprn": uprn(row.uprn)}
    return place | {
        "council": council,
        "licence_reference": row.reference,
        "premises_name": row.premises_name or None,
        "address": row.address,
        "flagged": [name for name, sound in place.items() if sound is None and getattr(row, name)],
        "service": row.service,
        "alcohol": row.alcohol,
        "late_night_refreshment": row.late_night_refreshment,
        "entertainment": row.entertainment,
        "opening_hours": row.opening_hours or None,
        "holder": row.holder or None,
        "starts_on": _iso(row.starts_on),
        "ends_on": _iso(row.ends_on),
        "decided_on": _iso(row.decided_on),
    }


def _fact(model: type[EventData], change: Change[Licence], values: dict[str, Any]) -> Fact:
    """At the time of the decision if that is what is new, else of the file."""
    moment, decided = change.at, change.row.decided_on
    if decided and change.differs("decided_on"):
        moment = min(moment, datetime.combine(decided, time(), LONDON).astimezone(UTC))
    return Fact(_data(model, values), change.key, moment, change.id)


def _data(model: type[EventData], values: dict[str, Any]) -> EventData:
    return model(**{name: values[name] for name in model.model_fields if name in values})


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None

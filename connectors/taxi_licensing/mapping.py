"""From the register's changes to the hub's facts, and from these to the rows of the national database. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

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
from hub.events.model import EventData
from hub.sdk import Change, Fact, Reject
from hub.sdk.identifiers import driving_licence_number, same_council

#: If one of these changes, a licence was varied.
TERMS = (
    *("kind", "mark", "starts_on", "ends_on", "licence_type", "authority", "plate", "wheelchair"),
    "driving_licence",
)

_OF_STANDING: dict[str, type[EventData]] = {"suspended": TaxiLicenceSuspended, "revoked": TaxiLicenceRevoked}


def facts(change: Change[Licence], council: str) -> Iterator[Fact]:
    """The one fact that a change tells, if any: what is pending, or was over before, tells nothing."""
    row = change.row
    if not same_council(row.authority_code, council):
        field = "LicensingAuthorityCode"
        raise Reject(f"{field}: is another council's", field=field, kind="another-council")
    was = change.before.standing if change.before else ""
    now = change.after.standing if change.after else "ended"
    values, model = _values(change, council), _OF_STANDING.get(now) if now != was else None
    if now == "in force" and was in ("", "pending", "refused"):
        model = TaxiLicenceGranted
    elif now == "in force":
        terms = [name for name in TERMS if was == "in force" and change.differs(name)]
        model = TaxiLicenceVaried if terms or was != "in force" else None
        values["changed"] = terms or ["status"]
    elif now in ("ended", "refused") and change.before and change.before.stands:
        model, values["reason"] = TaxiLicenceEnded, row.status if change.after else "removed"
    if model:
        data = model(**{name: values[name] for name in model.model_fields if name in values})
        yield Fact(data, change.key, change.at, change.id)


def _values(change: Change[Licence], council: str) -> dict[str, Any]:
    row = change.row
    driver = driving_licence_number(row.driving_licence)
    return {
        "council": council,
        "authority": row.authority,
        "licence_reference": change.key,
        "kind": row.kind,
        "licence_type": row.licence_type,
        "registration_mark": row.mark or None,
        "plate_number": row.plate or None,
        "driving_licence_number": driver,
        "flagged": ["driving_licence_number"] if row.driving_licence and not driver else [],
        "wheelchair_accessible": {"true": True, "false": False}.get(row.wheelchair),
        "starts_on": row.starts_on.isoformat(),
        "ends_on": row.ends_on.isoformat(),
    }


def national_row(data: TaxiLicenceGranted | TaxiLicenceVaried) -> dict[str, str]:
    """A licensed vehicle as the national database takes it."""
    access = data.wheelchair_accessible
    return dict(
        zip(
            PUBLISHED,
            (
                data.registration_mark or "",
                data.starts_on,
                data.ends_on,
                data.licence_type,
                data.authority,
                data.plate_number or "",
                "" if access is None else str(access).lower(),
            ),
            strict=True,
        )
    )


def national_line(row: Mapping[str, str]) -> bytes:
    """A row as CSV (RFC 4180); the file has no header and no trailer."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(row[name] for name in PUBLISHED)
    return text.getvalue().encode()


def job_facts(job: Job, council: str) -> Iterator[Fact]:
    """That the national database took the register over, or did not."""
    told = {
        "council": council,
        "authority_id": job.authority_id,
        "file_name": job.file_name,
        "job_id": job.job_id,
    }
    data: EventData
    if job.status == "SUCCESS":
        data = TaxiRegisterAccepted(**told, vehicles=job.vehicles)
    else:
        data = TaxiRegisterRefused(**told, errors=job.errors)
    yield Fact(data, job.authority_id, job.ended_at.astimezone(UTC), job.job_id)

"""FHIR R4 message bundles, as far as the hub reads them: structure is checked, everything else tolerated.

Shapes: FHIR R4 (4.0.1), and the Booking and Referral Standard (BaRS) 1.4.0 for what a message must have.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic.alias_generators import to_camel

from hub.sdk import Record, Reject

_DAY = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def _moment(value: Any) -> datetime:
    """A FHIR dateTime or instant in UTC; one without a time of day is the start of that day."""
    if isinstance(value, datetime):
        return value
    text = value if isinstance(value, str) else ""
    if day := _DAY.fullmatch(text):
        return datetime(int(day[1]), int(day[2] or 1), int(day[3] or 1), tzinfo=UTC)
    if not _INSTANT.fullmatch(text):
        raise ValueError("is not a FHIR dateTime with a zone")
    moment = datetime.fromisoformat(text)
    if not 1 < moment.year < 9999:  # so that no change of zone leaves the calendar
        raise ValueError("is not a time that a message can have")
    return moment.astimezone(UTC)


Moment = Annotated[datetime, BeforeValidator(_moment)]
Text = Annotated[str, Field(min_length=1)]


class Element(Record):
    """Base of what is read, by FHIR's own names."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, alias_generator=to_camel
    )


class Coding(Element):
    system: str = ""
    code: str = ""
    display: str = ""


class Concept(Element):
    coding: tuple[Coding, ...] = ()
    text: str = ""

    def codes(self) -> Iterator[str]:
        return (coding.code for coding in self.coding if coding.code)

    def words(self) -> str:
        """What a person reads."""
        return self.text or next((each.display or each.code for each in self.coding), "")


class Identifier(Element):
    system: str = ""
    value: str = ""


class Reference(Element):
    reference: str = ""


class Period(Element):
    start: Moment | None = None
    end: Moment | None = None


class Meta(Element):
    version_id: str = ""
    last_updated: Moment | None = None


class BundleMeta(Meta):
    version_id: Text


class Resource(Element):
    id: str = ""
    meta: Meta = Meta()
    identifier: tuple[Identifier, ...] = ()


class Destination(Element):
    endpoint: Text
    receiver: Reference = Reference()


class Source(Element):
    endpoint: Text
    name: str = ""


class Response(Element):
    identifier: Text
    code: Text


class EventCoding(Coding):
    code: Text


class MessageHeader(Resource):
    resource_type: Literal["MessageHeader"]
    event_coding: EventCoding
    destination: tuple[Destination, ...] = Field(min_length=1)
    source: Source
    sender: Reference = Reference()
    reason: Concept = Concept()
    response: Response | None = None
    focus: tuple[Reference, ...] = ()


class Note(Element):
    text: str = ""


class ServiceRequest(Resource):
    resource_type: Literal["ServiceRequest"]
    status: Text
    subject: Reference
    priority: str = ""
    category: tuple[Concept, ...] = ()
    code: Concept = Concept()
    occurrence_period: Period = Period()
    reason_code: tuple[Concept, ...] = ()
    note: tuple[Note, ...] = ()


class HumanName(Element):
    use: str = ""
    family: str = ""
    given: tuple[str, ...] = ()


class Address(Element):
    use: str = ""
    line: tuple[str, ...] = ()
    city: str = ""
    district: str = ""
    postal_code: str = ""


class Contact(Element):
    system: str = ""
    value: str = ""
    rank: int | None = None


class ContactParty(Element):
    """Whom to ask about a patient: somebody else, or in BaRS the patient too, whose relationship is ONESELF."""

    relationship: tuple[Concept, ...] = ()
    telecom: tuple[Contact, ...] = ()

    @property
    def oneself(self) -> bool:
        """Whether it is the patient, and nobody besides."""
        return bool(self.relationship) and all("ONESELF" in each.codes() for each in self.relationship)


class Patient(Resource):
    resource_type: Literal["Patient"]
    name: tuple[HumanName, ...] = ()
    gender: str = ""
    birth_date: str = Field(default="", pattern=r"^(\d{4}(-\d\d(-\d\d)?)?)?$")
    address: tuple[Address, ...] = ()
    telecom: tuple[Contact, ...] = ()
    contact: tuple[ContactParty, ...] = ()

    def numbers(self) -> Iterator[str]:
        """Telephone numbers of the patient, the preferred first, and none of anybody else."""
        own = [point for party in self.contact if party.oneself for point in party.telecom]
        ranked = sorted(own, key=lambda point: point.rank or math.inf)
        return (each.value for each in (*self.telecom, *ranked) if each.system in ("phone", "sms"))


class Encounter(Resource):
    resource_type: Literal["Encounter"]
    status: Text
    reason_code: tuple[Concept, ...] = ()


class Activity(Element):
    outcome_codeable_concept: tuple[Concept, ...] = ()


class CarePlan(Resource):
    resource_type: Literal["CarePlan"]
    description: str = ""
    activity: tuple[Activity, ...] = ()
    note: tuple[Note, ...] = ()


class Organization(Resource):
    resource_type: Literal["Organization"]
    name: str = ""


class Other(Element):
    resource_type: Text


_READ = ("MessageHeader", "ServiceRequest", "Patient", "Encounter", "CarePlan", "Organization")


def _kind(value: Any) -> str:
    kind = value.get("resourceType") if isinstance(value, dict) else getattr(value, "resource_type", "")
    return kind if kind in _READ else "Other"


AnyResource = Annotated[
    Annotated[MessageHeader, Tag("MessageHeader")]
    | Annotated[ServiceRequest, Tag("ServiceRequest")]
    | Annotated[Patient, Tag("Patient")]
    | Annotated[Encounter, Tag("Encounter")]
    | Annotated[CarePlan, Tag("CarePlan")]
    | Annotated[Organization, Tag("Organization")]
    | Annotated[Other, Tag("Other")],
    Discriminator(_kind),
]

R = TypeVar("R", bound=Element)


class Entry(Element):
    full_url: str = ""
    resource: AnyResource


class Bundle(Element):
    """A message; `correlation_id` is not of the bundle but of the request that brought it."""

    resource_type: Literal["Bundle"]
    id: str = Field(pattern=r"^[A-Za-z0-9.-]{1,64}$")
    kind: Literal["message"] = Field(alias="type")
    meta: BundleMeta
    timestamp: Moment
    entry: tuple[Entry, ...] = Field(min_length=1)
    correlation_id: str = Field(default="", alias="X-Correlation-Id")

    def header(self) -> MessageHeader:
        """The first entry. Raises Reject where another stands there."""
        first = self.entry[0].resource
        if not isinstance(first, MessageHeader):
            raise Reject("entry.0: the first entry is no MessageHeader", field="entry.0", kind="fhir")
        return first

    def every(self, model: type[R]) -> list[R]:
        """The resources of a kind, in order."""
        found = (entry.resource for entry in self.entry)
        return [each for each in found if isinstance(each, model)]

    def at(self, reference: Reference, model: type[R]) -> R | None:
        """What a reference leads to, if it is in the bundle and of that kind."""
        for entry in self.entry:
            found = entry.resource
            names = {entry.full_url, f"{model.__name__}/{getattr(found, 'id', '')}"} - {""}
            if isinstance(found, model) and reference.reference in names:
                return found
        return None

    def one(self, model: type[R], reference: Reference | None = None) -> R:
        """What `reference` leads to, or the first of its kind. Raises Reject that names the kind."""
        found = self.at(reference, model) if reference else None
        found = found or next(iter(self.every(model)), None)
        if found is None:
            name = model.__name__
            raise Reject(f"{name}: the message holds none", field=name, kind="fhir")
        return found

"""Generated from schemas/licensing/ by `python -m hub.registry --write`: change the contracts, not this."""

from typing import ClassVar

from pydantic import Field

from hub.events.model import EventData, Long, Timestamp


class FeePaid(EventData):
    """The fee for a licence was paid in full and the money was captured. Holds what a licensing team needs to
    go on with the application, and nothing about the payer.
    """

    type: ClassVar[str] = "licensing.fee.paid"

    council: str = Field(
        description="GSS code of the council that was paid, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence or application that the fee is for.",
        json_schema_extra={"classification": "internal"},
    )
    payment_id: str = Field(
        description="GOV.UK Pay's id of the payment.",
        json_schema_extra={"classification": "internal"},
    )
    amount: Long = Field(
        description="The fee that was paid, in minor units of the currency (pence).",
        json_schema_extra={"classification": "internal"},
    )
    currency: str = Field(
        description="ISO 4217 code of the amount.",
        json_schema_extra={"classification": "public"},
    )
    paid_at: Timestamp = Field(
        description="When the payment was captured, as far as the hub was told.",
        json_schema_extra={"classification": "internal"},
    )
    licence_type: str | None = Field(
        default=None,
        description="Kind of licence, such as premises or taxi-driver. Null when the payment did not say.",
        json_schema_extra={"classification": "internal"},
    )
    ledger_code: str | None = Field(
        default=None,
        description=(
            "Code of the council's ledger that the fee is booked to. Null when the payment did not say."
        ),
        json_schema_extra={"classification": "internal"},
    )


class PremisesLicenceEnded(EventData):
    """A premises licence ended otherwise than by revocation, or is no longer in the register."""

    type: ClassVar[str] = "licensing.premises-licence.ended"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence.",
        json_schema_extra={"classification": "internal"},
    )
    premises_name: str | None = Field(
        default=None,
        description="Name of the premises. Null when the register does not say.",
        json_schema_extra={"classification": "public"},
    )
    address: str = Field(
        description="Where the premises are, as the register words it.",
        json_schema_extra={"classification": "public"},
    )
    postcode: str | None = Field(
        default=None,
        description=(
            "Postcode of the premises, in capitals with one space. Null when there is none that is sound."
        ),
        json_schema_extra={"classification": "public"},
    )
    uprn: str | None = Field(
        default=None,
        description=(
            "Unique property reference number without leading zeros. Null where there is no sound one."
        ),
        json_schema_extra={"classification": "public"},
    )
    flagged: list[str] = Field(
        description=(
            "Columns of the register whose value failed its check: such a value is passed on as null."
        ),
        json_schema_extra={"classification": "public"},
    )
    reason: str = Field(
        description=(
            "Why, as far as the register says: surrendered, lapsed, expired, refused or withdrawn for a "
            "renewal that came to nothing, or removed for one that is no longer there."
        ),
        json_schema_extra={"classification": "public"},
    )


class PremisesLicenceFeeDue(EventData):
    """The annual fee of a premises licence falls due within four weeks."""

    type: ClassVar[str] = "licensing.premises-licence.fee-due"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence.",
        json_schema_extra={"classification": "internal"},
    )
    premises_name: str | None = Field(
        default=None,
        description="Name of the premises. Null when the register does not say.",
        json_schema_extra={"classification": "public"},
    )
    address: str = Field(
        description="Where the premises are, as the register words it.",
        json_schema_extra={"classification": "public"},
    )
    postcode: str | None = Field(
        default=None,
        description=(
            "Postcode of the premises, in capitals with one space. Null when there is none that is sound."
        ),
        json_schema_extra={"classification": "public"},
    )
    uprn: str | None = Field(
        default=None,
        description=(
            "Unique property reference number without leading zeros. Null where there is no sound one."
        ),
        json_schema_extra={"classification": "public"},
    )
    flagged: list[str] = Field(
        description=(
            "Columns of the register whose value failed its check: such a value is passed on as null."
        ),
        json_schema_extra={"classification": "public"},
    )
    holder: str | None = Field(
        default=None,
        description="Who holds the licence: a person or a company. Null when the register does not say.",
        json_schema_extra={"classification": "personal"},
    )
    due_on: str = Field(
        description="Day on which the fee is due, YYYY-MM-DD.",
        json_schema_extra={"classification": "public"},
    )


class PremisesLicenceGranted(EventData):
    """A council's register has a premises licence in force that it did not have, or that was pending."""

    type: ClassVar[str] = "licensing.premises-licence.granted"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence.",
        json_schema_extra={"classification": "internal"},
    )
    premises_name: str | None = Field(
        default=None,
        description="Name of the premises. Null when the register does not say.",
        json_schema_extra={"classification": "public"},
    )
    address: str = Field(
        description="Where the premises are, as the register words it.",
        json_schema_extra={"classification": "public"},
    )
    postcode: str | None = Field(
        default=None,
        description=(
            "Postcode of the premises, in capitals with one space. Null when there is none that is sound."
        ),
        json_schema_extra={"classification": "public"},
    )
    uprn: str | None = Field(
        default=None,
        description=(
            "Unique property reference number without leading zeros. Null where there is no sound one."
        ),
        json_schema_extra={"classification": "public"},
    )
    flagged: list[str] = Field(
        description=(
            "Columns of the register whose value failed its check: such a value is passed on as null."
        ),
        json_schema_extra={"classification": "public"},
    )
    service: str = Field(
        description=(
            "Kind of authorisation, as the register words it: Premises licence, Club premises certificate."
        ),
        json_schema_extra={"classification": "public"},
    )
    alcohol: bool = Field(
        description="Whether alcohol may be supplied.",
        json_schema_extra={"classification": "public"},
    )
    late_night_refreshment: bool = Field(
        description="Whether hot food or drink may be supplied between 23:00 and 05:00.",
        json_schema_extra={"classification": "public"},
    )
    entertainment: list[str] = Field(
        description="Regulated entertainment that is authorised, such as Live music.",
        json_schema_extra={"classification": "public"},
    )
    opening_hours: str | None = Field(
        default=None,
        description="Opening hours as the register words them. Null when it does not say.",
        json_schema_extra={"classification": "public"},
    )
    holder: str | None = Field(
        default=None,
        description="Who holds the licence: a person or a company. Null when the register does not say.",
        json_schema_extra={"classification": "personal"},
    )
    starts_on: str | None = Field(
        default=None,
        description="First day of the licence, YYYY-MM-DD. Null when the register does not say.",
        json_schema_extra={"classification": "public"},
    )
    ends_on: str | None = Field(
        default=None,
        description=(
            "Last day of the licence or of the period paid for, YYYY-MM-DD. Null for one without end."
        ),
        json_schema_extra={"classification": "public"},
    )
    decided_on: str | None = Field(
        default=None,
        description="Day of the decision, YYYY-MM-DD. Null when the register does not say.",
        json_schema_extra={"classification": "public"},
    )


class PremisesLicenceRenewed(EventData):
    """A council's register took note that the annual fee of a premises licence is paid, and goes on to list
    it as in force.
    """

    type: ClassVar[str] = "licensing.premises-licence.renewed"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence.",
        json_schema_extra={"classification": "internal"},
    )
    premises_name: str | None = Field(
        default=None,
        description="Name of the premises. Null when the register does not say.",
        json_schema_extra={"classification": "public"},
    )
    payment_id: str = Field(
        description="Payment with which the fee was paid.",
        json_schema_extra={"classification": "internal"},
    )
    ends_on: str | None = Field(
        default=None,
        description=(
            "Last day of the licence or of the period paid for, YYYY-MM-DD. Null for one without end."
        ),
        json_schema_extra={"classification": "public"},
    )
    contact_email: str | None = Field(
        default=None,
        description="Address at which the holder wants to hear of it. Null when the register has none.",
        json_schema_extra={"classification": "personal"},
    )


class PremisesLicenceRevoked(EventData):
    """A premises licence was revoked."""

    type: ClassVar[str] = "licensing.premises-licence.revoked"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence.",
        json_schema_extra={"classification": "internal"},
    )
    premises_name: str | None = Field(
        default=None,
        description="Name of the premises. Null when the register does not say.",
        json_schema_extra={"classification": "public"},
    )
    address: str = Field(
        description="Where the premises are, as the register words it.",
        json_schema_extra={"classification": "public"},
    )
    postcode: str | None = Field(
        default=None,
        description=(
            "Postcode of the premises, in capitals with one space. Null when there is none that is sound."
        ),
        json_schema_extra={"classification": "public"},
    )
    uprn: str | None = Field(
        default=None,
        description=(
            "Unique property reference number without leading zeros. Null where there is no sound one."
        ),
        json_schema_extra={"classification": "public"},
    )
    flagged: list[str] = Field(
        description=(
            "Columns of the register whose value failed its check: such a value is passed on as null."
        ),
        json_schema_extra={"classification": "public"},
    )
    decided_on: str | None = Field(
        default=None,
        description="Day of the decision, YYYY-MM-DD. Null when the register does not say.",
        json_schema_extra={"classification": "public"},
    )


class PremisesLicenceSuspended(EventData):
    """A premises licence is suspended: nothing may be done under it until the suspension ends."""

    type: ClassVar[str] = "licensing.premises-licence.suspended"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence.",
        json_schema_extra={"classification": "internal"},
    )
    premises_name: str | None = Field(
        default=None,
        description="Name of the premises. Null when the register does not say.",
        json_schema_extra={"classification": "public"},
    )
    address: str = Field(
        description="Where the premises are, as the register words it.",
        json_schema_extra={"classification": "public"},
    )
    postcode: str | None = Field(
        default=None,
        description=(
            "Postcode of the premises, in capitals with one space. Null when there is none that is sound."
        ),
        json_schema_extra={"classification": "public"},
    )
    uprn: str | None = Field(
        default=None,
        description=(
            "Unique property reference number without leading zeros. Null where there is no sound one."
        ),
        json_schema_extra={"classification": "public"},
    )
    flagged: list[str] = Field(
        description=(
            "Columns of the register whose value failed its check: such a value is passed on as null."
        ),
        json_schema_extra={"classification": "public"},
    )
    decided_on: str | None = Field(
        default=None,
        description="Day of the decision, YYYY-MM-DD. Null when the register does not say.",
        json_schema_extra={"classification": "public"},
    )


class PremisesLicenceVaried(EventData):
    """What a premises licence in force allows, or its holder or premises, is no longer what it was; or a
    suspension ended.
    """

    type: ClassVar[str] = "licensing.premises-licence.varied"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence.",
        json_schema_extra={"classification": "internal"},
    )
    premises_name: str | None = Field(
        default=None,
        description="Name of the premises. Null when the register does not say.",
        json_schema_extra={"classification": "public"},
    )
    address: str = Field(
        description="Where the premises are, as the register words it.",
        json_schema_extra={"classification": "public"},
    )
    postcode: str | None = Field(
        default=None,
        description=(
            "Postcode of the premises, in capitals with one space. Null when there is none that is sound."
        ),
        json_schema_extra={"classification": "public"},
    )
    uprn: str | None = Field(
        default=None,
        description=(
            "Unique property reference number without leading zeros. Null where there is no sound one."
        ),
        json_schema_extra={"classification": "public"},
    )
    flagged: list[str] = Field(
        description=(
            "Columns of the register whose value failed its check: such a value is passed on as null."
        ),
        json_schema_extra={"classification": "public"},
    )
    service: str = Field(
        description=(
            "Kind of authorisation, as the register words it: Premises licence, Club premises certificate."
        ),
        json_schema_extra={"classification": "public"},
    )
    alcohol: bool = Field(
        description="Whether alcohol may be supplied.",
        json_schema_extra={"classification": "public"},
    )
    late_night_refreshment: bool = Field(
        description="Whether hot food or drink may be supplied between 23:00 and 05:00.",
        json_schema_extra={"classification": "public"},
    )
    entertainment: list[str] = Field(
        description="Regulated entertainment that is authorised, such as Live music.",
        json_schema_extra={"classification": "public"},
    )
    opening_hours: str | None = Field(
        default=None,
        description="Opening hours as the register words them. Null when it does not say.",
        json_schema_extra={"classification": "public"},
    )
    holder: str | None = Field(
        default=None,
        description="Who holds the licence: a person or a company. Null when the register does not say.",
        json_schema_extra={"classification": "personal"},
    )
    starts_on: str | None = Field(
        default=None,
        description="First day of the licence, YYYY-MM-DD. Null when the register does not say.",
        json_schema_extra={"classification": "public"},
    )
    ends_on: str | None = Field(
        default=None,
        description=(
            "Last day of the licence or of the period paid for, YYYY-MM-DD. Null for one without end."
        ),
        json_schema_extra={"classification": "public"},
    )
    decided_on: str | None = Field(
        default=None,
        description="Day of the decision, YYYY-MM-DD. Null when the register does not say.",
        json_schema_extra={"classification": "public"},
    )
    changed: list[str] = Field(
        description=(
            "Names of the fields that are not what they were; some of them, such as conditions, are not "
            "in this event."
        ),
        json_schema_extra={"classification": "public"},
    )


class TaxiLicenceEnded(EventData):
    """A taxi or private-hire licence ended otherwise than by revocation, or is no longer in the register."""

    type: ClassVar[str] = "licensing.taxi-licence.ended"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    authority: str = Field(
        description="Licensing authority by its name in the national taxi database, such as Birmingham.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence.",
        json_schema_extra={"classification": "internal"},
    )
    kind: str = Field(
        description="What is licensed: vehicle or driver.",
        json_schema_extra={"classification": "public"},
    )
    licence_type: str = Field(
        description="TAXI for hackney carriages, PHV for private hire.",
        json_schema_extra={"classification": "public"},
    )
    registration_mark: str | None = Field(
        default=None,
        description=(
            "Registration mark of the vehicle, in capitals without spaces. Null for a driver's licence."
        ),
        json_schema_extra={"classification": "personal"},
    )
    plate_number: str | None = Field(
        default=None,
        description="Number of the vehicle's plate. Null for a driver's licence.",
        json_schema_extra={"classification": "internal"},
    )
    driving_licence_number: str | None = Field(
        default=None,
        description=(
            "GB driving licence number of the driver, or of the proprietor who drives. Null when there is "
            "none that is sound."
        ),
        json_schema_extra={"classification": "personal"},
    )
    flagged: list[str] = Field(
        description=(
            "Columns of the register whose value failed its check: such a value is passed on as null."
        ),
        json_schema_extra={"classification": "public"},
    )
    reason: str = Field(
        description=(
            "Why, as far as the register says: surrendered, expired, refused or withdrawn for a renewal "
            "that came to nothing, or removed for one that is no longer there."
        ),
        json_schema_extra={"classification": "public"},
    )


class TaxiLicenceGranted(EventData):
    """A council's register has a taxi or private-hire licence in force that it did not have, or that was
    pending.
    """

    type: ClassVar[str] = "licensing.taxi-licence.granted"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    authority: str = Field(
        description="Licensing authority by its name in the national taxi database, such as Birmingham.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence.",
        json_schema_extra={"classification": "internal"},
    )
    kind: str = Field(
        description="What is licensed: vehicle or driver.",
        json_schema_extra={"classification": "public"},
    )
    licence_type: str = Field(
        description="TAXI for hackney carriages, PHV for private hire.",
        json_schema_extra={"classification": "public"},
    )
    registration_mark: str | None = Field(
        default=None,
        description=(
            "Registration mark of the vehicle, in capitals without spaces. Null for a driver's licence."
        ),
        json_schema_extra={"classification": "personal"},
    )
    plate_number: str | None = Field(
        default=None,
        description="Number of the vehicle's plate. Null for a driver's licence.",
        json_schema_extra={"classification": "internal"},
    )
    driving_licence_number: str | None = Field(
        default=None,
        description=(
            "GB driving licence number of the driver, or of the proprietor who drives. Null when there is "
            "none that is sound."
        ),
        json_schema_extra={"classification": "personal"},
    )
    flagged: list[str] = Field(
        description=(
            "Columns of the register whose value failed its check: such a value is passed on as null."
        ),
        json_schema_extra={"classification": "public"},
    )
    wheelchair_accessible: bool | None = Field(
        default=None,
        description=(
            "Whether the vehicle takes a passenger in a wheelchair. Null when the register does not say."
        ),
        json_schema_extra={"classification": "public"},
    )
    starts_on: str = Field(
        description="First day of the licence, YYYY-MM-DD.",
        json_schema_extra={"classification": "public"},
    )
    ends_on: str = Field(
        description="Last day of the licence, YYYY-MM-DD.",
        json_schema_extra={"classification": "public"},
    )


class TaxiLicenceRevoked(EventData):
    """A taxi or private-hire licence was revoked."""

    type: ClassVar[str] = "licensing.taxi-licence.revoked"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    authority: str = Field(
        description="Licensing authority by its name in the national taxi database, such as Birmingham.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence.",
        json_schema_extra={"classification": "internal"},
    )
    kind: str = Field(
        description="What is licensed: vehicle or driver.",
        json_schema_extra={"classification": "public"},
    )
    licence_type: str = Field(
        description="TAXI for hackney carriages, PHV for private hire.",
        json_schema_extra={"classification": "public"},
    )
    registration_mark: str | None = Field(
        default=None,
        description=(
            "Registration mark of the vehicle, in capitals without spaces. Null for a driver's licence."
        ),
        json_schema_extra={"classification": "personal"},
    )
    plate_number: str | None = Field(
        default=None,
        description="Number of the vehicle's plate. Null for a driver's licence.",
        json_schema_extra={"classification": "internal"},
    )
    driving_licence_number: str | None = Field(
        default=None,
        description=(
            "GB driving licence number of the driver, or of the proprietor who drives. Null when there is "
            "none that is sound."
        ),
        json_schema_extra={"classification": "personal"},
    )
    flagged: list[str] = Field(
        description=(
            "Columns of the register whose value failed its check: such a value is passed on as null."
        ),
        json_schema_extra={"classification": "public"},
    )


class TaxiLicenceSuspended(EventData):
    """A taxi or private-hire licence is suspended."""

    type: ClassVar[str] = "licensing.taxi-licence.suspended"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    authority: str = Field(
        description="Licensing authority by its name in the national taxi database, such as Birmingham.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence.",
        json_schema_extra={"classification": "internal"},
    )
    kind: str = Field(
        description="What is licensed: vehicle or driver.",
        json_schema_extra={"classification": "public"},
    )
    licence_type: str = Field(
        description="TAXI for hackney carriages, PHV for private hire.",
        json_schema_extra={"classification": "public"},
    )
    registration_mark: str | None = Field(
        default=None,
        description=(
            "Registration mark of the vehicle, in capitals without spaces. Null for a driver's licence."
        ),
        json_schema_extra={"classification": "personal"},
    )
    plate_number: str | None = Field(
        default=None,
        description="Number of the vehicle's plate. Null for a driver's licence.",
        json_schema_extra={"classification": "internal"},
    )
    driving_licence_number: str | None = Field(
        default=None,
        description=(
            "GB driving licence number of the driver, or of the proprietor who drives. Null when there is "
            "none that is sound."
        ),
        json_schema_extra={"classification": "personal"},
    )
    flagged: list[str] = Field(
        description=(
            "Columns of the register whose value failed its check: such a value is passed on as null."
        ),
        json_schema_extra={"classification": "public"},
    )


class TaxiLicenceVaried(EventData):
    """A taxi or private-hire licence in force is no longer what it was, or its suspension ended."""

    type: ClassVar[str] = "licensing.taxi-licence.varied"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    authority: str = Field(
        description="Licensing authority by its name in the national taxi database, such as Birmingham.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence.",
        json_schema_extra={"classification": "internal"},
    )
    kind: str = Field(
        description="What is licensed: vehicle or driver.",
        json_schema_extra={"classification": "public"},
    )
    licence_type: str = Field(
        description="TAXI for hackney carriages, PHV for private hire.",
        json_schema_extra={"classification": "public"},
    )
    registration_mark: str | None = Field(
        default=None,
        description=(
            "Registration mark of the vehicle, in capitals without spaces. Null for a driver's licence."
        ),
        json_schema_extra={"classification": "personal"},
    )
    plate_number: str | None = Field(
        default=None,
        description="Number of the vehicle's plate. Null for a driver's licence.",
        json_schema_extra={"classification": "internal"},
    )
    driving_licence_number: str | None = Field(
        default=None,
        description=(
            "GB driving licence number of the driver, or of the proprietor who drives. Null when there is "
            "none that is sound."
        ),
        json_schema_extra={"classification": "personal"},
    )
    flagged: list[str] = Field(
        description=(
            "Columns of the register whose value failed its check: such a value is passed on as null."
        ),
        json_schema_extra={"classification": "public"},
    )
    wheelchair_accessible: bool | None = Field(
        default=None,
        description=(
            "Whether the vehicle takes a passenger in a wheelchair. Null when the register does not say."
        ),
        json_schema_extra={"classification": "public"},
    )
    starts_on: str = Field(
        description="First day of the licence, YYYY-MM-DD.",
        json_schema_extra={"classification": "public"},
    )
    ends_on: str = Field(
        description="Last day of the licence, YYYY-MM-DD.",
        json_schema_extra={"classification": "public"},
    )
    changed: list[str] = Field(
        description=(
            "Names of the fields that are not what they were; some of them, such as conditions, are not "
            "in this event."
        ),
        json_schema_extra={"classification": "public"},
    )


class TaxiRegisterAccepted(EventData):
    """The national taxi database took over a council's whole register of licensed vehicles."""

    type: ClassVar[str] = "licensing.taxi-register.accepted"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    authority_id: str = Field(
        description="Code of the licensing authority in the names of its files, such as BCC.",
        json_schema_extra={"classification": "public"},
    )
    file_name: str = Field(
        description="The file that was handed over.",
        json_schema_extra={"classification": "internal"},
    )
    job_id: str = Field(
        description="Name of the job that took it in.",
        json_schema_extra={"classification": "internal"},
    )
    vehicles: Long = Field(
        description="How many licensed vehicles the register had.",
        json_schema_extra={"classification": "public"},
    )


class TaxiRegisterRefused(EventData):
    """The national taxi database refused a council's register of vehicles and keeps the one before."""

    type: ClassVar[str] = "licensing.taxi-register.refused"

    council: str = Field(
        description="GSS code of today of the council whose register it is, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    authority_id: str = Field(
        description="Code of the licensing authority in the names of its files, such as BCC.",
        json_schema_extra={"classification": "public"},
    )
    file_name: str = Field(
        description="The file that was handed over.",
        json_schema_extra={"classification": "internal"},
    )
    job_id: str = Field(
        description="Name of the job that took it in.",
        json_schema_extra={"classification": "internal"},
    )
    errors: list[str] = Field(
        description="What it says is wrong, in its own words; they may repeat what a row says.",
        json_schema_extra={"classification": "personal"},
    )

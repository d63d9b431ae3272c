"""What every connector that carries care messages is told about its partner."""

from __future__ import annotations

from pydantic import Field

from hub.sdk import ConnectorConfig


class CareSettings(ConnectorConfig):
    """Who is who: addresses are `https://fhir.nhs.uk/Id/dos-service-id|<service>` for FHIR and
    `hl7:<application>|<facility>` for HL7 v2."""

    addresses: tuple[str, ...] = Field(
        description="Addresses that the partner answers to: events for others are left to other instances."
    )
    partners: dict[str, str] = Field(
        description="The party of the hub behind each address that the partner writes to, by address."
    )
    organisation: str = Field(
        default="", description="ODS code of the partner, where its messages give none."
    )

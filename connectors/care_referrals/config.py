"""What an instance of the care referrals connector is told: one partner, and how it speaks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from connectors.care_messages.canonical import is_service
from connectors.care_messages.settings import CareSettings
from hub.sdk import ListenerSettings


class Config(CareSettings, ListenerSettings):
    """One partner, a hospital or a council's social care system, that speaks BaRS or HL7 v2 over MLLP."""

    speaks: tuple[Literal["bars", "mllp"], ...] = Field(
        default=("bars",), description="What the partner speaks; settings of the other may be left out."
    )
    service_ids: dict[str, str] = Field(
        default={},
        validate_default=True,
        description="DOS service id of each HL7 address in `addresses` and `partners`, by address: the BaRS proxy "
        "routes by these alone, and an answer to one of them goes to the HL7 system behind it.",
    )
    inbound_token: SecretStr | None = Field(
        default=None, description="Bearer token with which the BaRS proxy calls the hub."
    )
    previous_inbound_token: SecretStr | None = Field(
        default=None, description="The token before the last change, accepted too."
    )
    base_url: str = Field(
        default="https://api.service.nhs.uk/booking-and-referral/FHIR/R4",
        description="Where the BaRS proxy answers.",
        pattern=r"^https?://[^\s]+$",
    )
    token_url: str = Field(
        default="https://api.service.nhs.uk/oauth2/token",
        description="Where access tokens are asked for.",
        pattern=r"^https?://[^\s]+$",
    )
    api_key: str = Field(default="", description="The application's API key: issuer of its assertions.")
    key_id: str = Field(default="", description="Key id (kid) under which the public key is registered.")
    private_key: SecretStr | None = Field(
        default=None, description="RSA private key, PEM, that signs the assertions (RS512)."
    )
    timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=120,
        description="How long to wait for an answer of the proxy or an acknowledgement.",
    )
    listen_port: int = Field(
        default=0, ge=0, le=65_535, description="TCP port of the MLLP listener; 0 takes a free one."
    )
    peer_host: str = Field(default="", description="Host of the partner's MLLP listener.")
    peer_port: int = Field(default=0, ge=0, le=65_535, description="Port of the partner's MLLP listener.")
    hl7_version: str = Field(
        default="2.4", pattern=r"^2\.\d(\.\d)?$", description="Version of HL7 v2 that is written (MSH-12)."
    )

    @field_validator("service_ids")
    @classmethod
    def _lead_both_ways(cls, ids: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if "bars" not in info.data.get("speaks", ()):
            return ids
        theirs, ours = (
            [address for address in info.data.get(name, ()) if not is_service(address)]
            for name in ("addresses", "partners")
        )
        if any(address not in ids for address in theirs + ours):
            raise ValueError("an HL7 address of a partner that speaks BaRS has no service id")
        if len({ids[address] for address in ours}) < len(ours):
            raise ValueError("one service id stands for two HL7 systems: an answer could be for either")
        return ids

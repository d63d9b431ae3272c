"""What an instance of the MESH connector is told: our mailbox, and the partner's."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from connectors.care_messages.settings import CareSettings


class Config(CareSettings):
    """One partner whose care messages go through NHS MESH, between a mailbox of ours and one of theirs."""

    mailbox: str = Field(description="Our mailbox, X26ABC1 for example.")
    password: SecretStr = Field(description="Password of our mailbox.")
    shared_key: SecretStr = Field(description="The environment's shared key, under which tokens are made.")
    partner_mailbox: str = Field(description="The partner's mailbox, to which messages are sent.")
    workflow: str = Field(
        description="Workflow id of the messages; others in the mailbox are left alone.", max_length=300
    )
    base_url: str = Field(
        default="https://mesh-sync.spineservices.nhs.uk",
        description="Where MESH answers.",
        pattern=r"^https?://[^\s]+$",
    )
    client_certificate: Path | None = Field(
        default=None, description="Our certificate for mutual TLS, PEM; MESH itself requires one."
    )
    client_key: Path | None = Field(default=None, description="Private key of the certificate, PEM.")
    authority: Path | None = Field(
        default=None, description="Certificates that MESH's own is checked against, PEM; else the system's."
    )
    chunk_bytes: int = Field(
        default=20 << 20,
        ge=1,
        le=100 << 20,
        description="Longer messages are sent in chunks of so many bytes before compression; at most 100 MB.",
    )
    hl7_version: str = Field(
        default="2.4", pattern=r"^2\.\d(\.\d)?$", description="Version of HL7 v2 that is written (MSH-12)."
    )
    timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=50,  # within the minute that the hub has for a piece of a message: so one that hangs goes last next time
        description="How long to wait for an answer of MESH.",
    )

    @field_validator("client_key")
    @classmethod
    def _both_or_neither(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (key is None) != (info.data.get("client_certificate") is None):
            raise ValueError("client_certificate and client_key are given both or neither")
        return key

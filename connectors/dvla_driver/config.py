"""What an instance of the DVLA driver connector is told."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from hub.sdk import ConnectorConfig


class Config(ConnectorConfig):
    """One account for DVLA's driver enquiry, and the drivers whom the council licenses."""

    user_name: str = Field(description="User name of the account.")
    password: SecretStr = Field(description="Password of the account, for which DVLA gives a token.")
    api_key: SecretStr = Field(description="API key of the account, sent beside the token.")
    drivers: Path = Field(
        description=(
            "CSV file with the columns licence_reference and driving_licence_number, one driver a line. "
            "Relative to hub.yaml. It is read anew for every page, so it may be replaced at any time."
        )
    )
    base_url: str = Field(
        default="https://driver-vehicle-licensing.api.gov.uk",
        description="Where the API answers.",
        pattern=r"^https?://[^\s]+$",
    )
    page_size: int = Field(
        default=50, ge=1, le=100, description="Drivers asked for between two commits; each costs an enquiry."
    )
    ask_again_days: int = Field(
        default=30, ge=1, le=365, description="How long a number that DVLA does not know is left alone."
    )
    timeout_seconds: float = Field(
        default=10.0, gt=0, le=60, description="How long to wait for an answer of the API."
    )

"""What an instance of the GOV.UK Pay connector is told."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from hub.sdk import ConnectorConfig

# Hours: `dedup_window_days` is 90 at most, and a day longer than this.
_FURTHEST_BACK = 24 * 89

# Hours: the 90 minutes that a payer has, and more than the lag of the search and a round take.
_LEAST_OVERLAP = 3


class Config(ConnectorConfig):
    """One GOV.UK Pay gateway account: its webhook's signing secret, and an API key to reconcile with."""

    signing_secret: SecretStr = Field(
        description="Signing secret, from the account's webhook page: webhook_test_… or webhook_live_…"
    )
    previous_signing_secret: SecretStr | None = Field(
        default=None,
        description="The secret before the last change, accepted too until its messages have run out.",
    )
    api_key: SecretStr = Field(description="API key of the same account: api_test_… or api_live_…")
    base_url: str = Field(
        default="https://publicapi.payments.service.gov.uk",
        description="Where the public API answers.",
        pattern=r"^https?://[^\s]+$",
    )
    page_size: int = Field(
        default=500,
        ge=1,
        le=500,
        description="Results asked for per page of a search; Pay allows at most 500.",
    )
    lookback_hours: int = Field(
        default=168, ge=1, le=24 * 365, description="How far back the very first reconciliation looks."
    )
    overlap_hours: int = Field(
        default=72,
        le=_FURTHEST_BACK,
        json_schema_extra={"minimum": _LEAST_OVERLAP},  # `_covers_the_time_to_pay` says why
        description=(
            "How far each reconciliation reaches back behind the last one. It must cover the lag of Pay's "
            "search and the life of a payment until it is captured or cancelled: longer where capture is delayed "
            "by days, and `dedup_window_days` a day longer still. The search alone tells of a payment that is "
            "cancelled within the 90 minutes to pay."
        ),
    )
    refund_overlap_hours: int = Field(
        default=24 * 7,
        ge=1,
        le=_FURTHEST_BACK,
        description=(
            "The same for refunds: as long as a provider may take to say what became of one, since no webhook "
            "tells of a refund that failed."
        ),
    )
    timeout_seconds: float = Field(
        default=10.0, gt=0, le=120, description="How long to wait for an answer of the public API."
    )

    @field_validator("overlap_hours")
    @classmethod
    def _covers_the_time_to_pay(cls, hours: int) -> int:
        if hours < _LEAST_OVERLAP:
            raise ValueError(
                f"should be {_LEAST_OVERLAP} or more: a payer has 90 minutes, the search is late, and nothing else "
                "tells of a payment that is cancelled meanwhile"
            )
        return hours

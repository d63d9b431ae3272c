"""What an instance of the premises licensing connector is told."""

from __future__ import annotations

from pydantic import Field

from hub.sdk import FileSettings


class Config(FileSettings):
    """Where a council leaves its register of premises licences, and where its back office takes renewals."""

    renewals_folder: str = Field(
        default="",
        description="Where the back office takes renewals and answers them; empty where it takes none.",
    )
    answer_within_seconds: float = Field(
        default=60,
        gt=0,
        le=100,
        description="How long to wait for the answer to a renewal before it counts as failed and is tried again.",
    )

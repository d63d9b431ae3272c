"""What an instance of the taxi licensing connector is told."""

from __future__ import annotations

from pydantic import Field, SecretStr

from hub.sdk import FileSettings


class Config(FileSettings):
    """Where a council leaves its register of taxi licences; or, where `authority_id` is set, the national database."""

    authority_id: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9]*$",
        description="The council's code in the names of its files to the national database; empty for a register.",
    )
    api_url: str = Field(
        default="",
        description="Where the national database's job API answers; empty where a file needs no job.",
        pattern=r"^(https?://[^\s]+)?$",
    )
    api_key: SecretStr | None = Field(default=None, description="Key for the job API.")
    bucket: str = Field(
        default="taxi-register-csv", description="Name of the bucket behind the folder, as jobs call it."
    )
    job_seconds: float = Field(
        default=300, gt=0, le=540, description="How long a job may take before the file is handed over again."
    )
    timeout_seconds: float = Field(
        default=10.0, gt=0, le=60, description="How long to wait for an answer of the job API."
    )

"""What an instance of the GOV.UK Notify connector is told."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from hub.sdk import ConnectorConfig

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KEY = re.compile(rf".+-({_UUID})-({_UUID})")


def _api_key(key: SecretStr) -> SecretStr:
    if not _KEY.fullmatch(key.get_secret_value()):
        raise ValueError("is not of the form name-service-secret, the last two being UUIDs")
    return key


class Config(ConnectorConfig):
    """One GOV.UK Notify service of a council: its API key, its templates by name, the token of its callbacks."""

    api_key: Annotated[SecretStr, AfterValidator(_api_key)] = Field(
        description="API key of the service, as Notify showed it when it was made: name, service and secret."
    )
    templates: dict[str, Annotated[str, Field(pattern=rf"^{_UUID}$")]] = Field(
        default_factory=dict, description="Notify's template ids by the names that routes use for them."
    )
    callback_token: SecretStr | None = Field(
        default=None,
        min_length=10,
        description="Bearer token that Notify sends with its callbacks, at least 10 characters; none, no callbacks.",
    )
    previous_callback_token: SecretStr | None = Field(
        default=None, description="The token before the last change, accepted too until it is removed here."
    )
    base_url: str = Field(
        default="https://api.notifications.service.gov.uk",
        description="Where the API answers.",
        pattern=r"^https?://[^\s]+$",
    )
    timeout_seconds: float = Field(
        default=10.0, gt=0, le=60, description="How long to wait for an answer of the API."
    )

    @property
    def service_id(self) -> str:
        """The service's id, which is part of the key."""
        return self._part(1)

    @property
    def secret(self) -> SecretStr:
        """What requests are signed with, the other part."""
        return SecretStr(self._part(2))

    def _part(self, number: int) -> str:
        found = _KEY.fullmatch(self.api_key.get_secret_value())
        assert found is not None, "checked when it was read"
        return found[number]

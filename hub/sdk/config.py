"""Configuration of connector instances: pydantic settings, secrets by reference only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


class ConnectorConfig(BaseSettings):
    """Base of every connector's `Config`. Each field has a description; a secret is a `SecretStr`.

    Values come from the instance's `config` in `hub.yaml`; the environment variable
    `HUB_<INSTANCE>_<FIELD>` (upper case, hyphens as underscores) overrides one of them.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, so that one value can be changed in an emergency."""
        return env_settings, init_settings

    @classmethod
    def load(cls, instance: str, values: Mapping[str, Any], base: Path) -> Self:
        """Resolve references (`{env: NAME}`, `{file: PATH}`) and paths, both relative to `base`, and validate.

        Raises ValueError naming the field where a reference leads nowhere or a secret stands in plain text or is
        empty, and pydantic's ValidationError for the rest.
        """
        resolved = {name: cls._resolve(name, value, base) for name, value in values.items()}
        prefix = f"HUB_{instance}_".upper().replace("-", "_")
        config = cls(_env_prefix=prefix, **resolved)
        for name, value in config:
            # Whatever it came from: what is signed with an empty secret, anybody can sign.
            if isinstance(value, SecretStr) and not value.get_secret_value().strip():
                raise ValueError(f"{name}: the secret is empty")
        return config

    @classmethod
    def _resolve(cls, name: str, value: Any, base: Path) -> Any:
        if isinstance(value, Mapping) and len(value) == 1:
            kind, where = next(iter(value.items()))
            if kind == "env":
                if where not in os.environ:
                    raise ValueError(f"{name}: the environment variable {where} is not set")
                return os.environ[where]
            if kind == "file":
                path = base / where
                if not path.is_file():
                    raise ValueError(f"{name}: there is no file {where} beside hub.yaml")
                return path.read_text().strip()
        field = cls.model_fields.get(name)
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        if SecretStr in kinds and value is not None:
            raise ValueError(f"{name}: a secret is given by reference, {{env: NAME}} or {{file: PATH}}")
        return base / value if Path in kinds and isinstance(value, str) else value

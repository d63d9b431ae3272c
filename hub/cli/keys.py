"""The hub's own secrets in its data directory: made once, for their owner's eyes, and never taken in part."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from hub.events.problem import Problem
from hub.gateway.client import OPERATOR_TOKEN

MASTER_KEY = "master.key"
_LEAST = {MASTER_KEY: 32, OPERATOR_TOKEN: 16}
_REMEDY = (
    "Restore it from your backup; or remove it, and the next start makes another. A new master.key changes the"
    " secrets of all subscriptions"
)


def make_keys(data_dir: Path) -> None:
    """The key that subscription secrets derive from, and the operator's token, where they are missing."""
    for name, value in (
        (MASTER_KEY, secrets.token_bytes(32)),
        (OPERATOR_TOKEN, secrets.token_hex(24).encode()),
    ):
        path = data_dir / name
        if path.exists():
            continue
        # It has its name once it is whole: one that a full disk cut short would be taken for good.
        part = path.with_suffix(".part")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)


def cut_short(data_dir: Path) -> Iterator[Problem]:
    """Of those that are there."""
    for name, least in _LEAST.items():
        path = data_dir / name
        if path.is_file() and (size := path.stat().st_size) < least:
            yield Problem(str(path), 0, f"holds {size} bytes, of at least {least}", _REMEDY)

"""One hub for the promises about delivery that leave it running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.testing.live import LiveHub, live_hub

#: So many seconds of a schedule pass in one.
SPEED = 240


@pytest.fixture(scope="package")
def delivering(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[LiveHub]:
    """A hub with one worker, for which an hour is fifteen seconds."""
    sections = {"delivery": {"allow_local": True, "speed": SPEED}}
    with live_hub(tmp_path_factory.mktemp("delivering"), root, **sections) as running:
        yield running

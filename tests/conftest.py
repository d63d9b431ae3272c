"""What all tests share: a real broker, one for the whole run, chosen by `HUB_TEST_KAFKA` as `hub up` chooses."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.registry.schemas import Registry
from hub.stream.broker import open_broker
from hub.testing.live import LiveHub, live_hub
from tests import simulated_time

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root."""
    return ROOT


@pytest.fixture(scope="session")
def registry(root: Path) -> Registry:
    """The contracts of the project."""
    return Registry.load(root / "schemas")


@pytest.fixture(scope="session")
def simulate() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine to its end in simulated time; fails if it left something running."""
    return simulated_time.simulate


@pytest.fixture(scope="session")
def samples() -> Path:
    """Real samples of outside systems, read in place; they lie beside the project."""
    folder = ROOT.parent / "shared" / "fixtures"
    if not folder.is_dir():
        pytest.skip("the real samples are not beside the project")
    return folder


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Kafka: embedded, testcontainers, or one that is there."""
    broker = open_broker(os.environ.get("HUB_TEST_KAFKA", "embedded"), tmp_path_factory.mktemp("kafka"))
    yield broker.address
    broker.stop()


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    """A whole hub, one for all tests that only send to it and subscribe."""
    with live_hub(
        tmp_path_factory.mktemp("hub"), ROOT, os.environ.get("HUB_TEST_KAFKA", "embedded")
    ) as running:
        yield running

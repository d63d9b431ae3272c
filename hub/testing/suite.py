"""What all contract suites share: which connector against which simulator, and waivers that cannot rot."""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from hub.sdk.clock import Clock, SteppedClock
from hub.sdk.connector import Connector, Instance
from hub.sdk.simulator import HANG, Simulator


class Suite:
    """Base of the suites. A subclass names `connector` and `simulator`, and runs as tests by pytest.

    `settings` overrides what the simulator's `config()` says; `impatient` does where the system will not answer, so
    that nobody waits for it longer than a second or so. (For all else the time limit is that of everyday use: a busy
    machine is no failure.) `waive` names tests that do not hold for this connector, each with the reason; a waived
    test that passes fails, and so does a waiver of no test.
    """

    connector: ClassVar[type[Any]]
    simulator: ClassVar[Callable[[Clock], Any]]
    settings: ClassVar[Mapping[str, Any]] = {}
    impatient: ClassVar[Mapping[str, Any]] = {}
    #: Faults of the simulator in which it does not answer.
    silent: ClassVar[tuple[str, ...]] = (HANG,)
    waive: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, reason in cls.waive.items():
            test = getattr(cls, name, None)
            if not name.startswith("test_") or not isinstance(test, types.FunctionType):
                raise TypeError(f"{cls.__name__} waives {name}, which is no test of its contract")
            if not reason.strip():
                raise TypeError(f"{cls.__name__} waives {name} without a reason")
            setattr(cls, name, pytest.mark.xfail(reason=reason, strict=True)(_copy(test)))

    def made(self, simulator: Simulator | None = None, clock: Clock | None = None) -> Any:
        """A fresh connector that is configured for `simulator`, with its clock unless another is given."""
        simulator = simulator or type(self).simulator(SteppedClock())
        model: Any = self.connector.config_model
        hurried = self.impatient if set(self.silent) & set(simulator.faults) else {}
        config = model(_env_prefix="HUB_CONTRACT_", **{**simulator.config(), **self.settings, **hurried})
        instance = Instance("contract", self.connector.__module__.split(".")[-2], "E08000025")
        return self.connector(instance, config, clock or simulator.clock)

    @asynccontextmanager
    async def _world(self, fault: str | None = None) -> AsyncIterator[tuple[Any, Any]]:
        """The simulator while it serves, with no fault but this, and a connector that is configured for it."""
        simulator = type(self).simulator(SteppedClock())
        simulator.faults = {fault: 1.0} if fault else {}
        async with simulator.serve():
            connector = self.made(simulator)
            try:
                yield simulator, connector
            finally:
                await connector.close()

    def assert_no_secret(self, connector: Connector[Any], *texts: str) -> None:
        """That no secret of its configuration is in any of the texts, nor in how it shows itself."""
        secrets = [value.get_secret_value() for _, value in connector.config if isinstance(value, SecretStr)]
        told = [repr(connector), str(connector), repr(connector.config), str(connector.config), *texts]
        assert not [secret for secret in secrets if secret and any(secret in text for text in told)]


def _copy(test: types.FunctionType) -> types.FunctionType:
    """A test function of its own, so that a mark on it does not touch the suite's."""
    made = types.FunctionType(
        test.__code__, test.__globals__, test.__name__, test.__defaults__, test.__closure__
    )
    made.__dict__.update(test.__dict__)
    made.__kwdefaults__ = test.__kwdefaults__
    return made

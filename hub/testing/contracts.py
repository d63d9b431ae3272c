"""Contract suites: subclass one per source in the connector's `test_contract.py`, and pytest runs it."""

from __future__ import annotations

import importlib
import inspect

from hub.sdk.catalogue import ConnectorKind
from hub.sdk.connector import Source
from hub.testing.contract import Contract
from hub.testing.polling_contract import PollingContract
from hub.testing.webhook_contract import WebhookContract

__all__ = ["Contract", "PollingContract", "WebhookContract", "without_contract"]


def without_contract(kind: ConnectorKind) -> list[str]:
    """The sources of a connector for which its `test_contract.py` has no suite."""
    try:
        tests = importlib.import_module(f"connectors.{kind.name}.test_contract")
    except ModuleNotFoundError:
        return [source.name for source in kind.sources]
    covered: set[type[Source[object, object]]] = {  # type: ignore[type-var]  # any source will do here
        cls.connector
        for cls in vars(tests).values()
        if inspect.isclass(cls) and issubclass(cls, Contract) and hasattr(cls, "connector")
    }
    return [source.name for source in kind.sources if source not in covered]

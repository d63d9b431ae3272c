"""Contract suites: subclass one per source in the connector's `test_contract.py`, and pytest runs it."""

from __future__ import annotations

import importlib
import inspect

from hub.sdk.catalogue import ConnectorKind
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
    covered = {
        _name(cls.connector)
        for cls in vars(tests).values()
        if inspect.isclass(cls) and issubclass(cls, Contract) and hasattr(cls, "connector")
    }
    return [source.name for source in kind.sources if _name(source) not in covered]


def _name(cls: type) -> str:
    """By name, not identity: discovery in another folder may have loaded the module anew in between."""
    return f"{cls.__module__}.{cls.__qualname__}"

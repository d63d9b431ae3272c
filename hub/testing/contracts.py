"""Contract suites: subclass one per source in the connector's `test_contract.py`, and pytest runs it."""

from __future__ import annotations

import importlib
import inspect

from hub.sdk.catalogue import ConnectorKind
from hub.testing.contract import Contract
from hub.testing.export_contract import ExportContract
from hub.testing.file_contract import FileDropContract, RegisterContract
from hub.testing.listener_contract import ListenerContract
from hub.testing.mailbox_contract import MailboxContract
from hub.testing.polling_contract import PollingContract
from hub.testing.sink_contract import FileSinkContract, MllpSinkContract, SinkContract
from hub.testing.suite import Suite
from hub.testing.webhook_contract import WebhookContract

__all__ = [
    "Contract",
    "ExportContract",
    "FileDropContract",
    "FileSinkContract",
    "ListenerContract",
    "MailboxContract",
    "MllpSinkContract",
    "PollingContract",
    "RegisterContract",
    "SinkContract",
    "WebhookContract",
    "without_contract",
]


def without_contract(kind: ConnectorKind) -> list[str]:
    """The sources and sinks of a connector for which its `test_contract.py` has no suite."""
    try:
        tests = importlib.import_module(f"connectors.{kind.name}.test_contract")
    except ModuleNotFoundError:
        return [cls.name for cls in kind.classes]
    covered = {
        _name(cls.connector)
        for cls in vars(tests).values()
        if inspect.isclass(cls) and issubclass(cls, Suite) and hasattr(cls, "connector")
    }
    return [cls.name for cls in kind.classes if _name(cls) not in covered]


def _name(cls: type) -> str:
    """By name, not identity: discovery in another folder may have loaded the module anew in between."""
    return f"{cls.__module__}.{cls.__qualname__}"

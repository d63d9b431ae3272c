"""The tree keeps its promises: imports point one way, and one package alone speaks to Kafka."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: A package or module may import those before it, and itself.
ORDER = (
    "events registry sdk routes trust delivery journal config loading stream gateway testing cli __main__"
).split()
KAFKA_CLIENTS = {"faust", "mode", "kafka", "aiokafka", "confluent_kafka"}
#: Faust machinery that loses or repeats events (docs/decisions/0001).
FORBIDDEN = {"take", "take_with_timestamp", "send_soon", "sink", "add_sink", "Table", "GlobalTable"}

MODULES = sorted((ROOT / "hub").rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "hub").with_suffix("").parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_only_upward(path: Path) -> None:
    if part_of(path) == "__init__":
        return
    mine = ORDER.index(part_of(path))
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "hub" and len(parts) > 1:
            assert ORDER.index(parts[1]) <= mine, f"{path.name} imports {name}"
        assert parts[0] != "connectors" or part_of(path) in ("testing", "cli"), f"{path.name} imports {name}"


def test_one_package_alone_imports_faust_and_kafka() -> None:
    found = {
        part_of(path) for path in MODULES for name in imports(path) if name.split(".")[0] in KAFKA_CLIENTS
    }
    assert found == {"stream"}


def test_a_connector_imports_the_sdk_and_events_and_nothing_else_of_the_hub() -> None:
    for path in (ROOT / "connectors").rglob("*.py"):
        for name in imports(path):
            if name.split(".")[0] == "hub":
                allowed = ("sdk", "events", "testing") if path.name.startswith("test_") else ("sdk", "events")
                assert name.split(".")[1] in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_a_connector_imports_no_other_connector_but_may_share_a_language() -> None:
    """A folder without a `connector.py` holds messages that several connectors carry (docs/decisions/0017)."""
    for path in (ROOT / "connectors").rglob("*.py"):
        mine = path.relative_to(ROOT / "connectors").parts[0]
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "connectors" and len(parts) > 1 and parts[1] != mine:
                shared = ROOT / "connectors" / parts[1]
                assert not (shared / "connector.py").exists(), f"{path.relative_to(ROOT)} imports {name}"


def test_what_faust_cannot_keep_safe_is_not_used() -> None:
    for path in (ROOT / "hub" / "stream").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                receiver = node.func.value
                if isinstance(receiver, ast.Name) and receiver.id in ("stream", "app", "channel"):
                    assert node.func.attr not in FORBIDDEN, f"{path.name}: {node.func.attr}"


def test_no_module_is_longer_than_400_lines() -> None:
    paths = [*MODULES, *(ROOT / "connectors").rglob("*.py")]
    long = {str(p.relative_to(ROOT)): n for p in paths if (n := len(p.read_text().splitlines())) > 400}
    assert not {name: n for name, n in long.items() if "generated" not in name}

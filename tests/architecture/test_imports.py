"""The tree keeps its promises: imports point one way, and one package alone speaks to Kafka."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterable, Iterator
from pathlib import Path

import pytest

from hub.stream.app import make_app
from hub.stream.records import Batch

ROOT = Path(__file__).parents[2]

#: A package or module may import those before it, and itself.
ORDER = (
    "events registry sdk routes trust delivery journal config loading stream gateway testing cli __main__"
).split()
KAFKA_CLIENTS = {"faust", "mode", "kafka", "aiokafka", "confluent_kafka"}
#: Where alone Faust and aiokafka are known.
FAUST_MODULES = {
    "packing.py": {"aiokafka"},
    "app.py": {"faust", "mode"},
    "transport.py": {"faust", "aiokafka"},
    "fetched.py": {"aiokafka"},
}
#: All that is asked of Faust, with the options that may be given. Its acknowledgements and sends, its sinks, `take`,
#: concurrency, tables and exactly once lose or repeat events; its pickles run code (docs/decisions/0001).
OF_FAUST = {
    ("app", "topic"): {"value_serializer", "key_serializer", "acks"},
    ("app", "agent"): {"name"},
}

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
    """A folder without a `connector.py` holds messages that several connectors carry (docs/decisions/0014)."""
    for path in (ROOT / "connectors").rglob("*.py"):
        mine = path.relative_to(ROOT / "connectors").parts[0]
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "connectors" and len(parts) > 1 and parts[1] != mine:
                shared = ROOT / "connectors" / parts[1]
                assert not (shared / "connector.py").exists(), f"{path.relative_to(ROOT)} imports {name}"


def test_faust_and_aiokafka_are_known_where_they_have_to_be() -> None:
    found: dict[str, set[str]] = {}
    for path in MODULES:
        names = {name.split(".")[0] for name in imports(path)} & {"faust", "mode", "aiokafka"}
        if names:
            found[path.name] = names
    assert found == FAUST_MODULES


def test_nothing_is_asked_of_faust_but_topics_and_agents() -> None:
    asked: dict[tuple[str, str], set[str]] = {}
    for path in (ROOT / "hub" / "stream").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                receiver, options = node.func.value, {one.arg or "**" for one in node.keywords}
                if isinstance(receiver, ast.Name) and receiver.id in ("app", "channel"):
                    asked.setdefault((receiver.id, node.func.attr), set()).update(options)
    ours = {("app", name) for name in ("start", "stop", "wait_until_stopped", "on_positioned")}
    assert {call: options for call, options in asked.items() if call not in ours} == OF_FAUST


def test_a_stream_is_iterated_and_nothing_else() -> None:
    for path in (ROOT / "hub" / "stream").rglob("*.py"):
        tree = ast.parse(path.read_text())
        iterated = [id(node.iter) for node in ast.walk(tree) if isinstance(node, ast.AsyncFor)]
        handed_on = [
            id(arg)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "current"
            for arg in node.args
        ]
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == "stream":
                assert id(node) in (*iterated, *handed_on), f"{path.name}:{node.lineno}"


async def test_an_app_has_none_of_what_faust_cannot_keep_safe(tmp_path: Path) -> None:
    app = make_app("127.0.0.1:9", tmp_path, {Passing(): ["some-topic"]})
    assert app.conf.processing_guarantee.value == "at_least_once"
    assert (app.conf.key_serializer, app.conf.value_serializer) == ("raw", "raw")
    assert not app.tables
    assert not app.conf.web_enabled
    assert not app.conf.topic_allow_declare
    (agent,) = app.agents.values()
    assert (agent.concurrency, agent._sinks, agent.isolated_partitions) == (1, [], False)
    assert not agent.channel.acks


class Passing:
    """What an app is made with."""

    name = "passing"

    async def agent(self, stream: AsyncIterable[Batch]) -> None:
        async for _ in stream:
            continue


def test_no_module_is_longer_than_400_lines() -> None:
    paths = [*MODULES, *(ROOT / "connectors").rglob("*.py")]
    long = {str(p.relative_to(ROOT)): n for p in paths if (n := len(p.read_text().splitlines())) > 400}
    assert not {name: n for name, n in long.items() if "generated" not in name}

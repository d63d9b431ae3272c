"""Format a data directory for KRaft: what `kafka-storage format` does, without a second for another Java.

The tool writes two files. `meta.properties` is text with four entries; `bootstrap.checkpoint` says which feature
levels a new cluster starts at and is the same for every directory of one version of Kafka. So the tool runs once
per machine, its checkpoint is kept beside the jars, and later directories get a copy.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import uuid
from pathlib import Path

from hub.stream.broker import distribution
from hub.stream.broker.errors import BrokerError

_CHECKPOINT = "bootstrap.checkpoint"
_META = "meta.properties"


def new_id() -> str:
    """A random id as Kafka writes them; never one with a leading dash, which its tools take for an option."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        continue
    return made


def ensure_formatted(home: Path, jars: str, cluster_id: str, node_id: int) -> None:
    """Leave `home/data` as it is if formatted, format it if empty or half-formatted. Raises BrokerError.

    A directory that holds records is never formatted again: that would lose them without a word.
    """
    data = home / "data"
    whole = {_META: _meta_is_whole(data), _CHECKPOINT: _has_start(data)}
    faults = [name for name, well in whole.items() if not well]
    if not faults:
        return
    held = sorted(path.name for path in data.glob("*-[0-9]*") if path.is_dir() and not _is_metadata(path))
    if held:
        remedy = f"Restore {data} from a backup, or move it away to start anew"
        raise BrokerError(f"{data / faults[0]} is damaged or missing, beside records ({held[0]}, …)", remedy)
    shutil.rmtree(data, ignore_errors=True)
    template = distribution.folder() / _CHECKPOINT
    if not template.is_file():
        _format_by_tool(home, jars, cluster_id)
        _put(template, (data / _CHECKPOINT).read_bytes())
        return
    data.mkdir(parents=True)
    _put(data / _CHECKPOINT, template.read_bytes())
    entries = {"version": "1", "cluster.id": cluster_id, "node.id": str(node_id), "directory.id": new_id()}
    _put(data / _META, "".join(f"{name}={value}\n" for name, value in entries.items()).encode())


def _meta_is_whole(data: Path) -> bool:
    path = data / _META
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    entries = dict(line.split("=", 1) for line in lines if "=" in line)
    return all(entries.get(name) for name in ("version", "cluster.id", "node.id", "directory.id"))


def _has_start(data: Path) -> bool:
    path = data / _CHECKPOINT
    return path.is_file() and path.stat().st_size > 0


def _is_metadata(path: Path) -> bool:
    return path.name.startswith("__cluster_metadata-")


def _format_by_tool(home: Path, jars: str, cluster_id: str) -> None:
    done = subprocess.run(
        [
            *(distribution.java(), "-cp", jars, "kafka.tools.StorageTool"),
            *("format", "-t", cluster_id, "-c", "server.properties"),
        ],
        cwd=home,
        env=distribution.java_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = f"{home} could not be formatted: {(done.stderr or done.stdout)[-500:].strip()}"
        raise BrokerError(reason, "Make the directory writable, or use another --data-dir")


def _put(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    part.write_bytes(content)
    part.replace(path)

"""Ports of the loopback address: free ones, and the same again after a restart."""

from __future__ import annotations

import json
import secrets
import socket
from pathlib import Path

# Below what Linux, macOS and Windows give to outgoing connections: a port from there may be taken by one of
# those between our looking and the broker's binding.
_LOWEST, _HIGHEST = 20_000, 32_000


def free_port(other_than: int = 0) -> int:
    """A port that nobody listens on."""
    while True:
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST)
        if port != other_than and is_free(port):
            return port


def is_free(port: int) -> bool:
    """Whether somebody could listen on it."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as the broker does: it may just have left
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def is_open(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody listens on it."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0


def remembered(path: Path, name: str, other_than: int = 0) -> int:
    """The port kept under that name in the JSON file `path` if it is free, another otherwise."""
    try:
        port = int(json.loads(path.read_text())[name])
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or half a file: ports are worth no error
        return free_port(other_than)
    return port if port != other_than and is_free(port) else free_port(other_than)


def remember(path: Path, **ports: int) -> None:
    """Keep them for next time."""
    path.write_text(json.dumps(ports))

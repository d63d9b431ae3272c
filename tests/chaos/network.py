"""Hosts of their own for the hub's processes: network namespaces, joined by a switch, that can be cut off.

Everything hangs on `cat` processes that end when we do, in whatever way, and the kernel then takes the namespaces
and the links away. Where the kernel lets us make none, all processes share the loopback address and the network's
faults are skipped.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_PREFIX = "10.213"
_LAB = 254  # the last number of the laboratory's own address


@dataclass(frozen=True, slots=True)
class Host:
    """Where one process stands: its address, and the process that holds its namespace open (0: none of its own)."""

    name: str
    address: str
    holder: int = 0

    @property
    def through(self) -> tuple[str, ...]:
        """What a command is started by to run on this host."""
        return ("nsenter", f"--net=/proc/{self.holder}/ns/net") if self.holder else ()

    def run(self, command: str) -> None:
        """Run a command there. Raises OSError."""
        _run(*self.through, *command.split())

    def inside(self, make: Callable[[], T]) -> T:
        """What `make` gives on a thread of this host: a socket made so stays there."""
        if not self.holder:
            return make()
        made: list[T] = []

        def enter() -> None:
            with Path(f"/proc/{self.holder}/ns/net").open() as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                    return
            made.append(make())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if not made:
            raise OSError(f"the namespace of {self.name} cannot be entered")
        return made[0]


class Network:
    """Hosts, and what can be done to their links. `apart` is false where all share the loopback address."""

    def __init__(self, *, apart: bool = True) -> None:
        self.reason = "" if apart else "asked to stay on the loopback address"
        self.reason = self.reason or cannot_be()
        self.apart = not self.reason
        self.hosts: dict[str, Host] = {}
        self._holders: list[subprocess.Popen[bytes]] = []
        if self.apart:
            self._net = _free_net()
            self._switch = self._hold()
            self._at_switch("ip link add br0 type bridge forward_delay 0")
            self._at_switch("ip link set br0 up")
            self._link = f"hub{os.getpid() % 10**8}"
            self._plug("lab", f"name {self._link}")
            _run(*f"ip addr add {self._net}.{_LAB}/24 dev {self._link}".split())
            _run(*f"ip link set {self._link} up".split())

    @property
    def lab(self) -> str:
        """The address at which every host reaches the laboratory."""
        return f"{self._net}.{_LAB}" if self.apart else "127.0.0.1"

    def add(self, name: str) -> Host:
        """A host, reachable by all others."""
        if not self.apart:
            host = Host(name, "127.0.0.1")
        else:
            host = Host(name, f"{self._net}.{len(self.hosts) + 1}", self._hold())
            self._plug(name, f"name eth0 netns {host.holder}")
            host.run("ip link set lo up")
            host.run(f"ip addr add {host.address}/24 dev eth0")
            host.run("ip link set eth0 up")
        self.hosts[name] = host
        return host

    def cut(self, host: Host) -> None:
        """Pull its cable: nothing in, nothing out, and nobody is told."""
        self._at_switch(f"ip link set {_port(host.name)} down")

    def join(self, host: Host) -> None:
        """Put it back."""
        self._at_switch(f"ip link set {_port(host.name)} up")

    def close(self) -> None:
        """Take everything away. Idempotent."""
        for holder in reversed(self._holders):
            holder.kill()
            holder.wait()
        self._holders.clear()
        if self.apart:  # with the last namespace the kernel would take it too, a moment later
            subprocess.run(["ip", "link", "del", self._link], capture_output=True, check=False)

    def _plug(self, name: str, end: str) -> None:
        port = _port(name)
        _run(*f"ip link add {port} netns {self._switch} type veth peer {end}".split())
        self._at_switch(f"ip link set {port} master br0")
        self._at_switch(f"ip link set {port} up")

    def _at_switch(self, command: str) -> None:
        Host("switch", "", self._switch).run(command)

    def _hold(self) -> int:
        holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo there; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._holders.append(holder)
        assert holder.stdout is not None
        holder.stdout.readline()
        return holder.pid


def cannot_be() -> str:
    """Why there can be no hosts of their own here; empty if there can."""
    for command in ("ip", "nsenter", "unshare"):
        if not shutil.which(command):
            return f"the command {command} is not here"
    trial = [
        "unshare",
        "--net",
        "ip",
        "link",
        "add",
        "hubtrial0",
        "type",
        "veth",
        "peer",
        "name",
        "hubtrial1",
    ]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    return "" if not done.returncode else f"the kernel lets us make no links: {done.stderr.strip()}"


def no_filter() -> str:
    """Why packets cannot be filtered here; empty if they can."""
    if not shutil.which("iptables"):
        return "iptables is not here"
    rule = "iptables -A INPUT -m statistic --mode random --probability 0.1 -j DROP"
    done = subprocess.run(["unshare", "--net", *rule.split()], capture_output=True, text=True, check=False)
    return (
        "" if not done.returncode else f"the kernel filters nothing: {done.stderr.strip().splitlines()[-1]}"
    )


def listening(address: str, port: int = 0) -> socket.socket:
    """A socket that listens there."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, port))
    made.listen(512)
    made.setblocking(False)
    return made


def _port(name: str) -> str:
    return f"p-{name}"[:15]


def _free_net() -> str:
    told = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True).stdout
    return next(net for n in range(1, 255) if f" {(net := f'{_PREFIX}.{n}')}." not in told)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")

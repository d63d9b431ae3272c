"""The laboratory's hold on the proxy: rules put in force and taken away, and how often each has struck."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict

from tests.chaos.processes import ROOT, until
from tests.chaos.proxy import Rule
from tests.chaos.wire import APIS


class Proxy:
    """The proxy process; `pairs` are `(listen, target)`, each host:port."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.struck: dict[int, int] = {}
        self._ready = threading.Event()
        self._rules = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.proxy", *(f"{listen}={target}" for listen, target in pairs)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        if not self._ready.wait(20):
            raise RuntimeError("the proxy did not start")

    def arm(
        self, action: str, *apis: str, peers: Sequence[str] = (), times: int = 0, seconds: float = 0.0
    ) -> int:
        """Put a rule in force (see `Rule`); its number."""
        self._rules += 1
        numbers = tuple(APIS[name] for name in apis)
        rule = Rule(self._rules, action, numbers, tuple(peers), times, seconds)
        self._tell({"arm": asdict(rule)})
        return rule.id

    def disarm(self, rule: int) -> None:
        """Take it away."""
        self._tell({"disarm": rule})

    def reset(self, peers: Sequence[str] = ()) -> None:
        """Reset every connection of these addresses, or of all."""
        self._tell({"reset": list(peers)})

    async def strikes(self, rule: int, times: int, timeout: float) -> bool:
        """Whether it struck so often in time."""
        return await until(lambda: self.struck.get(rule, 0) >= times, timeout)

    def alive(self) -> bool:
        """Whether it runs: without it nothing can be judged."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _tell(self, word: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(word).encode() + b"\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word = json.loads(line)
            if "struck" in word:
                self.struck[word["struck"]] = word["count"]
            else:
                self._ready.set()


async def settle(seconds: float) -> None:
    """Let a fault last. Only ever beside progress that is looked at: never in place of a condition."""
    await asyncio.sleep(seconds)

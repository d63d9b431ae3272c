"""The bulk beside the webhooks: councils leave whole registers of licences, in each of which every row is another.

There is always one in hand: the next is left when the one before is put away, unless deliveries are far behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.office import references
from tests.chaos.processes import ROOT, until
from tests.chaos.receivers import Subscriber
from tests.chaos.truth import Register, Truth

INSTANCES = {"E08000025": "birmingham-premises", "E09000033": "westminster-premises"}

_LOOK_S = 0.1


class Offices:
    """The process in which the councils' back offices stand, at an address that the hub's workers reach.

    Making it returns when they serve. What they leave lies below `folder`.
    """

    def __init__(self, address: str, folder: Path) -> None:
        folder.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.office", address, *INSTANCES],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        said = self._hear()
        if not said:
            raise RuntimeError("the councils' offices did not start")
        told = json.loads(said)
        self.config = [_settings(one["config"]) for one in told]
        self.password = str(told[0]["config"]["sftp_password"])
        self._folders = [Path(one["folder"]) for one in told]

    def alive(self) -> bool:
        """Whether it runs: without it nothing can be judged."""
        return self._process.poll() is None

    def leave(self, place: int, number: int, rows: int) -> bool:
        """Have the office of a council leave a register; false where the process is gone. One at a time."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{place} {number} {rows}\n".encode())
        self._process.stdin.flush()
        return bool(self._hear())

    def put_away(self, place: int) -> int:
        """How many registers the hub has done with, whether it could read them to their end or not."""
        return sum(
            len(list((self._folders[place] / folder).glob("*.csv"))) for folder in ("archive", "quarantine")
        )

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _hear(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Registers:
    """Has every council leave registers of `rows` licences, or none where that is 0, and keeps account of it."""

    def __init__(self, truth: Truth, offices: Offices, subscribers: Sequence[Subscriber], rows: int) -> None:
        self.enough = not rows
        """Leave no more."""
        self.given_up = False
        self.room: Callable[[], bool] = lambda: True
        """Whether the next may be left; otherwise it waits."""
        self._offices = offices
        self._rows = rows
        self._turn = asyncio.Lock()
        self._all = [one for one in subscribers if "*" in one.types]
        truth.registers = [Register(party, references(rows)) for party in INSTANCES]
        self._registers = truth.registers

    @property
    def told(self) -> int:
        """Rows that are delivered: what progress is measured by."""
        return sum(one.rows for one in self._all)

    async def run(self) -> None:
        """Until there are `enough`, and all that were left are put away."""
        await asyncio.gather(*(self._leave(place) for place in range(len(self._registers))))

    async def _leave(self, place: int) -> None:
        register = self._registers[place]

        def taken_in() -> bool:
            heard = sum(one.rows for one in self._all if one.party == register.party)
            due = self.enough or (register.told - heard <= self._rows and self.room())
            return self.given_up or (due and self._offices.put_away(place) >= register.left)

        while not self.enough:
            register.left += 1
            async with self._turn:
                await asyncio.to_thread(self._offices.leave, place, register.left, self._rows)
            await until(taken_in, float("inf"), _LOOK_S)


def _settings(told: Mapping[str, Any]) -> dict[str, Any]:
    """Of an instance that takes registers and tells of no renewals; the offices have one password."""
    config = {name: value for name, value in told.items() if name != "renewals_folder"}
    return config | {"settled_after_seconds": 0, "sftp_password": {"file": "sftp-password"}}

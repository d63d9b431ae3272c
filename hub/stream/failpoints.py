"""Named points at which a test may have a process fail; off unless `HUB_FAILPOINT` is set, which no real hub has.

    HUB_FAILPOINT="route:hang-after:100@/tmp/fired deliver.commit:exit"

Each point is `NAME:ACTION[-after:COUNT][@FILE]`, several are separated by spaces. It fires when the name was
reached COUNT times (at once without), counting records where the place knows how many it has in hand:

    hang     stand still: a coroutine waits and its loop goes on, a thread stands
    block    stand still with the whole event loop
    exit     end the process at once, as a kill would
    raise    FailPoint
    wait     stand still until something is written to FILE

Names are those of the stages (translate, route, journal, deliver), where a batch is about to be worked on, and with
`.took` where the agent has it, `.commit` and `.committed` around its transaction; `poll.commit`; and `accept` and
`accepted` around a webhook's way into Kafka.

With FILE, which is made as it fires, it fires once among all processes that have the same one: so a test knows
when it fired, and a process that was restarted for it does not meet it again. Without, it fires each time from
then on.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "HUB_FAILPOINT"

_ASKED = re.compile(
    r"(?P<name>(translate|route|journal|deliver)(\.(took|commit|committed))?|poll\.commit|accept|accepted)"
    r":(?P<action>hang|block|exit|raise|wait)(-after:(?P<count>\d+))?(@(?P<file>\S+))?"
)
_LOOK_EVERY = 0.02


class FailPoint(Exception):
    """What `raise` raises."""


@dataclass(slots=True)
class _Point:
    action: str
    left: int
    file: Path | None

    def fires(self, count: int) -> bool:
        self.left -= count
        if self.left > 0:
            return False
        if self.file is None:
            return True
        try:
            self.file.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def over(self) -> bool:
        """Whether standing still is over."""
        return self.action == "wait" and self.file is not None and self.file.stat().st_size > 0


def parsed(text: str) -> dict[str, _Point]:
    """The points that `text` asks for. Raises ValueError."""
    points = {}
    for one in text.split():
        asked = _ASKED.fullmatch(one)
        if asked is None or (asked["action"] == "wait" and not asked["file"]):
            raise ValueError(f"{VARIABLE}: {one!r} is not NAME:ACTION[-after:COUNT][@FILE]")
        points[asked["name"]] = _Point(
            asked["action"], int(asked["count"] or 1), Path(asked["file"]) if asked["file"] else None
        )
    return points


def set_points(environment: Mapping[str, str] = os.environ) -> None:
    """Set the points that the environment asks for, and no others."""
    _points.clear()
    _points.update(parsed(environment.get(VARIABLE, "")))


def reached(name: str, count: int = 1) -> None:
    """A thread, or code that no coroutine waits for, is at this point."""
    if _points and (point := _fired(name, count)):
        while not point.over():
            time.sleep(_LOOK_EVERY)


async def at(name: str, count: int = 1) -> None:
    """A coroutine is at this point."""
    if _points and (point := _fired(name, count)):
        while not point.over():
            if point.action == "block":
                time.sleep(_LOOK_EVERY)  # noqa: ASYNC251 - the whole loop is to stand
            else:
                await asyncio.sleep(_LOOK_EVERY)


def _fired(name: str, count: int) -> _Point | None:
    point = _points.get(name)
    if point is None or not point.fires(count):
        return None
    sys.stderr.write(f"fail point {name}: {point.action}\n")
    sys.stderr.flush()
    if point.action == "exit":
        os._exit(86)
    if point.action == "raise":
        raise FailPoint(name)
    return point


_points: dict[str, _Point] = {}
set_points()

"""What operators say of instances is heard whatever clocks say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from hub.stream import conditions as module
from hub.stream.conditions import Condition, Conditions
from hub.stream.controls import Control, Controls
from hub.stream.records import Output


def say(controls: Controls, paused: bool, at: float) -> None:
    controls.change("pay", msgspec.json.encode(Control(paused=paused, at=at)))


@pytest.mark.parametrize("at", [5.0, 5_000.0])
async def test_a_resume_ends_a_halt_though_the_clock_of_who_resumes_is_behind(at: float) -> None:
    controls = Controls()
    say(controls, paused=False, at=1_000.0)
    waiting = asyncio.create_task(controls.until_running("pay", since=controls.of("pay")))
    say(controls, paused=False, at=1_000.0)  # the same word, read again
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    say(controls, paused=True, at=at)
    say(controls, paused=False, at=at + 1)
    await asyncio.wait_for(waiting, 5)


@dataclass(frozen=True)
class Part:
    """What a condition is of."""

    key: str
    credential_expires: float = 0


async def test_what_works_again_is_well_though_the_clock_was_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def untold(_: Output) -> None: ...

    part: Any = Part("pay/payments")
    conditions = Conditions(untold)
    for now, works, state in ((9_000.0, False, "failing"), (5.0, True, "well"), (4.0, False, "failing")):
        monkeypatch.setattr(module, "time", lambda now=now: now)
        conditions.good(part, event=False) if works else conditions.bad(part, "HTTP 502")
        assert conditions.of("pay/payments").state == state
    assert Condition().state == "unknown"

"""Fail points: off unless asked for, told by name, once among all processes where a file says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.stream import failpoints


@pytest.fixture(autouse=True)
def off() -> Iterator[None]:
    yield
    failpoints.set_points({})


def set_to(text: str) -> None:
    failpoints.set_points({failpoints.VARIABLE: text})


def test_nothing_happens_unless_asked_for() -> None:
    set_to("")
    failpoints.reached("route", 1_000)


def test_it_fires_when_so_many_records_have_passed_and_no_sooner() -> None:
    set_to("route:raise-after:100 translate:raise")
    failpoints.reached("route", 99)
    failpoints.reached("deliver")
    with pytest.raises(failpoints.FailPoint, match="route"):
        failpoints.reached("route")


def test_with_a_file_it_fires_once_among_all(tmp_path: Path) -> None:
    fired = tmp_path / "fired"
    set_to(f"route:raise@{fired}")
    with pytest.raises(failpoints.FailPoint):
        failpoints.reached("route")
    assert fired.exists()
    failpoints.reached("route")
    set_to(f"route:raise@{fired}")  # as another process would
    failpoints.reached("route")


def test_waiting_ends_when_something_is_written_to_the_file_and_for_good(tmp_path: Path) -> None:
    fired = tmp_path / "fired"
    set_to(f"route:wait@{fired}")
    thread = threading.Thread(target=failpoints.reached, args=("route",))
    thread.start()
    while not fired.exists():
        assert thread.is_alive()
    thread.join(0.1)
    assert thread.is_alive()
    fired.write_text("go on")
    thread.join(5)
    assert not thread.is_alive()
    failpoints.reached("route")


async def test_a_coroutine_that_hangs_lets_its_loop_go_on() -> None:
    set_to("route.took:hang")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(failpoints.at("route.took"), 0.1)


@pytest.mark.parametrize(
    "text", ["route", "route:fly", "route:hang-after:x", "route:wait", "ruote:hang", "route.did:exit"]
)
def test_what_would_never_fire_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=failpoints.VARIABLE):
        set_to(text)

"""Simulators serve over HTTP, from async code and from threads, and have bad days that can be repeated."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import ClassVar

import asyncssh
import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from hub.sdk.clock import Clock, SteppedClock
from hub.sdk.hl7 import framed
from hub.sdk.mllp_simulator import MllpSimulator
from hub.sdk.sftp_simulator import SftpSimulator
from hub.sdk.simulator import HANG, Simulator


class Echo(Simulator):
    bad_days: ClassVar = {"a slow start": {"503": 0.5}}

    def routes(self) -> list[BaseRoute]:
        async def echo(request: Request) -> JSONResponse:
            return JSONResponse({"body": (await request.body()).decode()})

        return [Route("/echo", echo, methods=["POST"])]


async def post(url: str, times: int = 1) -> list[int]:
    async with httpx2.AsyncClient(base_url=url, timeout=2) as client:
        return [(await client.post("/echo", content=b"hello")).status_code for _ in range(times)]


async def test_it_answers_and_remembers_what_it_was_asked() -> None:
    simulator = Echo()
    async with simulator.serve() as url:
        assert await post(url) == [200]
    (request,) = simulator.requests
    assert (request.method, request.path, request.body, request.fault) == ("POST", "/echo", b"hello", "")


def test_it_runs_from_code_that_is_not_async() -> None:
    simulator = Echo()
    with simulator.running() as url:
        assert httpx2.post(f"{url}/echo", content=b"x").json() == {"body": "x"}
    with pytest.raises(httpx2.TransportError):
        httpx2.post(f"{url}/echo", content=b"x")


def test_a_port_that_is_taken_is_said_to_the_caller() -> None:
    with Echo().running() as url, pytest.raises(OSError), Echo().running(int(url.rpartition(":")[2])):
        pass


async def test_bad_days_repeat_from_their_seed_and_end() -> None:
    runs = []
    for _ in range(2):
        simulator = Echo(seed=7)
        simulator.have("a slow start")
        async with simulator.serve() as url:
            runs.append(await post(url, 12))
            simulator.have("a good day")
            assert await post(url) == [200]
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 503}


@pytest.mark.parametrize("fault", ["", HANG])
async def test_it_stops_serving_mllp_without_waiting_for_its_clients(fault: str) -> None:
    simulator = MllpSimulator()
    simulator.faults = {fault: 1.0}
    async with simulator.serve():
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.mllp_port)
        writer.write(framed(b"MSH|^~\\&|a|b|c|d|20260101||ACK|1|P|2.5"))
        assert fault or await reader.read(1)
    with suppress(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_it_stops_serving_sftp_without_waiting_for_its_clients() -> None:
    simulator = SftpSimulator()
    async with simulator.serve():
        client = await asyncssh.connect(
            simulator.sftp_host,
            simulator.sftp_port,
            username="hub",
            password=simulator.password,
            known_hosts=None,
        )
    await asyncio.wait_for(client.wait_closed(), 5)


async def test_work_given_before_it_serves_is_done_once_it_does() -> None:
    simulator, done = Echo(), asyncio.Event()

    async def work() -> None:
        done.set()

    simulator.spawn(work())
    assert not done.is_set()
    async with simulator.serve():
        await asyncio.wait_for(done.wait(), 5)


async def test_a_fast_clock_lets_three_days_pass_in_a_moment() -> None:
    clock = Clock(speed=10_000_000)
    before = clock.now()
    await asyncio.wait_for(clock.sleep(3 * 86_400), 5)
    assert (clock.now() - before).days >= 3


async def test_a_stepped_clock_moves_only_when_told() -> None:
    clock = SteppedClock()
    before = clock.now()
    await clock.sleep(60)
    clock.advance(5)
    assert (clock.now() - before).total_seconds() == 65

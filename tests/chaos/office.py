"""`python -m tests.chaos.office ADDRESS PARTY …`: councils' licensing back offices, each on an SFTP server.

A process of its own, so that what it does stalls neither the generator nor the receivers. It says first where each
office stands, one line of JSON; then it is told, a line each, `PLACE NUMBER ROWS`: the office at that place leaves its
register of that number, with so many licences, and says so by repeating the line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from connectors.premises_licensing.simulator import PremisesSimulator
from hub.sdk.clock import SteppedClock
from tests.chaos.truth import hours_of

_REFERENCE = "PREM-2026-"
_ORGANISATION = "http://statistics.data.gov.uk/id/statistical-geography/"


def references(rows: int) -> list[str]:
    """The licences in a register of so many."""
    return [f"{_REFERENCE}{row:05}" for row in range(1, rows + 1)]


def address_of(reference: str) -> str:
    """Of the premises, by which a receiver sees that nothing was mixed up."""
    return f"{int(reference.removeprefix(_REFERENCE))} Example Street, Birmingham"


async def serve(address: str, parties: list[str]) -> None:
    """Until standard input closes."""
    async with AsyncExitStack() as stack:
        offices = []
        for _ in parties:
            office = PremisesSimulator(SteppedClock(datetime.now(UTC)))
            office.sftp_host = address
            await stack.enter_async_context(office.serve())
            offices.append(office)
        print(
            json.dumps([{"folder": str(one.folder), "config": one.config()} for one in offices]), flush=True
        )
        while line := await asyncio.to_thread(sys.stdin.readline):
            place, number, rows = map(int, line.split())
            await asyncio.to_thread(_leave, offices[place], parties[place], number, rows)
            print(line, end="", flush=True)


def _leave(office: PremisesSimulator, party: str, number: int, rows: int) -> None:
    always = {
        "OrganisationURI": f"{_ORGANISATION}{party}",
        "OrganisationLabel": f"Council {party}",
        "OpeningHours": hours_of(number),
    }
    office.leave(number, (office.row(row)[1] | always for row in range(1, rows + 1)))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2:]))

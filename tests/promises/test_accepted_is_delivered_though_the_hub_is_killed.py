"""Every webhook that was answered 2xx is delivered, though the whole hub is killed in the middle."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from pathlib import Path

import httpx2

from hub.testing.live import LiveHub, live_hub, until

POSTED = 5_000
KILL_AFTER = 2_000


def test_5000_webhooks_and_a_kill(tmp_path: Path, root: Path) -> None:
    with (
        live_hub(tmp_path, root) as hub,
        hub.subscriber("E08000025", types=["licensing.fee.paid"]) as subscriber,
    ):
        accepted = asyncio.run(_post_and_kill(hub))
        assert KILL_AFTER <= len(accepted) <= POSTED
        hub.start()
        late = asyncio.run(post(hub, range(POSTED, POSTED + 50), set()))  # and it takes new ones
        wanted = accepted | late
        heard = lambda: {one.data["payment_id"] for one in subscriber.received}  # noqa: E731
        assert until(lambda: wanted <= heard(), 120), f"{len(wanted - heard())} of {len(wanted)} never came"
        ids = defaultdict(set)
        for one in subscriber.received:
            ids[one.data["payment_id"]].add(one.id)
        assert all(len(same) == 1 for same in ids.values()), "a repeat came under another id"
        assert subscriber.refused == 0, "the secret outlived the hub"


async def _post_and_kill(hub: LiveHub) -> set[str]:
    accepted: set[str] = set()
    posting = asyncio.create_task(post(hub, range(POSTED), accepted))
    while len(accepted) < KILL_AFTER:  # on progress, not on time
        await asyncio.sleep(0.01)
    hub.kill()
    await posting
    return accepted


async def post(hub: LiveHub, numbers: range, accepted: set[str]) -> set[str]:
    """Post one webhook per number, 50 at a time; `accepted` gets what was answered 2xx."""
    pay = hub.simulators["birmingham-pay"]
    url = f"{hub.gateway}/webhooks/birmingham-pay"
    template = json.loads(pay.message(pay.create_payment("PREM/2026/0", 100), "card_payment_captured").body)
    lines = asyncio.Semaphore(50)

    async def one(client: httpx2.AsyncClient, number: int) -> None:
        payment = f"payment{number:019}"
        resource = {**template["resource"], "payment_id": payment, "reference": f"PREM/2026/{number}"}
        message = {**template, "resource_id": payment, "webhook_message_id": payment, "resource": resource}
        body = json.dumps(message).encode()
        async with lines:
            try:
                answer = await client.post(url, content=body, headers=pay.sign(body))
            except httpx2.TransportError:
                return  # the hub is gone: nothing was claimed
        if answer.is_success:
            accepted.add(payment)

    async with httpx2.AsyncClient(timeout=60) as client:  # a machine that is busy is not a hub that is gone
        await asyncio.gather(*(one(client, number) for number in numbers))
    return accepted

"""Where order matters nothing overtakes what failed, though it was Kafka that refused it; all others go on."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from hub.config import HubConfig
from hub.delivery.dead_letter import DeadLetter
from hub.events.kafka import header, to_headers
from hub.registry.codec import decode, encode
from hub.routes import Route, lit
from hub.routes.compiler import compile_route
from hub.routes.engine import Engine
from hub.stream import topics
from hub.stream.app import make_app
from hub.stream.parked import Parked
from hub.stream.reading import read_all
from hub.stream.records import Headers
from hub.stream.redrive import resent
from hub.stream.routing import Routing
from hub.stream.runner import StageRunner
from hub.stream.topics import Topic
from hub.stream.transactions import Transactor
from tests.routes.test_engine import REGISTRY, captured
from tests.stream.at_work import alter
from tests.stream.copying import until

KIND, PARTY, TOPIC = "payments.payment.captured", "E99999999", "events.in-order"
INBOX = topics.inbox(PARTY)
LARGE = 2
"""Pence of the payment whose output is larger than the inbox takes."""


async def test_what_kafka_refuses_is_not_overtaken_and_goes_first_once_it_is_mended(
    kafka: str, tmp_path: Path
) -> None:
    topics.ensure(kafka, [*topics.declare(HubConfig(), [], []), Topic(TOPIC, 1, 1), Topic(INBOX, 1, 1)])
    _limit(kafka, 20_000)
    async with _routing(kafka, tmp_path):
        _send(kafka, [_payment(1, "a"), _payment(LARGE, "a"), _payment(3, "a"), _payment(4, "b")])
        await until(lambda: _came(kafka) == [1, 4])
        _send(kafka, [_payment(5, "a"), _payment(6, "b")])
        await until(lambda: _came(kafka) == [1, 4, 6])
        letters = _letters(kafka)
        assert [reason.partition(" ")[0] for reason, _ in letters] == ["Kafka", "waits", "waits"]
        _limit(kafka, 1 << 20)
        redriven = [message for _, message in letters]
        while redriven:
            known = len(_letters(kafka))
            ends = known + len(_came(kafka)) + len(redriven)
            _send(kafka, [_again(message) for message in reversed(redriven)])
            await until(lambda ends=ends: len(_letters(kafka)) + len(_came(kafka)) == ends)
            redriven = [message for _, message in _letters(kafka)[known:]]
        _send(kafka, [_payment(7, "a")])
        await until(lambda: _came(kafka)[-1:] == [7])
    assert _came(kafka) == [1, 4, 6, LARGE, 3, 5, 7]


@asynccontextmanager
async def _routing(kafka: str, folder: Path) -> AsyncIterator[None]:
    """The route stage with one route, which is ordered: the hub's own agent, runner and transactions."""
    reads = ("amount", "payment_id")
    route = Route(
        "in-order", (KIND,), lit(PARTY), ordered=True, python=_fee, reads=reads, emits="licensing.fee.paid"
    )
    engine = Engine(compile_route(route, REGISTRY), [PARTY], REGISTRY)
    runner = StageRunner(
        Routing(engine, Parked(kafka, engine.ordered)), Transactor(kafka, f"in-order-{uuid.uuid4().hex[:8]}")
    )
    app = make_app(kafka, folder, {runner: [TOPIC]}, f"in-order-{uuid.uuid4().hex[:8]}")
    app.on_positioned = lambda _: asyncio.sleep(0)
    running = asyncio.create_task(runner.run())
    await app.start()
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await app.stop()


def _fee(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "council": PARTY,
        "payment_id": row["payment_id"],
        "licence_reference": os.urandom(30_000).hex() if row["amount"] == LARGE else "small",
        "licence_type": "premises",
        "ledger_code": None,
        "amount": row["amount"],
        "currency": "GBP",
        "paid_at": 0,
    }


def _payment(amount: int, subject: str) -> tuple[bytes, bytes, Headers]:
    event = captured(0, amount=amount)
    headers = [(name, value) for name, value in to_headers(event.envelope) if name != "ce_subject"]
    value = encode(REGISTRY.by_type(KIND), event.data)
    return subject.encode(), value, [*headers, ("ce_subject", subject.encode())]


def _again(message: Any) -> tuple[bytes, bytes, Headers]:
    sent = resent(message, DeadLetter.from_headers(message.headers()))
    return sent.key, sent.value or b"", sent.headers


def _send(kafka: str, records: Sequence[tuple[bytes, bytes, Headers]]) -> None:
    producer = Producer({"bootstrap.servers": kafka, "message.max.bytes": 2 << 20})
    for key, value, headers in records:
        producer.produce(TOPIC, value, key, 0, headers=headers)
    assert producer.flush(30) == 0


def _came(kafka: str) -> list[int]:
    """Pence, in the order of the inbox."""
    return [int(decode(message.value(), REGISTRY)[1]["amount"]) for message in read_all(kafka, INBOX, 0)]


def _letters(kafka: str) -> list[tuple[str, Any]]:
    """Reason and message of each dead letter of these events, oldest first."""
    found = [message for part in range(4) for message in read_all(kafka, topics.DEAD_LETTERS, part)]
    mine = [message for message in found if header(message.headers(), "hub-dl-topic") == TOPIC]
    return [(header(message.headers(), "hub-dl-reason"), message) for message in mine]


def _limit(kafka: str, size: int) -> None:
    """The most that the inbox takes of one record, bytes."""
    alter(kafka, INBOX, {"max.message.bytes": str(size)})

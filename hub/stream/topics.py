"""Every topic of the hub, declared in one place; made and checked at start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import InvalidConfigurationError, KafkaError, TopicAlreadyExistsError

from hub.config import HubConfig
from hub.events.problem import Misconfigured, Problem
from hub.stream.broker.errors import BrokerError
from hub.stream.client import reaching
from hub.stream.records import MAX_BYTES

log = structlog.get_logger()

DEAD_LETTERS = "dead-letters"
JOURNAL = "hub.journal"
CONNECTORS = "hub.connectors"
CONTROLS = "hub.controls"
INSTANCES = "hub.instances"
REGISTERS = "hub.registers"
SUBSCRIPTIONS = "hub.subscriptions"
DELIVERIES = "hub.deliveries"
SEEN = "hub.seen"
JOBS = "hub.jobs"
PARKED = "hub.parked"
WORKERS = "hub.workers"

DEAD_LETTER_DAYS = 365
"""How long dead letters are kept, and the marks of what became of them."""

_DAY_MS = 86_400_000

_OF_THE_MOMENT = {"cleanup.policy": "compact,delete", "retention.ms": str(_DAY_MS), "segment.ms": "600000"}
"""Settings of a topic of which only the newest record per key counts, and that is written all the time."""

# Kafka's own default is half of what we write; and what a producer lets through must not be refused here, where it
# measures the record with its batch around it.
_LARGEST, _ROOMY = "max.message.bytes", MAX_BYTES + 4096

# What a clock that is far behind writes would be older than it is kept for, and gone at Kafka's next look: nothing is
# taken that is half as old. Of a clock that is ahead Kafka takes nothing by itself. Brokers before 3.6 do not know
# the setting, and do without.
_OLDEST = "message.timestamp.before.max.ms"

_ANSWERS_IN_S = 30


def raw(connector: str) -> str:
    """Verbatim bytes from one connector."""
    return f"raw.{connector}"


def events(domain: str) -> str:
    """Canonical events of one domain, the first word of the event type."""
    return f"events.{domain}"


def inbox(party: str) -> str:
    """All that was routed to one party."""
    return f"inbox.{party}"


def sandbox(name: str, partitions: int, replication: int) -> Topic:
    """Where a replay goes to be looked at: no subscription and no sink reads it. Kept for a week."""
    settings = {"cleanup.policy": "delete", "retention.ms": str(7 * _DAY_MS)}
    return Topic(f"sandbox.{name}", partitions, replication, settings)


def domain_of(event_type: str) -> str:
    """The domain of an event type."""
    return event_type.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as declared: name, partitions, and the settings that we insist on."""

    name: str
    partitions: int
    replication: int
    settings: dict[str, str] = field(default_factory=dict)


def declare(config: HubConfig, connectors: Iterable[str], domains: Iterable[str]) -> list[Topic]:
    """All topics for this configuration."""
    kafka = config.kafka

    def kept(name: str, days: int) -> Topic:
        settings = {"cleanup.policy": "delete", **lasting(days)}
        return Topic(name, kafka.partitions, kafka.replication, settings)

    def lasting(days: int) -> dict[str, str]:
        return {"retention.ms": str(days * _DAY_MS)}

    def compacted(name: str, partitions: int, **settings: str) -> Topic:
        return Topic(name, partitions, kafka.replication, {"cleanup.policy": "compact", **settings})

    return [
        *(kept(raw(name), kafka.raw_retention_days) for name in connectors),
        *(kept(events(name), kafka.event_retention_days) for name in domains),
        *(kept(inbox(party), kafka.event_retention_days) for party in config.parties),
        kept(DEAD_LETTERS, DEAD_LETTER_DAYS),
        kept(JOURNAL, kafka.event_retention_days),
        kept(SEEN, config.dedup_window_days),
        compacted(CONNECTORS, kafka.partitions),
        compacted(CONTROLS, 1),
        compacted(INSTANCES, 1),
        # A copy of a register that is a few days old must still hear of what was removed.
        compacted(REGISTERS, kafka.partitions, **{"delete.retention.ms": str(7 * _DAY_MS)}),
        compacted(DELIVERIES, kafka.partitions),
        compacted(PARKED, kafka.partitions),
        compacted(SUBSCRIPTIONS, 1),
        Topic(WORKERS, 1, kafka.replication, _OF_THE_MOMENT),
        Topic(JOBS, 1, kafka.replication, {"cleanup.policy": "compact,delete", **lasting(DEAD_LETTER_DAYS)}),
    ]


def ensure(servers: str, topics: Sequence[Topic]) -> None:
    """Make what is missing, bring the settings of what is there in line, and refuse a wrong partition count.

    Raises Misconfigured: partitions cannot be changed without breaking the order per subject, and Kafka may not let
    us make a topic or change a setting; BrokerError if it does not answer. Replicas stay as they are, and so does how
    many of them must have a record.
    """
    with _admin(servers) as admin:
        existing = {found["name"]: len(found["partitions"]) for found in admin.describe_topics()}
        wrong = [
            Problem(
                "hub.yaml",
                0,
                f"topic {topic.name} has {existing[topic.name]} partitions, kafka.partitions asks for"
                f" {topic.partitions}",
                "Set kafka.partitions to what is there: events of one subject would part ways otherwise",
            )
            for topic in topics
            if existing.get(topic.name, topic.partitions) != topic.partitions
        ]
        if wrong:
            raise Misconfigured(wrong)
        missing = [topic for topic in topics if topic.name not in existing]
        if missing:
            _create(admin, missing)
    there = {topic.name: topic for topic in topics if topic.name in existing}
    if there:
        _bring_in_line(servers, there)


@contextmanager
def _admin(servers: str) -> Iterator[KafkaAdminClient]:
    try:
        with closing(KafkaAdminClient(bootstrap_servers=servers.split(","), client_id="hub-topics")) as admin:
            yield admin
    except KafkaError as error:
        told = str(error) or type(error).__name__
        raise BrokerError(
            f"Kafka does not see to the topics ({told})", "Try again once it is well"
        ) from error


def _bring_in_line(servers: str, topics: Mapping[str, Topic]) -> None:
    """Alter those of the declared settings that differ. Raises Misconfigured with every topic that Kafka refuses."""
    admin = AdminClient(reaching(servers))
    found, refused = _asked(
        admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in topics])
    )
    wanted = {
        name: {
            setting: value
            for setting, value in _declared_settings(topics[name], int(settings[_LARGEST].value)).items()
            if setting in settings and settings[setting].value != value
        }
        for name, settings in found.items()
    }
    altering = [_alteration(name, settings) for name, settings in wanted.items() if settings]
    if altering:
        altered, unaltered = _asked(admin.incremental_alter_configs(altering))
        refused |= unaltered
        for name in altered:
            for setting, value in wanted[name].items():
                log.info(
                    "topic-altered", topic=name, setting=setting, was=found[name][setting].value, now=value
                )
    if refused:
        raise Misconfigured(
            [
                Problem(
                    "hub.yaml",
                    0,
                    f"topic {name} cannot be brought in line: {reason}",
                    "Allow the hub DescribeConfigs and AlterConfigs on its topics, or set it there",
                )
                for name, reason in refused.items()
            ]
        )


def _declared_settings(topic: Topic, largest: int = 0) -> dict[str, str]:
    """What a topic is to have, where so large a record is taken already."""
    settings = topic.settings | {_LARGEST: str(max(largest, _ROOMY))}
    kept = settings.get("retention.ms")
    if kept and settings.get("cleanup.policy", "delete") == "delete":
        settings[_OLDEST] = str(int(kept) // 2)
    return settings


def _alteration(topic: str, settings: Mapping[str, str]) -> ConfigResource:
    entries = [
        ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        for setting, value in settings.items()
    ]
    return ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)


def _asked(futures: Mapping[ConfigResource, Future[Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """What was answered, and why it was not, by topic."""
    answers, refused = {}, {}
    for resource, future in futures.items():
        try:
            answers[resource.name] = future.result(_ANSWERS_IN_S)
        except KafkaException as error:
            refused[resource.name] = error.args[0].str().rstrip(".")
    return answers, refused


def _create(admin: KafkaAdminClient, missing: Sequence[Topic], without: str = "") -> None:
    made = admin.create_topics([_declared(topic, without) for topic in missing], raise_errors=False)
    for answer in made["topics"]:
        if answer["error_code"] == InvalidConfigurationError.errno and not without:
            _create(admin, [topic for topic in missing if topic.name == answer["name"]], _OLDEST)
        # Another worker may have been quicker, which is as well.
        elif answer["error_code"] not in (0, TopicAlreadyExistsError.errno):
            told = f"topic {answer['name']} could not be made: {answer['error_message']}".rstrip(".")
            remedy = (
                "Set kafka.replication to no more than there are brokers, and allow the hub to make topics"
            )
            raise Misconfigured([Problem("hub.yaml", 0, told, remedy)])


def _declared(topic: Topic, without: str) -> NewTopic:
    settings = _declared_settings(topic) | {"min.insync.replicas": str(2 if topic.replication >= 3 else 1)}
    settings.pop(without, None)
    return NewTopic(
        topic.name,
        num_partitions=topic.partitions,
        replication_factor=topic.replication,
        topic_configs=settings,
    )

"""Topics are made once, as declared in one place, and a change that would break the order is refused."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from hub.config import HubConfig
from hub.events.problem import Misconfigured
from hub.stream import topics
from hub.stream.records import MAX_BYTES


def config(partitions: int) -> HubConfig:
    return HubConfig.model_validate(
        {"parties": {"T01": {"name": "Test"}}, "kafka": {"partitions": partitions, "raw_retention_days": 3}}
    )


def test_topics_are_made_as_declared_and_making_them_again_changes_nothing(kafka: str) -> None:
    declared = topics.declare(config(3), ["topics_test"], ["topics-test"])
    declared = [each for each in declared if "test" in each.name or each.name == "inbox.T01"]
    for _ in range(2):
        topics.ensure(kafka, declared)
    client = AdminClient({"bootstrap.servers": kafka})
    found = client.list_topics(timeout=10).topics
    assert {each.name: len(found[each.name].partitions) for each in declared} == {
        "raw.topics_test": 3,
        "events.topics-test": 3,
        "inbox.T01": 3,
    }
    resource = ConfigResource(ResourceType.TOPIC, "raw.topics_test")
    settings = client.describe_configs([resource])[resource].result(10)
    assert settings["retention.ms"].value == str(3 * 86_400_000)
    assert int(settings["max.message.bytes"].value) > MAX_BYTES


def test_another_number_of_partitions_is_refused_by_topic_name(kafka: str) -> None:
    topics.ensure(kafka, [topics.Topic("topics-fixed", 2, 1)])
    with pytest.raises(Misconfigured, match=r"topics-fixed has 2 partitions, kafka.partitions asks for 4"):
        topics.ensure(kafka, [topics.Topic("topics-fixed", 4, 1)])

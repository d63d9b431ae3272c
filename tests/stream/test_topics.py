"""Topics are as declared in one place, whenever they were made, and a change that would break the order is refused."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from structlog.testing import capture_logs

from hub.config import HubConfig
from hub.events.problem import Misconfigured
from hub.stream import topics
from hub.stream.records import MAX_BYTES
from tests.stream.at_work import alter

DAY_MS = 86_400_000


def config(partitions: int) -> HubConfig:
    return HubConfig.model_validate(
        {"parties": {"T01": {"name": "Test"}}, "kafka": {"partitions": partitions, "raw_retention_days": 3}}
    )


def test_topics_are_made_as_declared_and_making_them_again_changes_nothing(kafka: str) -> None:
    declared = topics.declare(config(3), ["topics_test"], ["topics-test"])
    declared = [each for each in declared if "test" in each.name or each.name == "inbox.T01"]
    with capture_logs() as told:
        for _ in range(2):
            topics.ensure(kafka, declared)
    assert not told
    client = AdminClient({"bootstrap.servers": kafka})
    found = client.list_topics(timeout=30).topics
    assert {each.name: len(found[each.name].partitions) for each in declared} == {
        "raw.topics_test": 3,
        "events.topics-test": 3,
        "inbox.T01": 3,
    }
    settings = settings_of(kafka, "raw.topics_test")
    assert settings["retention.ms"] == str(3 * DAY_MS)
    assert int(settings["max.message.bytes"]) > MAX_BYTES
    assert settings["message.timestamp.before.max.ms"] == str(3 * DAY_MS // 2)


def test_what_hub_yaml_says_anew_holds_for_topics_that_are_there(kafka: str) -> None:
    for days in (3, 5):
        kept = {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS)}
        with capture_logs() as told:
            topics.ensure(
                kafka, [topics.Topic("topics-kept", 1, 1, kept), topics.Topic("topics-as-they-are", 1, 1)]
            )
    assert settings_of(kafka, "topics-kept")["retention.ms"] == str(5 * DAY_MS)
    assert [(one["topic"], one["setting"], one["was"], one["now"]) for one in told] == [
        ("topics-kept", "retention.ms", str(3 * DAY_MS), str(5 * DAY_MS)),
        ("topics-kept", "message.timestamp.before.max.ms", str(3 * DAY_MS // 2), str(5 * DAY_MS // 2)),
    ]


def test_a_kafka_too_old_to_look_at_clocks_that_are_behind_is_taken_as_it_is(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "_OLDEST", "message.timestamp.that.it.does.not.know")
    kept = topics.Topic("topics-older", 1, 1, {"retention.ms": str(3 * DAY_MS)})
    for _ in range(2):
        topics.ensure(kafka, [kept])
    assert settings_of(kafka, "topics-older")["retention.ms"] == str(3 * DAY_MS)


def test_settings_that_the_hub_does_not_declare_stay_as_their_operator_set_them(kafka: str) -> None:
    kept = topics.Topic("topics-operated", 1, 1, {"retention.ms": str(3 * DAY_MS)})
    topics.ensure(kafka, [kept])
    theirs = {"min.insync.replicas": "2", "segment.ms": "700000", "max.message.bytes": str(2 * MAX_BYTES)}
    alter(kafka, "topics-operated", {"retention.ms": "1000", **theirs})
    topics.ensure(kafka, [kept])
    found = settings_of(kafka, "topics-operated")
    assert {name: found[name] for name in theirs} == theirs
    assert found["retention.ms"] == str(3 * DAY_MS)


def test_every_topic_that_kafka_does_not_let_the_hub_alter_is_told_with_the_remedy(kafka: str) -> None:
    names = ["topics-refused-1", "topics-refused-2"]
    topics.ensure(kafka, [topics.Topic(name, 1, 1) for name in names])
    with pytest.raises(Misconfigured) as caught:
        topics.ensure(kafka, [topics.Topic(name, 1, 1, {"retention.ms": "-5"}) for name in names])
    assert [problem.message.partition(": ")[0] for problem in caught.value.problems] == [
        f"topic {name} cannot be brought in line" for name in names
    ]
    assert "AlterConfigs" in caught.value.problems[0].remedy


def test_another_number_of_partitions_is_refused_by_topic_name(kafka: str) -> None:
    topics.ensure(kafka, [topics.Topic("topics-fixed", 2, 1)])
    with pytest.raises(Misconfigured, match=r"topics-fixed has 2 partitions, kafka.partitions asks for 4"):
        topics.ensure(kafka, [topics.Topic("topics-fixed", 4, 1)])


def test_one_that_kafka_does_not_make_is_told_with_the_remedy(kafka: str) -> None:
    with pytest.raises(Misconfigured, match=r"topics-many could not be made.*\. Set kafka.replication"):
        topics.ensure(kafka, [topics.Topic("topics-many", 1, 99)])


# -- for these tests ---------------------------------------------------------------------------------------------


def settings_of(kafka: str, topic: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    client = AdminClient({"bootstrap.servers": kafka})
    found = client.describe_configs([resource])[resource].result(30)
    return {name: entry.value for name, entry in found.items()}

"""Requests to Kafka whose answers are lost, late or never come; connections reset or half open. See `proxy`."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos.fault import Fault, Laboratory, fault


class _Ruled(Fault):
    """A rule in force until it has struck `times`, or as long as any fault lasts where that is 0."""

    action = "lose-answer"
    apis: tuple[str, ...] = ()
    times = 3
    seconds = 0.0
    kind = "workers"

    async def begin(self, lab: Laboratory) -> None:
        """Put it in force, for the processes of a kind alone where they can be told apart."""
        self.rule = lab.stage.proxy.arm(
            self.action, *self.apis, peers=self.peers(lab), times=self.times, seconds=self.seconds
        )

    def peers(self, lab: Laboratory) -> Sequence[str]:
        """Whom it is to strike."""
        stage = lab.stage
        return stage.peers(*(stage.workers if self.kind == "workers" else stage.gateways))

    async def last(self, lab: Laboratory) -> None:
        """Until it has struck."""
        if not self.times:
            await super().last(lab)
        elif not await lab.stage.proxy.strikes(self.rule, self.times, 20.0):
            struck = lab.stage.proxy.struck.get(self.rule, 0)
            if struck:
                lab.notes.append(f"{self.name} struck {struck} times only")
            else:
                lab.missed.append(self.name)

    async def end(self, lab: Laboratory) -> None:
        """Take it away."""
        lab.stage.proxy.disarm(self.rule)


@fault("produce-answer-lost", "gateways", "proxy")
class ProduceAnswerLost(_Ruled):
    """A gateway's records are written, and the word of it is lost with the connection."""

    apis = ("Produce",)
    kind = "gateways"


@fault("produce-answer-never", "gateways", "proxy")
class ProduceAnswerNever(_Ruled):
    """A gateway's records are written, and the word of it never comes."""

    action = "swallow-answer"
    apis = ("Produce",)
    kind = "gateways"
    times = 1


@fault("transactional-produce-answer-lost", "workers", "proxy")
class TransactionalProduceAnswerLost(_Ruled):
    """A worker's outputs are written in their transaction, and the word of it is lost."""

    apis = ("Produce",)


@fault("commit-answer-lost", "workers", "proxy")
class CommitAnswerLost(_Ruled):
    """A transaction is committed (EndTxn), and the word of it is lost with the connection."""

    apis = ("EndTxn",)


@fault("commit-answer-never", "workers", "proxy")
class CommitAnswerNever(_Ruled):
    """A transaction is committed (EndTxn), and the word of it never comes."""

    action = "swallow-answer"
    apis = ("EndTxn",)
    times = 1


@fault("commit-request-lost", "workers", "proxy")
class CommitRequestLost(_Ruled):
    """EndTxn never arrives."""

    action = "lose-request"
    apis = ("EndTxn",)


@fault("commit-answer-late", "workers", "proxy")
class CommitAnswerLate(_Ruled):
    """Answers to EndTxn come later than a worker waits for them."""

    action = "delay"
    apis = ("EndTxn",)
    seconds = 12.0
    times = 1
    most = 14.0


@fault("offsets-answer-lost", "workers", "proxy")
class OffsetsAnswerLost(_Ruled):
    """Positions are in the transaction (TxnOffsetCommit), and the word of it is lost."""

    apis = ("TxnOffsetCommit",)


@fault("add-offsets-answer-lost", "workers", "proxy")
class AddOffsetsAnswerLost(_Ruled):
    """The group is in the transaction (AddOffsetsToTxn), and the word of it is lost."""

    apis = ("AddOffsetsToTxn",)


@fault("heartbeat-answers-lost", "workers", "proxy")
class HeartbeatAnswersLost(_Ruled):
    """Workers' heartbeats arrive, and their answers, among them that the group is regrouping, are lost."""

    apis = ("Heartbeat",)
    times = 6


@fault("kafka-slow", "proxy")
class KafkaSlow(_Ruled):
    """Every answer of Kafka comes a tenth of a second later."""

    action = "delay"
    apis = ("Produce", "EndTxn", "TxnOffsetCommit", "AddOffsetsToTxn", "AddPartitionsToTxn", "Heartbeat")
    times = 0
    seconds = 0.1
    least, most = 4.0, 8.0

    def peers(self, lab: Laboratory) -> Sequence[str]:
        """Everybody."""
        return lab.stage.clients


@fault("connections-reset", "proxy")
class ConnectionsReset(Fault):
    """Every connection to Kafka is reset, five times in a row."""

    async def begin(self, lab: Laboratory) -> None:
        """After every fifty messages."""
        for _ in range(5):
            lab.stage.proxy.reset(lab.stage.clients)
            await Fault.last(_Short(self.random), lab)


class _Short(Fault):
    name = "short"
    events, most = 50, 2.0


@fault("half-open", "proxy")
class HalfOpen(_Ruled):
    """Every connection to Kafka goes silent without ending; new ones are well."""

    action = "half-open"
    times = 0
    least, most = 6.0, 12.0

    def peers(self, lab: Laboratory) -> Sequence[str]:
        """Everybody."""
        return lab.stage.clients

"""What Kafka's answers to a transaction's requests mean for what comes next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kafka import errors

_NOT_US_ANY_MORE = (
    errors.IllegalGenerationError,
    errors.UnknownMemberIdError,
    errors.RebalanceInProgressError,
    errors.FencedInstanceIdError,
)

BUSY = (errors.ConcurrentTransactionsError, errors.CoordinatorLoadInProgressError)
"""Not now: nothing has happened."""

ELSEWHERE = (errors.NotCoordinatorError, errors.CoordinatorNotAvailableError)
"""Ask another: nothing has happened."""

_NEVER = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidRecordError,
)
"""What is wrong with a record, and not with the world. Rights, missing topics and our clock are: those get mended."""


class Refused(Exception):
    """Kafka will never take one of the outputs; nothing is written, nothing moved. `kind` is why, in its words."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Outrun(Exception):
    """The group has moved on without us; nothing is written, nothing moved."""


def codes_of(answer: Any) -> list[int]:
    """Kafka's verdicts in an answer of the transaction's coordinator."""
    if hasattr(answer, "results_by_topic_v3_and_below"):
        topics = answer.results_by_topic_v3_and_below
        return [one.partition_error_code for topic in topics for one in topic.results_by_partition]
    return [answer.error_code]


def check(codes: Iterable[int]) -> None:
    """Raises what the first code that is not 0 means."""
    for code in codes:
        if code:
            error = errors.for_code(code)
            if issubclass(error, _NOT_US_ANY_MORE):
                raise Outrun(error.__name__)
            if issubclass(error, _NEVER):
                raise Refused(error.__name__)
            raise error

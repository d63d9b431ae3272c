"""Is what a route made of a case's event what the case expects? Field by field, if not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hub.events.envelope import Event
from hub.events.problem import Problem
from hub.registry.codec import CodecError
from hub.registry.schemas import Registry
from hub.routes.case_files import Case
from hub.routes.cases import Output, Refusal
from hub.routes.values import Difference, differences, through

MEND = "Mend the route, or the case if the change is meant"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong in a case, where, and, if it is about an output, field by field."""

    problem: Problem
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Came:
    """What the route made of a case's event: outputs as the contract reads them, or why it was refused."""

    given: Event
    outputs: tuple[Event, ...]
    refused: str = ""


def judged(case: Case, came: Came, registry: Registry) -> Iterable[Finding]:
    """What is not as the case expects."""
    match case.expect:
        case None:
            remedy = "Run `hub route test --write`, and read what it writes"
            yield Finding(case.problem("nobody has said what is expected", remedy))
        case Refusal(refused=reason):
            if reason not in came.refused:
                yield _fails(case, f"it should be refused for {reason!r}, but {told(came)}")
        case _ if came.refused:
            yield _fails(case, told(came))
        case str():
            if came.outputs:
                yield _fails(case, f"nothing should come, but {told(came)}")
        case outputs:
            yield from _outputs(case, outputs, came, registry)


def _outputs(case: Case, outputs: Sequence[Output], came: Came, registry: Registry) -> Iterable[Finding]:
    if len(outputs) != len(came.outputs):
        yield _fails(case, f"{_count(len(outputs))} should come, but {told(came)}")
        return
    for index, output in enumerate(outputs):
        try:
            found = tuple(_compared(output, came.given, came.outputs[index], registry))
        except CodecError as error:
            message = f"expect.{index}.data is no {output.type}: {error}"
            place: tuple[str | int, ...] = ("expect", index, "data", *error.field.split("."))
            yield Finding(case.problem(message, "Expect what its contract takes", *place))
            continue
        if found:
            place = ("expect", index, *found[0].field.split("."))
            message = f"another output than expected, in {', '.join(one.field for one in found)}"
            yield Finding(case.problem(message, MEND, *place), found)


def _compared(output: Output, given: Event, event: Event, registry: Registry) -> Iterable[Difference]:
    """Raises CodecError for expected data that its contract does not take."""
    envelope = event.envelope
    yield from differences("to", output.to, envelope.party)
    yield from differences("subject", output.subject, envelope.subject)
    yield from differences("type", output.type, envelope.type)
    if output.type == envelope.type:
        schema = registry.by_type(envelope.type)
        data = given.data if isinstance(output.data, str) else through(schema, registry, output.data)
        yield from differences("data", data, event.data)


def _fails(case: Case, message: str) -> Finding:
    return Finding(case.problem(message, MEND, "expect"))


def told(came: Came) -> str:
    """What came, in a few words."""
    if came.refused:
        return f"it is refused: {came.refused}"
    each = ", ".join(f"{event.envelope.type} to {event.envelope.party}" for event in came.outputs)
    return f"{_count(len(came.outputs))} came: {each}" if each else "nothing came"


def _count(number: int) -> str:
    return f"{number} output" if number == 1 else f"{number} outputs"

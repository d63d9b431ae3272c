"""How the registry says what is wrong with a contract."""

from __future__ import annotations

from hub.events.problem import Problem


def problem(file: str, field: str, what: str, remedy: str, line: int = 0) -> Problem:
    """A finding about a field of a contract; `field` is empty when the whole file is meant."""
    return Problem(file, line, f"field {field}: {what}" if field else what, remedy)


class SchemaNotFoundError(LookupError):
    """No schema of that id or event type is known."""

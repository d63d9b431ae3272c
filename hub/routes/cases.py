"""The shape of golden cases: per route, what is given and what is expected."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
)

AS_GIVEN = "as given"
NOTHING = "nothing"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Given(_Part):
    """The event that comes in: what the file `like` has, and over it what stands here, `data` field by field."""

    like: str = ""
    type: str = ""
    subject: str = ""
    party: str = ""
    time: AwareDatetime | None = None
    source: str = "/cases"
    data: dict[str, Any] = Field(default_factory=dict)


class Output(_Part):
    """One event that goes out. Fields at their contract's default may be left out of `data`."""

    to: str
    subject: str
    type: str
    data: dict[str, Any] | Literal["as given"]


class Refusal(_Part):
    """That the route sets the event aside; `refused` is a part of the reason."""

    refused: str = Field(min_length=1)


TAGS = {str: "text", dict: "refusal", list: "outputs"}
Expected = Annotated[
    Annotated[Literal["nothing"], Tag("text")]
    | Annotated[Refusal, Tag("refusal")]
    | Annotated[list[Output], Field(min_length=1), Tag("outputs")],
    Discriminator(
        lambda value: TAGS.get(type(value)),
        custom_error_type="expect",
        custom_error_message="write `nothing`, `refused: REASON`, or a list of outputs",
    ),
]


class Written(_Part):
    """One case as it stands in the file; without `expect`, nobody has said yet what is right."""

    case: str = Field(min_length=1)
    given: Given
    expect: Expected | None = None


FILE = TypeAdapter(dict[str, list[Written]])

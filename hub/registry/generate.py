"""Pydantic models from the contracts: `hub/events/generated/<domain>.py`, one class per event type.

The text is what `ruff format` would leave, so that neither tool undoes the other; a test holds that.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub.events.problem import Problem
from hub.registry.contract import TIME, record_name
from hub.registry.problems import problem
from hub.registry.schemas import Registry, Schema

WIDTH = 110
TARGET = Path(__file__).parents[1] / "events" / "generated"
REMEDY = "Run `python -m hub.registry --write`; what is meant to differ belongs into the contract."

_TYPES = {
    "string": "str",
    "int": "Int",
    "long": "Long",
    "float": "float",
    "double": "float",
    "boolean": "bool",
    "bytes": "bytes",
}
_MADE = "Generated from schemas/{} by `python -m hub.registry --write`: change the contracts, not this."


def files(registry: Registry) -> dict[str, str]:
    """File names under the generated package, and what each must hold."""
    domains: dict[str, list[Schema]] = {}
    for type in registry.types():
        domains.setdefault(type.split(".")[0], []).append(registry.by_type(type))
    made = {f"{_module(domain)}.py": _domain(domain, schemas) for domain, schemas in domains.items()}
    made["__init__.py"] = _index(registry)
    return made


def check(registry: Registry, target: Path = TARGET) -> list[Problem]:
    """One problem for each generated file that is not what the contracts give, or should not be there."""
    wanted = files(registry)
    found = {file.name: file.read_text("utf-8") for file in target.glob("*.py")}
    return [
        problem(f"hub/events/generated/{name}", "", "is not what the contracts give", REMEDY)
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]


def write(registry: Registry, target: Path = TARGET) -> list[str]:
    """Make the generated files what the contracts give; the names of those that changed are returned."""
    wanted = files(registry)
    changed = [each.file.rpartition("/")[2] for each in check(registry, target)]
    target.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in wanted:
            (target / name).write_text(wanted[name], "utf-8")
        else:
            (target / name).unlink()
    return changed


def _domain(domain: str, schemas: list[Schema]) -> str:
    classes = [text for schema in schemas for text in _classes(schema)]
    names = {
        word
        for word in ("EventData", "Int", "Long", "Record", "Timestamp")
        if any(f"{word}]" in text or f" {word} " in text or f"({word})" in text for text in classes)
    }
    typing = ["ClassVar", "Literal"] if any("Literal[" in text for text in classes) else ["ClassVar"]
    head = [
        f'"""{_MADE.format(f"{domain}/")}"""',
        "",
        f"from typing import {', '.join(typing)}",
        "",
        "from pydantic import Field",
        "",
        f"from hub.events.model import {', '.join(sorted(names))}",
    ]
    return "\n".join(head) + "\n\n\n" + "\n\n\n".join(classes) + "\n"


def _index(registry: Registry) -> str:
    rows = []
    for type in registry.types():
        rows.append(f'    "{type}": ("{_module(type.split(".")[0])}", "{record_name(type)[1]}"),')
    body = "\n".join(rows)
    return f'''"""{_MADE.format("")}"""

from importlib import import_module
from typing import cast

from hub.events.model import EventData

MODELS = {{
{body}
}}


def model_for(event_type: str) -> type[EventData]:
    """The model of an event type, imported when first asked for. Raises `KeyError`."""
    module, name = MODELS[event_type]
    return cast("type[EventData]", getattr(import_module(f"{{__name__}}.{{module}}"), name))
'''


def _module(domain: str) -> str:
    return domain.replace("-", "_")


def _classes(schema: Schema) -> Iterator[str]:
    yield from _nested(schema.definition)
    lines = [f'    type: ClassVar[str] = "{schema.type}"', ""]
    yield _class(schema.definition, "EventData", lines)


def _nested(definition: dict[str, Any]) -> Iterator[str]:
    """The records inside a record, innermost first, so that each is known before it is used."""
    for field in definition["fields"]:
        inner = field["type"]
        while not _is_record(inner) and (step := _step(inner)) is not None:
            inner = step
        if _is_record(inner):
            yield from _nested(inner)
            yield _class(inner, "Record", [])


def _is_record(type: Any) -> bool:
    return isinstance(type, dict) and type["type"] == "record"


def _step(type: Any) -> Any:
    if isinstance(type, list):
        return type[1]
    return (type.get("items") or type.get("values")) if isinstance(type, dict) else None


def _class(definition: dict[str, Any], base: str, lines: list[str]) -> str:
    head = [f"class {definition['name']}({base}):", *_docstring(definition["doc"]), ""]
    return "\n".join([*head, *lines, *(line for field in definition["fields"] for line in _field(field))])


def _docstring(doc: str) -> list[str]:
    if len(doc) + 10 <= WIDTH:
        return [f'    """{doc}"""']
    lines = textwrap.wrap(f'"""{doc}', WIDTH - 4, break_long_words=False, break_on_hyphens=False)
    return [*(f"    {line}" for line in lines), '    """']


def _field(field: dict[str, Any]) -> list[str]:
    lines = [f"    {field['name']}: {_annotation(field['type'])} = Field("]
    if "default" in field:
        empty = {"{}": "default_factory=dict", "[]": "default_factory=list"}
        plain = f"default={field['default']!r}"
        lines.append(f"        {empty.get(json.dumps(field['default']), plain)},")
    lines += _description(field["doc"])
    lines.append(f'        json_schema_extra={{"classification": "{field["classification"]}"}},')
    return [*lines, "    )"]


def _description(doc: str) -> list[str]:
    whole = f"        description={_quoted(doc)},"
    if len(whole) <= WIDTH:
        return [whole]
    joined = len(f"            {_quoted(doc)}") <= WIDTH  # ruff makes one text of several that fit on a line
    wrapped = textwrap.wrap(doc, WIDTH - 18, break_long_words=False, break_on_hyphens=False)
    parts = [doc] if joined else wrapped
    spaced = [*(f"{part} " for part in parts[:-1]), parts[-1]]
    return ["        description=(", *(f"            {_quoted(part)}" for part in spaced), "        ),"]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _annotation(type: Any) -> str:
    if isinstance(type, list):
        return f"{_annotation(type[1])} | None"
    if type == TIME:
        return "Timestamp"
    if isinstance(type, str):
        return _TYPES[type]
    if type["type"] == "array":
        return f"list[{_annotation(type['items'])}]"
    if type["type"] == "map":
        return f"dict[str, {_annotation(type['values'])}]"
    if type["type"] == "enum":
        return f"Literal[{', '.join(_quoted(symbol) for symbol in type['symbols'])}]"
    if type["type"] == "record":
        return str(type["name"])
    return _annotation(type["type"])

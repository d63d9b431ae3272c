"""`python -m hub.cli.reference`: the reference pages, written from the models and the commands themselves."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.main import get_command

from hub.cli.main import app
from hub.config import HubConfig
from hub.sdk.catalogue import ConnectorKind, discover

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
_NOTE = "<!-- Written by `python -m hub.cli.reference --write`; a test compares it with the code. -->\n"
_LIMITS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}


def pages(root: Path = ROOT) -> dict[str, str]:
    """Every reference page, by file name. Raises ValueError for a connector that does not load."""
    return {
        "commands.md": "\n".join([_NOTE, *_commands()]),
        "configuration.md": "\n".join([_NOTE, *_configuration(discover(root / "connectors").values())]),
    }


def stale(folder: Path = FOLDER) -> list[str]:
    """The names of pages that are not what the code says."""
    return [
        name
        for name, text in pages().items()
        if not (folder / name).is_file() or (folder / name).read_text() != text
    ]


# --- commands -------------------------------------------------------------------------------------------


def commands() -> dict[str, Any]:
    """Every command as it is typed (`hub events trace`) with what typer makes of it, hidden ones included."""
    return dict(_walk("hub", get_command(app)))


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _walk(f"{path} {name}", inner)


def _commands() -> Iterator[str]:
    yield "# Commands\n"
    yield "As `hub --help` tells them. Defaults are in brackets; every command also has `--help`.\n"
    for path, command in commands().items():
        if path == "hub" or command.hidden:
            continue
        group = hasattr(command, "commands")
        yield f"{'##' if group or path.count(' ') == 1 else '###'} `{path}`\n"
        yield f"{_sentence(command.help)}\n"
        if group:
            continue
        rows = [_parameter(one) for one in command.params if not one.hidden]
        rows = [row for row in rows if row[0] != "`--help`"]
        yield from table(["argument or option", "meaning"], rows)


def _parameter(parameter: Any) -> list[str]:
    argument = parameter.param_type_name == "argument"
    name = f"`{parameter.name}`" if argument else " ".join(f"`{name}`" for name in parameter.opts)
    told = [_sentence(parameter.help)]
    if parameter.required:
        told.append("Required.")
    elif parameter.default not in (None, False, "", [], ()):
        told.append(f"[`{parameter.default}`]")
    if parameter.multiple or parameter.nargs == -1:
        told.append("May be repeated.")
    if parameter.envvar:
        told.append(f"Environment: `{parameter.envvar}`.")
    return [name, " ".join(part for part in told if part)]


def _sentence(text: str | None) -> str:
    """One line that ends like a sentence."""
    line = " ".join((text or "").split())
    return line if not line or line[-1] in ".!?:…" else f"{line}."


# --- configuration --------------------------------------------------------------------------------------


def _configuration(kinds: Iterable[ConnectorKind]) -> Iterator[str]:
    schema = HubConfig.model_json_schema()
    sections = schema["$defs"]
    yield "# Configuration\n"
    yield "All that `hub.yaml` takes. How secrets are given, and why, is in [Configuration](../configuration.md).\n"
    yield "## Top level\n"
    yield from fields(schema, sections)
    for key, model in _nested(schema):
        yield f"## `{key}`\n"
        yield f"{sections[model].get('description', '')}\n"
        yield from fields(sections[model], sections)
    for kind in kinds:
        for config in dict.fromkeys(cls.config_model for cls in kind.classes):
            yield f"## `config` of the connector `{kind.name}`\n"
            yield f"{' '.join((inspect.getdoc(config) or '').split())}\n"
            yield from fields(config.model_json_schema(), {})


def _nested(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Sections below the top level: how they are reached, and the model."""
    for name, told in schema["properties"].items():
        if "$ref" in told:
            yield name, told["$ref"].rpartition("/")[2]
        elif "patternProperties" in told or "additionalProperties" in told:
            yield f"{name}.<name>", _reference(told).rpartition("/")[2]


def _reference(told: Mapping[str, Any]) -> str:
    inner = [*told.get("patternProperties", {}).values(), told.get("additionalProperties", False)]
    return next((str(one["$ref"]) for one in inner if isinstance(one, dict) and "$ref" in one), "")


def fields(schema: Mapping[str, Any], sections: Mapping[str, Any]) -> Iterator[str]:
    """The settings of a model, from its JSON schema, as the lines of a table."""
    required = schema.get("required", [])
    rows = []
    for name, told in schema["properties"].items():
        default = "required" if name in required else _default(told)
        meaning = told.get("description") or _about(told, sections)
        rows.append([f"`{name}`", _type(told), default, _sentence(meaning)])
    yield from table(["key", "type", "default", "meaning"], rows)


def _about(told: Mapping[str, Any], sections: Mapping[str, Any]) -> str:
    model = (told.get("$ref") or _reference(told)).rpartition("/")[2]
    return str(sections.get(model, {}).get("description", ""))


def _default(told: Mapping[str, Any]) -> str:
    if "$ref" in told or "patternProperties" in told or told.get("default", {}) in (None, {}, ""):
        return ""
    default = told["default"]
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _type(told: Mapping[str, Any]) -> str:
    if "$ref" in told:
        return "section"
    if told.get("type") == "object":
        return "sections by name" if _reference(told) else "mapping"
    choices = [one for one in told.get("anyOf", [told]) if one.get("type") != "null"]
    one = {**told, **choices[0]}
    if one.get("format") == "password":
        return "secret"
    limits = [text.format(one[key]) for key, text in _LIMITS.items() if key in one]
    kind = {"string": "text", "boolean": "true or false"}.get(one["type"], one["type"])
    return ", ".join([kind, *limits])


# --- writing --------------------------------------------------------------------------------------------


def table(heads: list[str], rows: list[list[str]]) -> Iterator[str]:
    """The lines of a table in Markdown; none without rows."""
    if not rows:
        return
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield "| " + " | ".join(re.sub(r"\|", r"\\|", cell) for cell in row) + " |"
    yield ""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 when, with `--check`, a page is not what the code says."""
    parser = argparse.ArgumentParser(prog="python -m hub.cli.reference", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="say which pages are stale, change nothing")
    what.add_argument("--write", action="store_true", help="write the pages")
    options = parser.parse_args(arguments)
    if options.check:
        found = stale()
        for name in found:
            sys.stderr.write(f"docs/reference/{name} is stale; run python -m hub.cli.reference --write\n")
        return 1 if found else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

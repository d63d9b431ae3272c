"""The reference in a connector's README, written from its classes, settings, contracts and simulator.

What stands outside the two marks is its author's; without a README there is a bare one.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BEGIN = "<!-- Written by `hub connector docs`, down to the next mark; a test compares it with the code. -->"
END = "<!-- The end of what is written. -->"
_BLOCK = re.compile(re.escape(BEGIN) + r".*?" + re.escape(END), re.DOTALL)

_WAYS = {
    "polling": "asked every {every}",
    "files": "files `{pattern}`, looked for every {every}",
    "register": "whole registers `{pattern}`, looked for every {every}",
    "mailbox": "a mailbox, looked into every {every}",
    "listener": "HL7 v2 over MLLP: {takes}",
    "sink": "one call per event",
    "export": "the whole register, every {every}",
}


def stale(root: Path, name: str) -> bool:
    """Whether the README is not what the code says. Raises ValueError for a connector that does not load."""
    path = root / "connectors" / name / "README.md"
    return not path.is_file() or path.read_text() != written(root, name)


def write_readme(root: Path, name: str) -> None:
    """Bring it up to date. Raises ValueError likewise."""
    (root / "connectors" / name / "README.md").write_text(written(root, name))


def written(root: Path, name: str) -> str:
    """The README as it should be."""
    from hub.sdk.catalogue import discover

    kinds = discover(root / "connectors")
    if name not in kinds:
        raise ValueError(f"there is no connector {name}")
    block = "\n".join([BEGIN, "", *_reference(root, kinds[name])]).rstrip() + f"\n\n{END}"
    path = root / "connectors" / name / "README.md"
    text = path.read_text() if path.is_file() else f"# {_title(name)}\n\n{kinds[name].doc}\n"
    if BEGIN in text:
        return _BLOCK.sub(lambda _: block, text, count=1)
    return f"{text.rstrip()}\n\n{block}\n"


def _reference(root: Path, kind: Any) -> Iterator[str]:
    from hub.cli.reference import fields, table

    yield "## Reference\n"
    yield from table(
        ["source or sink", "how", "what", "events"],
        [[f"`{cls.name}`", _way(cls), _about(cls), _events(root, cls)] for cls in kind.classes],
    )
    for model in dict.fromkeys(cls.config_model for cls in kind.classes):
        yield f"{_about(model)}\n"
        yield from fields(model.model_json_schema(), {})
    yield from _simulated(root, kind.name)
    yield from _waived(kind.name)


def _way(cls: Any) -> str:
    if cls.kind == "webhook":
        return ", ".join(f"`{one}`" for one in (*cls.takes, *cls.serves)) + " below `/webhooks/<instance>`"
    told = {
        "every": _span(cls.every.total_seconds()) if hasattr(cls, "every") else "",
        "pattern": getattr(cls, "pattern", ""),
        "takes": ", ".join(f"`{one}`" for one in getattr(cls, "takes", ())),
    }
    return _WAYS[cls.kind].format(**told)


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size and not seconds % size:
            count = int(seconds // size)
            return unit if count == 1 else f"{count} {unit}s"
    return f"{seconds:g} seconds"


def _events(root: Path, cls: Any) -> str:
    takes = [f"takes {_contract(root, model.type)}" for model in getattr(cls, "accepts", ())]
    return ", ".join([*takes, *(_contract(root, model.type) for model in getattr(cls, "emits", ()))])


def _contract(root: Path, event_type: str) -> str:
    domain, _, rest = event_type.partition(".")
    file = f"schemas/{domain}/{rest}.avsc"
    return f"[`{event_type}`](../../{file})" if (root / file).is_file() else f"`{event_type}`"


def _simulated(root: Path, name: str) -> Iterator[str]:
    from hub.cli.reference import table
    from hub.sdk.catalogue import simulator_of

    if not (root / "connectors" / name / "simulator.py").is_file():
        return
    simulator = simulator_of(root / "connectors", name)
    yield f"`hub simulate {name}` plays the system, with `--bad-day` on one of these:\n"
    rows = [[day, _faults(plan)] for day, plan in simulator.bad_days.items()]
    yield from table(["bad day", "what goes wrong, and how often"], rows)


def _faults(plan: Any) -> str:
    return ", ".join(f"{fault} {share:.0%}" for fault, share in plan.items())


def _waived(name: str) -> Iterator[str]:
    """What the contract tests leave out."""
    from hub.cli.reference import table
    from hub.testing.suite import Suite

    try:
        tests = importlib.import_module(f"connectors.{name}.test_contract")
    except ModuleNotFoundError:
        return
    rows = [
        [f"`{cls.connector.name}`", test.removeprefix("test_").replace("_", " "), reason]
        for cls in vars(tests).values()
        if inspect.isclass(cls) and issubclass(cls, Suite) and hasattr(cls, "connector")
        for test, reason in cls.waive.items()
    ]
    if rows:
        yield "What its contract tests do not hold it to:\n"
        yield from table(["source or sink", "test", "why"], rows)


def _about(cls: Any) -> str:
    """The first sentences of a docstring: its first paragraph, on one line."""
    return " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())


def _title(name: str) -> str:
    return " ".join(name.split("_")).capitalize()

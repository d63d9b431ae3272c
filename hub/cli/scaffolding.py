"""New connectors from a template, and templates that changed since into connectors that were made of them."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parent / "scaffold"
_ROOT = TEMPLATE.parents[2]
KINDS = ("webhook", "polling", "files", "register", "mailbox", "listener", "sink")
ANSWERS = ".copier-answers.yml"

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_FIELDS = ("reference", "status", "happened_at")


@dataclass(frozen=True, slots=True)
class Answers:
    """What a template is filled with. `template` is the git tree that it was, empty where that is not known."""

    name: str
    title: str
    prefix: str
    kind: str
    event: str
    model: str
    domain: str
    template: str = ""

    @classmethod
    def of(cls, name: str, kind: str, event: str) -> Answers:
        """Raises ValueError that says what is wrong."""
        from hub.registry.contract import record_name

        if not _NAME.fullmatch(name):
            raise ValueError(f"{name}: a connector's name is lower-case words, joined by underscores")
        if kind not in KINDS:
            raise ValueError(f"{kind}: there are {', '.join(KINDS)}")
        if not re.fullmatch(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*){2}", event):
            raise ValueError(
                f"{event}: an event type is <domain>.<entity>.<verb>, such as parking.permit.granted"
            )
        words = name.split("_")
        title = " ".join(words).capitalize()
        prefix = "".join(word.capitalize() for word in words)
        domain = event.partition(".")[0].replace("-", "_")
        return cls(name, title, prefix, kind, event, record_name(event)[1], domain, template_tree())


def render(answers: Answers, into: Path, template: Path = TEMPLATE) -> None:
    """Fill the template of a kind into a folder."""
    import copier

    copier.run_copy(str(template), into, data=asdict(answers), defaults=True, overwrite=True, quiet=True)
    formatted = [sys.executable, "-m", "ruff", "--quiet"]
    for command in (
        "check",
        "format",
    ):  # as the project has it; where there is no ruff, as the template has it
        more = ["--fix"] if command == "check" else []
        subprocess.run([*formatted, command, *more, str(into)], check=False, capture_output=True)


def write_contract(schemas: Path, answers: Answers) -> bool:
    """Have a contract for the event that a new source emits; whether it is new. Raises ValueError."""
    domain, entity, verb = answers.event.split(".")
    path = schemas / domain / f"{entity}.{verb}.avsc"
    if path.exists():
        names = [field["name"] for field in json.loads(path.read_text())["fields"]]
        if answers.kind != "sink" and tuple(names) != _FIELDS:
            raise ValueError(
                f"{answers.event} has a contract already, which the template does not know: name another"
            )
        return False
    if answers.kind == "sink":
        raise ValueError(f"{answers.event} has no contract: a sink takes events that there are")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_contract(answers), indent=2) + "\n")
    return True


def _contract(answers: Answers) -> dict[str, Any]:
    what = answers.event.split(".")[1].replace("-", " ")
    time = {"type": "long", "logicalType": "timestamp-micros"}
    told = {
        "reference": ("string", f"The system's own reference of the {what}.", "internal"),
        "status": ("string", f"Where the {what} stands, in the system's words.", "internal"),
        "happened_at": (time, "When it happened, as the system says.", "internal"),
    }
    return {
        "type": "record",
        "name": answers.model,
        "namespace": f"uk.hub.{answers.domain}",
        "doc": f"{answers.title} tells of a {what}. Say here what the event means, and for whom.",
        "fields": [
            {"name": name, "type": kind, "doc": doc, "classification": classification}
            for name, (kind, doc, classification) in told.items()
        ],
    }


def template_tree() -> str:
    """The git tree of the template as it was committed last; empty outside a clone."""
    found = _git("rev-parse", f"HEAD:./{TEMPLATE.relative_to(_ROOT)}")
    return found.decode().strip() if found else ""


def update(folder: Path) -> tuple[list[str], list[str]]:
    """Bring into a connector what changed in its template since: files changed, and those of them with conflicts.

    Raises ValueError where that cannot be known.
    """
    path = folder / ANSWERS
    if not path.is_file():
        raise ValueError(f"{folder.name} was not made by `hub connector new`")
    before = Answers(**yaml.safe_load(path.read_text()))
    archive = _git("archive", "--format=tar", before.template) if before.template else b""
    if not archive:
        raise ValueError(f"the template that {folder.name} was made of is not in this clone")
    now = Answers(**{**asdict(before), "template": template_tree()})
    with tempfile.TemporaryDirectory() as made:
        old, base, new = (Path(made) / name for name in ("old", "base", "new"))
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(old, filter="data")
        render(before, base / folder.name, old)
        render(now, new / folder.name)
        return _merged(folder, base / folder.name, new / folder.name)


def _merged(folder: Path, base: Path, new: Path) -> tuple[list[str], list[str]]:
    changed, conflicts = [], []
    for path in sorted(one for one in new.rglob("*") if one.is_file()):
        name = str(path.relative_to(new))
        before, mine = base / name, folder / name
        if before.is_file() and (before.read_bytes() == path.read_bytes() or not mine.exists()):
            continue  # nothing new, or taken away by its author
        if not mine.exists():
            mine.parent.mkdir(parents=True, exist_ok=True)
            mine.write_bytes(path.read_bytes())
            changed.append(name)
            continue
        ancestor = before if before.is_file() else Path("/dev/null")
        merged = subprocess.run(
            [
                "git",
                "merge-file",
                "-p",
                "-L",
                "yours",
                "-L",
                "before",
                "-L",
                "template",
                mine,
                ancestor,
                path,
            ],
            capture_output=True,
            check=False,
        )
        if merged.stdout != mine.read_bytes():
            mine.write_bytes(merged.stdout)
            changed.append(name)
        if merged.returncode:
            conflicts.append(name)
    return changed, conflicts


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, check=False)
    except FileNotFoundError:
        return b""
    return b"" if done.returncode else done.stdout

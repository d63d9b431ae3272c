"""The documents are true: commands exist, links lead somewhere, pages are what the code says."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.cli import readme, reference
from hub.config import HubConfig

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for place in ("*.md", "docs/**/*.md", "connectors/**/*.md", "deploy/**/*.md", "benchmarks/**/*.md")
    for page in ROOT.glob(place)
)
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMANDS = reference.commands()

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
SPAN = re.compile(r"`(?:\.venv/bin/)?((?:hub|make|python -m|pytest) [^`\n]+)`")

# Written in pieces, so that this file does not hold what it looks for.
HOSTS = [name + end for name, end in [("pypi", ".org"), ("pythonhosted", ".org"), ("maven", ".org")]]
HOSTS += ["repo.maven." + "apache.org", "index-" + "url =", "extra-index-" + "url"]
PLACES = ["/" + start for start in ("work/", "tmp/w/", "root/", "home/", "Users/")]
TALK = re.compile(r"\bissues? (show|#?\d)|\b(this|last|next|previous|my) session\b", re.IGNORECASE)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(language: str, page: Path) -> list[str]:
    return [body for kind, body in FENCE.findall(page.read_text()) if kind == language]


def lines(page: Path) -> Iterator[tuple[str, bool]]:
    """Commands of a page, and whether each is whole: one that is only mentioned may lack its arguments."""
    for block in blocks("sh", page):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                yield line, True
    for span in SPAN.findall(FENCE.sub("", page.read_text())):
        yield span, False


def fault(words: list[str], whole: bool) -> str:
    """What is wrong with a command, or nothing."""
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    match words:
        case ["make", *targets]:
            return "" if set(targets) <= TARGETS else "no such target"
        case ["python", "-m", module, *_]:
            return "" if importlib.util.find_spec(module) else "no such module"
        case ["pytest", *paths]:
            return "" if all((ROOT / path).exists() for path in paths) else "no such tests"
        case ["hub", *_]:
            return hub_fault(words, whole)
        case [".", ".venv/bin/activate"]:
            return ""
    return "not a command that the documents may give"


def hub_fault(words: list[str], whole: bool) -> str:
    path, rest = "hub", words[1:]
    while rest and f"{path} {rest[0]}" in COMMANDS:
        path, rest = f"{path} {rest[0]}", rest[1:]
    command: Any = COMMANDS[path]
    if hasattr(command, "commands"):
        return "no such command" if rest and not rest[0].startswith("-") else ""
    if "--help" in rest:
        return ""
    try:
        command.make_context(path, list(rest))
    except Exception as error:  # noqa: BLE001 - typer's own errors have no public names
        if type(error).__name__ == "MissingParameter" and not whole:
            return ""
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_exists_with_the_options_it_is_given(page: Path) -> None:
    found = [(line, fault(shlex.split(line, comments=True), whole)) for line, whole in lines(page)]
    assert not [f"{line}: {wrong}" for line, wrong in found if wrong]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("make walk", "no such target"),
        ("hub fly", "no such command"),
        ("hub events fly", "no such command"),
        ("hub up --sideways", "NoSuchOption"),
        ("hub up --port many", "BadParameter"),
        ("hub events trace", "MissingParameter"),
        ("python -m hub.cli.nothing", "no such module"),
        ("pytest tests/nothing", "no such tests"),
    ],
)
def test_a_wrong_command_would_be_noticed(line: str, wrong: str) -> None:
    assert fault(shlex.split(line), whole=True).startswith(wrong)


def test_the_readme_opens_with_one_sentence_and_the_two_commands() -> None:
    opening = (ROOT / "README.md").read_text().partition("```sh")
    assert len([line for line in opening[0].splitlines()[1:] if line]) == 1
    assert [line.split("#")[0].strip() for line in opening[2].splitlines()[1:3]] == ["make run", "make test"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"https?://|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.is_relative_to(ROOT), f"{target} leads out of the project"
        assert there.exists(), f"{target} leads nowhere"
        assert not anchor or anchor in anchors(there), f"{target} names no heading"


def anchors(page: Path) -> set[str]:
    """The names that headings have as link targets."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_example_of_configuration_is_valid(page: Path) -> None:
    for block in blocks("yaml", page):
        HubConfig.model_validate(yaml.safe_load(block))


def test_the_reference_pages_are_what_the_code_says() -> None:
    assert reference.stale() == [], "run python -m hub.cli.reference --write"


def test_a_stale_reference_page_would_be_noticed(tmp_path: Path) -> None:
    for name, text in reference.pages().items():
        (tmp_path / name).write_text(text)
    (tmp_path / "commands.md").write_text("nothing")
    assert reference.stale(tmp_path) == ["commands.md"]


def test_every_setting_and_option_has_its_meaning_told() -> None:
    for name, text in reference.pages().items():
        untold = [line for line in text.splitlines() if re.search(r"\|\s*\|$", line)]
        assert not untold, f"{name}: {untold}"


def test_every_file_named_in_the_documents_exists() -> None:
    for page in PAGES:
        for named in re.findall(r"`((?:hub|tests|schemas|routes|deploy)/[\w/.]+)`", page.read_text()):
            assert (ROOT / named).exists(), f"{name_of(page)} names {named}"


def test_decisions_are_numbered_without_gaps_and_say_what_would_change_our_mind() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert text.startswith(f"# {int(page.name[:4])}. "), page.name
        for head in ("Context", "Choice", "Evidence", "What would change our mind"):
            assert f"## {head}" in text, f"{page.name} has no {head}"


def test_no_file_tells_of_the_workshop() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git clone")
    found = []
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        try:
            text = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if any(one in line for one in HOSTS + PLACES) or TALK.search(line):
                found.append(f"{name}:{number}: {line.strip()[:80]}")
    assert not found


@pytest.mark.parametrize("name", sorted(path.parent.name for path in ROOT.glob("connectors/*/connector.py")))
def test_a_connectors_reference_is_what_the_code_says(name: str) -> None:
    assert not readme.stale(ROOT, name), f"run hub connector docs {name}"

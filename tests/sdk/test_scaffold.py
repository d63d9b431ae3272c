"""`hub connector new` and `update`: a folder that passes its contract at once, and stays its author's."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hub.cli.placing import check_place, place
from hub.cli.scaffolding import KINDS, Answers
from tests.sdk.clone import clone, commit


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A clone with a connector of every kind."""
    folder = tmp_path_factory.mktemp("clone")
    clone(root, folder)
    for kind in KINDS:
        event = "licensing.fee.paid" if kind == "sink" else f"made-up.{kind}.granted"
        done = run(folder, "hub", "connector", "new", f"new_{kind}", "--kind", kind, "--event", event)
        assert done.returncode == 0, done.stderr
    commit(folder)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_new_connector_of_every_kind_passes_its_contract_at_once(project: Path) -> None:
    folders = [f"connectors/new_{kind}" for kind in KINDS]
    done = run(project, "pytest", "-q", "-p", "no:cacheprovider", *folders)
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_project_is_well_with_them(project: Path) -> None:
    documented = ["hub", "connector", "docs", "--check"]
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["hub", "check"], documented):
        done = run(project, *command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def test_what_changed_in_the_template_comes_into_a_connector_and_what_its_author_changed_stays(
    project: Path,
) -> None:
    connector = project / "connectors" / "new_polling" / "connector.py"
    mine = connector.read_text().replace("minutes=5", "minutes=1")
    connector.write_text(mine)
    template = project / "hub" / "cli" / "scaffold" / "polling"
    text = (template / "connector.py.jinja").read_text()
    (template / "connector.py.jinja").write_text(text.replace("The system's API.", "The API of the system."))
    (template / "NOTES.md.jinja").write_text("About {{ title }}.\n")
    commit(project)
    done = run(project, "hub", "connector", "update", "new_polling")
    assert done.returncode == 0, done.stderr
    assert connector.read_text() == mine.replace("The system's API.", "The API of the system.")
    assert (connector.parent / "NOTES.md").read_text() == "About New polling.\n"
    commit(project)
    again = run(project, "hub", "connector", "update", "new_polling")
    assert again.stdout.startswith("0 files changed"), again.stdout


def test_where_both_changed_the_same_lines_the_conflict_is_marked(project: Path) -> None:
    config = project / "connectors" / "new_sink" / "config.py"
    config.write_text(config.read_text().replace("Address of the system's API.", "Where it is."))
    template = project / "hub" / "cli" / "scaffold" / "sink" / "config.py.jinja"
    template.write_text(template.read_text().replace("Address of the system's API.", "The API's address."))
    commit(project)
    done = run(project, "hub", "connector", "update", "new_sink")
    assert done.returncode == 1
    assert "CONFLICT config.py" in done.stdout
    assert "<<<<<<< yours" in config.read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("Permits", "--kind", "polling", "--event", "a.b.c"), "lower-case words"),
        (("permits", "--kind", "pigeon", "--event", "a.b.c"), "there are webhook, polling"),
        (("permits", "--kind", "polling", "--event", "granted"), "<domain>.<entity>.<verb>"),
        (("permits", "--kind", "polling", "--event", "licensing.fee.paid"), "has a contract already"),
        (("permits", "--kind", "sink", "--event", "nobody.says.this"), "has no contract"),
        (("govuk_pay", "--kind", "polling", "--event", "a.b.c"), "is there already"),
        (
            ("permits", "--kind", "polling", "--event", "a.b.c", "--party", "E0800002"),
            "has no party E0800002",
        ),
    ],
)
def test_what_cannot_be_made_is_told_and_nothing_is_written(
    project: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = run(project, "hub", "connector", "new", *arguments)
    assert done.returncode == 1
    assert told in done.stderr
    assert not (project / "connectors" / "permits").exists()
    assert not (project / "schemas" / "a").exists()


@pytest.mark.parametrize(
    ("party", "instance", "told"),
    [
        ("T0", "theirs", "hub.yaml has no party T0; it has: T01, T02"),
        ("T01", "govuk-pay", "hub.yaml has an instance named govuk-pay already"),
        ("T01", "theirs", r"port \d+ is taken: give another with --port"),
    ],
)
def test_an_instance_that_has_no_place_is_told_beforehand(
    tmp_path: Path, root: Path, party: str, instance: str, told: str
) -> None:
    text = f"parties: {{T01: {{name: One}}, T02: {{name: Two}}}}\ninstances:\n  {instance}: {{}}\n"
    config = written(tmp_path, root, text)
    answers = Answers.of("govuk_pay", "webhook", "payments.payment.captured")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ValueError, match=told):
        check_place(config, answers, party, taken.getsockname()[1])


@pytest.mark.parametrize("heading", ["instances:", "instances: # our systems", "instances:   #"])
def test_an_instance_is_added_to_those_that_are_there(tmp_path: Path, root: Path, heading: str) -> None:
    config = written(tmp_path, root, f"{heading}\n  theirs: {{connector: govuk_pay, party: T01}}\n")
    assert (
        place(config, Answers.of("govuk_pay", "webhook", "payments.payment.captured"), "T01", 0)
        == "govuk-pay"
    )
    assert list(yaml.safe_load(config.read_text())["instances"]) == ["govuk-pay", "theirs"]
    assert heading in config.read_text()


@pytest.mark.parametrize(
    "instances",
    [
        "instances: {theirs: {connector: govuk_pay, party: T01}}\n",
        '"instances":\n  theirs: {connector: govuk_pay, party: T01}\n',
        "instances:\n    theirs: {connector: govuk_pay, party: T01}\n",
    ],
)
def test_an_instance_that_would_take_the_place_of_others_is_not_added(
    tmp_path: Path, root: Path, instances: str
) -> None:
    config = written(tmp_path, root, instances)
    with pytest.raises(ValueError, match="by hand:\n  govuk-pay:"):
        place(config, Answers.of("govuk_pay", "webhook", "payments.payment.captured"), "T01", 0)
    assert config.read_text() == instances


def written(folder: Path, root: Path, text: str) -> Path:
    (folder / "connectors").symlink_to(root / "connectors")
    config = folder / "hub.yaml"
    config.write_text(text)
    return config

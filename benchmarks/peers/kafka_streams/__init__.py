"""Kafka Streams as a peer: its jars by digest, compiled where a JDK is found."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from benchmarks import work
from benchmarks.peers import AbsentError
from hub.stream.broker import distribution

HERE = Path(__file__).parent
LOCK = HERE / "streams.lock"
SOURCE = HERE / "Bench.java"
ROOTS = (
    f"org.apache.kafka:kafka-streams:{distribution.VERSION}",
    "org.apache.avro:avro:1.12.0",
    "org.slf4j:slf4j-nop:1.7.36",
)


def command(state: Path) -> list[str]:
    """The start of the command line of this peer; compiled and fetched first if need be. Raises AbsentError."""
    schemas = work.SCHEMAS / "bench"
    fixed = {
        "input-schema": schemas / "payment.captured.avsc",
        "output-schema": schemas / "licence.paid.avsc",
        "output-id": work.OUTPUT_ID,
        "output-type": work.OUTPUT_TYPE,
        "route": work.ROUTE,
        "party": work.PARTY,
        "key": work.HMAC_KEY.hex(),
        "namespace": work.NAMESPACE.hex,
        "state": state,
    }
    options = [part for name, value in fixed.items() for part in (f"--{name}", str(value))]
    java, classes = _compiled()
    return [java, "-Xms1g", "-Xmx1g", "-cp", classes, "Bench", *options]


@cache
def _compiled() -> tuple[str, str]:
    """`java`, and the class path with our class first."""
    compiler = shutil.which("javac")
    if compiler is None:
        raise AbsentError("no JDK was found on this machine (javac)")
    jars = _jars()
    place = _folder() / hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    path = os.pathsep.join(map(str, jars))
    if not (place / "Bench.class").is_file():
        with tempfile.TemporaryDirectory(dir=_folder()) as made:
            done = subprocess.run(
                [compiler, "-cp", path, "-d", made, str(SOURCE)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise AbsentError(f"Bench.java does not compile: {done.stderr[-2000:]}")
            shutil.copytree(made, place, dirs_exist_ok=True)
    java = Path(compiler).resolve().with_name("java")
    return str(java), f"{place}{os.pathsep}{path}"


def _folder() -> Path:
    folder = distribution.folder().parent / f"kafka-streams-{distribution.VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _jars() -> list[Path]:
    """Every jar of the lock, fetched once, its digest compared each time. Raises AbsentError."""
    from jgo.maven import MavenContext

    found = []
    context = None
    for line in LOCK.read_text().splitlines():
        digest, coordinates, name = line.split()
        jar = _folder() / name
        if not jar.is_file():
            context = context or MavenContext(repo_cache=_folder() / "repository", timeout=30)
            group, artifact, version = coordinates.split(":")
            try:
                came = context.project(group, artifact).at_version(version).artifact().resolve()
            except Exception as error:
                raise AbsentError(f"{name} could not be fetched: {error}") from error
            shutil.copyfile(came, jar)
        if distribution.digest_of(jar) != digest:
            raise AbsentError(f"{jar} is not the file that was locked; delete it and try again")
        found.append(jar)
    return found


def relock() -> None:
    """Write the lock: all that `ROOTS` need, with the digests of what the repository gives now."""
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as workshop:
        context = MavenContext(repo_cache=Path(workshop), timeout=30)
        roots, needed = context.resolver.resolve([context.create_dependency(root) for root in ROOTS])
        kept = [*roots, *(one for one in needed if one.scope in ("compile", "runtime"))]
        lines = set()
        for one in kept:
            artifact = one.artifact
            coordinates = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
            lines.add(f"{distribution.digest_of(artifact.resolve())} {coordinates} {artifact.filename}\n")
    LOCK.write_text("".join(sorted(lines, key=lambda line: line.split()[2])))


if __name__ == "__main__":
    if sys.argv[1:] != ["--relock"]:
        sys.exit("python -m benchmarks.peers.kafka_streams --relock     after changing ROOTS")
    relock()

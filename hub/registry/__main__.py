"""`python -m hub.registry --check | --write [FOLDER]`: contracts, lock file and generated models agree."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hub.events.problem import Misconfigured, Problem
from hub.registry import generate, lock
from hub.registry.schemas import Registry

DEFAULT = Path(__file__).parents[2] / "schemas"


def check(folder: Path, target: Path = generate.TARGET) -> list[Problem]:
    """Everything that keeps contracts, lock file and models from agreeing."""
    return lock.check(folder) or generate.check(Registry.load(folder), target)


def write(folder: Path, target: Path = generate.TARGET) -> list[str]:
    """Lock what is new and generate the models; says what was done. Raises `Misconfigured`."""
    done = [f"locked {each.type} version {each.version} as id {each.id}" for each in lock.update(folder)]
    return done + [f"generated {name}" for name in generate.write(Registry.load(folder), target)]


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when all agree (after writing, with `--write`), 1 when not."""
    parser = argparse.ArgumentParser(prog="python -m hub.registry", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="say what does not agree, change nothing")
    what.add_argument("--write", action="store_true", help="lock new contracts and generate the models")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT, help="the schemas folder")
    options = parser.parse_args(arguments)
    try:
        lines = write(options.folder) if options.write else []
        problems = [] if options.write else check(options.folder)
    except Misconfigured as error:
        lines, problems = [], list(error.problems)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

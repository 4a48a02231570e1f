#!/usr/bin/env python3
"""Run the fronts' tests with other versions of their libraries: the oldest and the newest that the extras allow.

    make check-fronts
    make check-fronts CHECK_FRONTS_ARGS="redis==6.4.0 valkey==6.1.1"

Each version is installed into build/fronts/ and put before all else on the tests' path; the daemon, its own process,
keeps the environment's. Ends with status 1 if a test fails with one of them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from requirements import PYPROJECT, requirements

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ROOT / "build" / "fronts"
TESTS = "tests/integration/fronts"
LIBRARIES = ("valkey", "redis")
REQUIREMENT = re.compile(r"(?P<library>valkey|redis)(?P<bounds>[=<>][\d.,<>=]+)$")


def wanted(arguments: list[str]) -> list[str]:
    """Return pip's requirements: those given, or the oldest and the newest of each library."""
    if arguments:
        wrong = [each for each in arguments if not REQUIREMENT.match(each)]
        if wrong:
            sys.exit(f"check_fronts: {wrong[0]!r} is no requirement such as redis==6.4.0 or 'valkey>=6.1,<7'")
        return arguments
    found = []
    for library in LIBRARIES:
        (bounds,) = [each for each in requirements([library]) if each.startswith(f"{library}>=")]
        found += [bounds.partition(",")[0].replace(">=", "=="), bounds]
    return found


def installed(requirement: str) -> tuple[str, Path]:
    """Install a library into a directory of its own; return its exact version and the directory."""
    target = TARGETS / re.sub(r"[^\w.]+", "-", requirement)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # pip compares what it installs with this environment, which is of no matter here: it goes to standard error.
    done = subprocess.run(
        [*pip, "--upgrade", "--target", str(target), requirement],
        check=False,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        sys.exit(f"check_fronts: {requirement} cannot be installed:\n{done.stderr}")
    library = requirement[: re.search(r"[=<>]", requirement).start()]  # type: ignore[union-attr]
    versions = [each.version for each in distributions(path=[str(target)]) if each.name == library]
    return f"{library} {max(versions, key=_numbers)}", target


def passes(library: str, target: Path) -> bool:
    """Return whether the tests of one library's fronts pass with what is in the directory."""
    paths = [str(target), *PYPROJECT["tool"]["pytest"]["ini_options"]["pythonpath"]]
    command = [sys.executable, "-m", "pytest", "--quiet", "--numprocesses", "2", "--dist", "loadfile"]
    done = subprocess.run(
        [*command, "--override-ini", f"pythonpath={' '.join(paths)}", "-k", library, TESTS],
        check=False,
        cwd=ROOT,
    )
    return done.returncode == 0


def main(arguments: list[str]) -> int:
    """Test each version, and print a line for each at the end."""
    results = {}
    for requirement in wanted(arguments):
        version, target = installed(requirement)
        print(f"{version} ({requirement})", flush=True)
        results[version] = passes(version.partition(" ")[0], target)
    for version, is_right in results.items():
        print(f"{version}: {'passed' if is_right else 'FAILED'}")
    return 0 if all(results.values()) else 1


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

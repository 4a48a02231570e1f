"""A host's installation from begin to end, under a real systemd: the Debian package, and `glidecached --install-units`.

GLIDECACHED_DEB is a package to try instead of the one that is made here without its dependencies: `make check-deb`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.machine import PACKAGES, why_not
from support.packaged_host import (
    BUILDER,
    DEBIAN_PYTHON,
    FILES,
    PackagedHost,
    make_builder,
    make_package,
    make_wheel,
    next_revision,
    why_no_package,
)
from support.process import ROOT
from support.service import CONFIGURATION, READ, TABLES, UNIT, Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

GIVEN = os.environ.get("GLIDECACHED_DEB")
HOME = Path("/usr/lib/glidecached")
FROM_A_WHEEL = Path("/opt/from-a-wheel")
KEYS = [f"key-{number}" for number in range(20)]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine's contents: its folder `files`, and Debian's Python with pip."""
    reason = why_not() or why_no_package()
    if reason is not None:
        if os.environ.get("CI") == "true" and "is not installed" in reason:
            pytest.fail(reason)
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("host")
    (directory / "files").mkdir()
    make_builder(directory / "builder")
    return directory


@pytest.fixture(scope="module")
def wheel(directory: Path) -> Path:
    made = make_wheel(directory / "wheel")
    shutil.copy(made, directory / "files")
    return made


@pytest.fixture(scope="module")
def package(directory: Path, wheel: Path) -> Path:
    made = Path(GIVEN) if GIVEN else make_package(directory, wheel, directory / "builder" / "bin" / "python")
    return Path(shutil.copy(made, directory / "files"))


@pytest.fixture(scope="module")
def host(directory: Path) -> Iterator[PackagedHost]:
    host = PackagedHost(directory)
    try:
        host.start()
        host.write("/etc/sysusers.d/people.conf", "u insider -\n")
        host.run("systemd-sysusers")
        yield host
    finally:
        host.discard()


@pytest.fixture(scope="module")
def valkey(host: PackagedHost) -> Valkey:
    valkey = Valkey(host)
    for key in KEYS:
        valkey.command("SET", key, key)
    return valkey


def dpkg(host: PackagedHost, *arguments: str | Path) -> str:
    return host.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-unsafe-io", *arguments)


def lend_dependencies(host: PackagedHost, home: Path) -> None:
    """Let an environment have the tests' own packages, which a wheel depends on."""
    (packages,) = host.run("sh", "-c", f"echo {home}/lib/python3.*/site-packages").split()
    host.write(f"{packages}/tests.pth", f"{PACKAGES}\n/opt/lent\n")
    # valkey wants it before Python 3.11.3, which may be Debian's and not the tests' own.
    host.write("/opt/lent/async_timeout.py", "from asyncio import timeout\n")


def main_pid(host: PackagedHost) -> str:
    return host.property(UNIT, "MainPID")


def read(host: PackagedHost) -> dict[str, object]:
    read = host.python(READ, *KEYS, user="insider")
    assert isinstance(read, dict)
    return read


def traces(host: PackagedHost) -> str:
    """Everything on the machine's disks and in its memory that has the project's name, but the test's own."""
    places = "/etc /usr /var/lib /run /dev/shm"
    found = host.run(
        "sh", "-c", f"find {places} -xdev -name '*glidecache*' -not -path '{FILES}/*' 2>/dev/null; true"
    )
    users = host.run("sh", "-c", "getent passwd glidecached; getent group glidecached; true")
    return found + users


def test_a_debian_package_from_its_installation_to_its_purge(
    host: PackagedHost, package: Path, directory: Path, valkey: Valkey
) -> None:
    before = traces(host)
    assert not host.ok("dpkg", "--status", "glidecached"), "the machine starts without it"

    dpkg(host, "--install", FILES / package.name)
    if not GIVEN:
        lend_dependencies(host, HOME)
        host.run("systemctl", "start", UNIT)
    assert host.property(UNIT, "ActiveState") == "active", "it is started as it is shipped"
    assert host.property(UNIT, "UnitFileState") == "enabled"
    assert host.property(UNIT, "FragmentPath") == "/lib/systemd/system/glidecached.service"
    assert not host.ok("systemctl", "is-enabled", r"run-glidecached\x2dpools.mount")
    assert "answers" in host.run("glidecache", "ping")
    assert host.run("glidecached", "--check-config") == f"{CONFIGURATION}: correct\n"
    assert host.ok(
        "sh", "-c", f"ls {HOME}/lib/python3.*/site-packages/glidecached/cli/__pycache__/daemon.*.pyc"
    )

    host.write(CONFIGURATION, TABLES)
    host.run("systemctl", "restart", UNIT)
    host.run("usermod", "--append", "--groups", "glidecached", "insider")
    host.interpreter = HOME / "bin" / "python"
    assert read(host) == {"values": KEYS, "hits": 0}
    assert read(host) == {"values": KEYS, "hits": len(KEYS)}

    gets, pid = valkey.gets(), main_pid(host)
    newer = next_revision(package, directory, "2")
    shutil.move(newer, directory / "files" / newer.name)
    dpkg(host, "--install", FILES / newer.name)
    assert host.property(UNIT, "ActiveState") == "active"
    assert main_pid(host) not in {pid, "0"}, "the upgrade restarts it"
    assert read(host) == {"values": KEYS, "hits": len(KEYS)}
    assert valkey.gets() == gets, "the upgrade is warm: all entries are still hits"
    assert host.run("cat", CONFIGURATION) == TABLES, "a changed configuration stays"

    if not GIVEN:
        host.run("sh", "-c", f"rm {HOME}/lib/python3.*/site-packages/tests.pth")
    dpkg(host, "--remove", "glidecached")
    assert host.property(UNIT, "ActiveState") == "inactive"
    assert not host.ok("test", "-e", HOME), "nothing is left in the folder of the environment"
    assert host.run("cat", CONFIGURATION) == TABLES
    assert host.ok("sh", "-c", "ls /dev/shm/glidecached-main/*.pool"), (
        "pools wait for its return until the purge"
    )
    dpkg(host, "--purge", "glidecached")
    assert traces(host) == before


def test_a_wheels_units_are_enabled_and_go_again(host: PackagedHost, wheel: Path, valkey: Valkey) -> None:
    before = traces(host)
    host.run(DEBIAN_PYTHON, "-m", "venv", "--without-pip", FROM_A_WHEEL)
    interpreter = FROM_A_WHEEL / "bin" / "python"
    host.run(
        BUILDER / "bin" / "python",
        "-m",
        "pip",
        "--python",
        interpreter,
        "install",
        "--no-deps",
        FILES / wheel.name,
    )
    lend_dependencies(host, FROM_A_WHEEL)
    daemon = FROM_A_WHEEL / "bin" / "glidecached"

    assert "glidecached.service is enabled and runs" in host.run(daemon, "--install-units", "--enable")
    assert f"ExecStart={daemon} --config {CONFIGURATION} " in host.run("systemctl", "cat", UNIT)
    assert host.property(UNIT, "FragmentPath") == "/usr/local/lib/systemd/system/glidecached.service"
    assert "answers" in host.run("/usr/local/bin/glidecache", "ping")
    assert host.ok("test", "-e", r"/usr/local/lib/systemd/system/run-glidecached\x2dpools.mount")

    host.write(CONFIGURATION, TABLES)
    host.run("systemctl", "restart", UNIT)
    host.run("usermod", "--append", "--groups", "glidecached", "insider")
    host.interpreter = interpreter
    assert read(host)["values"] == KEYS
    again = host.run(daemon, "--install-units", "--enable")
    assert "it ran before: `systemctl restart glidecached` starts this version" in again
    gets = valkey.gets()
    host.run("systemctl", "restart", UNIT)
    assert read(host) == {"values": KEYS, "hits": len(KEYS)}
    assert valkey.gets() == gets

    removed = host.run(daemon, "--uninstall-units")
    assert removed.splitlines() == [
        "stopped and disabled glidecached.service",
        f"{CONFIGURATION} was changed, and stays",
        "removed below /usr/local",
    ]
    assert host.property(UNIT, "LoadState") == "not-found"
    host.run(
        "sh",
        "-c",
        "rm -r /etc/glidecached /dev/shm/glidecached-main; userdel glidecached; groupdel glidecached",
    )
    assert traces(host) == before


@pytest.mark.parametrize("place", ["/root/venv", "/run/user/0/venv"])
def test_an_environment_that_the_service_cannot_reach_is_refused(
    host: PackagedHost, wheel: Path, place: str
) -> None:
    host.run("sh", "-c", f"{DEBIAN_PYTHON} -m venv --without-pip {place}")
    host.run(
        *(BUILDER / "bin" / "python", "-m", "pip", "--python", f"{place}/bin/python"),
        *("install", "--no-deps", FILES / wheel.name),
    )
    lend_dependencies(host, Path(place))
    said = host.run("sh", "-c", f"{place}/bin/glidecached --install-units 2>&1; echo $?").splitlines()
    assert said[0].startswith(f"glidecached: the service could not reach {place}/bin/glidecached, since P")
    assert said[1:] == ["1"]
    assert not host.ok("test", "-e", "/usr/local/lib/systemd/system/glidecached.service")


def test_the_package_has_the_version_of_the_project() -> None:
    newest = (ROOT / "debian" / "changelog").read_text().splitlines()[0]
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert newest.startswith(f"glidecached ({version[1]}-1) ")


def test_lintian_finds_nothing_but_what_is_named(package: Path) -> None:
    if not GIVEN:
        pytest.skip("only the package that is given to others is judged: make check-deb")
    command = ["lintian", "--allow-root", "--fail-on", "error,warning", package]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr

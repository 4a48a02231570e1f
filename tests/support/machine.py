"""A machine of the test's own that runs a real systemd: a container of this host's /usr, started by systemd-nspawn.

Only root can start one, and only where the kernel lets it mount file systems. Everything but /usr is new, and gone with
the machine: /etc, /run, /dev/shm, users, the journal, the network.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from support.process import ROOT, ChildProcess
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = Path("/opt/glidecached")
"""Where the project is installed in the machine."""

PACKAGES = Path("/opt/packages")
"""The tests' own packages, there."""

PYTHON = PREFIX / "bin" / "python"

_INTERPRETER = Path("/opt/python")
_SOURCES = Path("/opt/sources")


_CONTROL_GROUPS = {
    "": ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"),
    "name=systemd": ("/sys/fs/cgroup/systemd",),
}
"""The hierarchies in which systemd keeps services apart, and where they may be mounted."""

_ENTER = 'for group; do shift; [ "$group" = -- ] && break; echo $$ >"$group/cgroup.procs"; done; exec "$@"'
"""Into the control groups that are named before the first `--`; then the rest is the command."""

_BOOT_SECONDS = 60.0
_COMMAND_SECONDS = 60.0


def why_not() -> str | None:
    """Why no machine can be started here, or None."""
    if os.geteuid() != 0:
        return "a real systemd is started as root only"
    for program in ("systemd-nspawn", "nsenter", "setpriv"):
        if shutil.which(program) is None:
            return f"{program} is not installed: scripts/system-deps installs it"
    if _mounting_fails():
        return "this kernel, or this container, does not let root mount file systems"
    return None


def _mounting_fails() -> bool:
    probe = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode != 0


class Machine(ChildProcess):
    """One running machine: `run` does something in it. The project is installed in `PREFIX`, its units and users too.

    `directory` is for the machine's files, and has to be the caller's own.
    """

    interpreter = PYTHON
    """The source that `python` runs."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "console.log")
        self._directory = directory
        self._init: int | None = None
        self._name = f"{type(self).__name__.lower()}-{os.getpid()}"
        self._groups = _make_control_groups(self._name)

    def start(self) -> None:
        """Boot, and wait until systemd takes orders."""
        self._spawn(
            [
                *("sh", "-c", _ENTER, "sh", *self._groups, "--"),
                *self._container(),
                *("--register=no", "--keep-unit", "--link-journal=no", "--private-network"),
                *("--console=pipe", "--quiet", f"--machine={self._name}"),
                *(f"--bind-ro={source}:{target}" for source, target in self._binds().items()),
                *("--boot", "systemd.firstboot=off", "systemd.unit=basic.target"),
                # The network is a loopback, and nothing else will ever come.
                "systemd.mask=systemd-networkd-wait-online.service",
            ]
        )
        wait_until(lambda: not self.running or self._find_init(), "the machine has a first process", 30)
        wait_until(
            lambda: not self.running or self.ok("systemctl", "is-active", "--quiet", "basic.target"),
            "the machine's systemd takes orders",
            _BOOT_SECONDS,
        )
        assert self.running, f"the machine did not start:\n{self.log_text()}"
        # The container has a boot_id of its own, laid over the kernel's; services with a /proc of their own do not see
        # it before systemd 254. Without it the machine is as a real one: everybody reads the same.
        while self.ok("umount", "/proc/sys/kernel/random/boot_id"):
            pass

    def _container(self) -> list[str]:
        """The command that starts it, up to the options of its root."""
        return ["systemd-nspawn", "--directory=/", "--volatile=yes"]

    def _binds(self) -> dict[Path, Path]:
        """The host's paths in it besides /usr, made now: the project is installed, with its units."""
        installed, units = self._directory / "installed", self._directory / "units"
        _install(installed)
        _lay_down_units(units)
        return {
            installed: PREFIX,
            ROOT: _SOURCES,
            site_packages(): PACKAGES,
            Path(sys.base_prefix): _INTERPRETER,
            **{path: Path("/etc") / path.relative_to(units) for path in units.rglob("*.*")},
        }

    def discard(self) -> None:
        """Turn it off, whatever state it is in: with its first process everything in it ends."""
        with contextlib.suppress(ProcessLookupError):
            if self.running and self._init is not None:
                os.kill(self._init, signal.SIGKILL)
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
            self.kill()
        for group in self._groups:
            for directory, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(
                    OSError
                ):  # somebody in it is still ending: an empty group harms nobody
                    Path(directory).rmdir()

    def run(self, *command: str | Path, user: str | None = None, check: bool = True) -> str:
        """Run a command in the machine, as root or as `user` with all groups of theirs; what it wrote to stdout."""
        done = self._run(command, user)
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def ok(self, *command: str | Path, user: str | None = None) -> bool:
        """Whether the command succeeds."""
        return self._run(command, user).returncode == 0

    def python(self, program: str, *arguments: str, user: str, runtime_dir: str = "/run/glidecached") -> Any:
        """Run a program that uses the daemon of that runtime directory; the JSON that it printed."""
        variable = f"GLIDECACHED_RUNTIME_DIR={runtime_dir}"
        return json.loads(self.run("env", variable, self.interpreter, "-c", program, *arguments, user=user))

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Make a file in the machine."""
        script = 'mkdir -p "$(dirname "$0")" && printf %s "$1" >"$0" && chmod "$2" "$0"'
        self.run("sh", "-c", script, path, text, f"{mode:o}")

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        """What systemd knows of a unit."""
        lines = self.run("systemctl", "show", unit, *(f"--property={name}" for name in names)).splitlines()
        return dict(line.split("=", 1) for line in lines)

    def property(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.properties(unit, name)[name]

    def now(self) -> str:
        """The time, as `journal` takes it."""
        return self.run("date", "+@%s.%N").strip()

    def journal(self, unit: str, since: str) -> list[dict[str, Any]]:
        """What the unit's processes, and systemd about the unit, wrote: fields by their names."""
        self.run("journalctl", "--sync")
        lines = self.run(
            *("journalctl", "--unit", unit, "--since", since, "--output=json", "--no-pager")
        ).splitlines()
        return [json.loads(line) for line in lines]

    def _run(self, command: Sequence[str | Path], user: str | None) -> subprocess.CompletedProcess[str]:
        as_user = [] if user is None else ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--"]
        return subprocess.run(
            [
                *("nsenter", "--target", str(self._find_init()), "--all"),
                *(
                    "env",
                    "-i",
                    "--chdir=/",
                    "PATH=/usr/sbin:/usr/bin",
                    f"LD_LIBRARY_PATH={_library_path()}",
                    "LANG=C.UTF-8",
                ),
                *as_user,
                *map(str, command),
            ],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_COMMAND_SECONDS,
        )

    def _find_init(self) -> int | None:
        """The machine's first process, by its number outside."""
        if self._init is None:
            with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                for child in psutil.Process(self.pid).children(recursive=True):
                    if _number_inside(child.pid) == "1" and child.name() == "systemd":
                        self._init = child.pid
        return self._init


def _make_control_groups(name: str) -> list[str]:
    """Groups of the machine's own: without them, services of two machines on one host would be in the same ones."""
    made = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for mounted in _CONTROL_GROUPS.get(controllers, ()):
            parent = Path(mounted) / path.lstrip("/")
            if (parent / "cgroup.procs").exists():
                with contextlib.suppress(
                    OSError
                ):  # read-only in a container: then there is only one such machine
                    (parent / name).mkdir()
                    made.append(str(parent / name))
                break
    return made


def _number_inside(pid: int) -> str:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    return status["NSpid"].split()[-1]


def site_packages() -> Path:
    """The tests' own packages, on this host."""
    return Path(sysconfig.get_path("purelib"))


def _library_path() -> str:
    """Where an interpreter with a shared libpython finds it after its move."""
    return str(_INTERPRETER / "lib") if sysconfig.get_config_var("Py_ENABLE_SHARED") else ""


def _install(prefix: Path) -> None:
    """The project in a virtual environment of the machine's interpreter, which has the tests' packages."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    interpreter = _INTERPRETER / "bin" / version
    packages = prefix / "lib" / version / "site-packages"
    for directory in (prefix / "bin", packages):
        directory.mkdir(parents=True)
    (prefix / "bin" / "python").symlink_to(interpreter)
    (prefix / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\ninclude-system-site-packages = false\n")
    paths = [*(_SOURCES / name for name in ("daemon", "client", "shared")), PACKAGES]
    (packages / "glidecached.pth").write_text("".join(f"{path}\n" for path in paths))
    for command in ("glidecached", "glidecache"):
        script = prefix / "bin" / command
        script.write_text(f"#!{PYTHON}\nfrom glidecached.cli.entry_points import {command}\n{command}()\n")
        script.chmod(0o755)
    prefix.chmod(0o755)


def _lay_down_units(directory: Path) -> None:
    """What `make install` lays down, with the machine's prefix; and two users of the tests."""
    systemd = ROOT / "systemd"
    shutil.copytree(systemd / "sysusers.d", directory / "sysusers.d")
    shutil.copytree(systemd / "tmpfiles.d", directory / "tmpfiles.d")
    (directory / "sysusers.d" / "people.conf").write_text(
        "u insider - \nu outsider - \nm insider glidecached\n"
    )
    for unit in ("glidecached.service", "glidecached@.service"):
        target = directory / "systemd" / "system" / unit
        target.parent.mkdir(parents=True, exist_ok=True)
        text = (systemd / unit).read_text().replace("/usr/local/bin/", f"{PREFIX}/bin/")
        assert str(PREFIX) in text
        target.write_text(text)
        if _library_path():
            drop_in = directory / "systemd" / "system" / f"{unit}.d" / "interpreter.conf"
            drop_in.parent.mkdir()
            drop_in.write_text(f"[Service]\nEnvironment=LD_LIBRARY_PATH={_library_path()}\n")

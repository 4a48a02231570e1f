"""Places where a wheel is tried: an interpreter of its kind, without a compiler and without this checkout.

A wheel for this machine's processor gets a virtual environment of an interpreter of this machine. Where there is none,
and for another processor (under qemu), Debian's packages of that Python are unpacked into a folder, and its own dynamic
loader starts it: no root, no root file system, no registration with the kernel.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wheels.debian import Packages
from wheels.headers import interpreter
from wheels.targets import DEBIAN_ARCHITECTURES, DEBIAN_RELEASES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheels.targets import Target

_SECONDS = 900
_GLIBC_OF_DEPENDENCIES = ("2_17", "2_28", "2_34")
_LOADERS = {"x86_64": "usr/lib64/ld-linux-x86-64.so.2", "aarch64": "usr/lib/ld-linux-aarch64.so.1"}


class CannotTryError(Exception):
    """This machine has no interpreter for the wheel, nor can it get one."""


@dataclass(slots=True)
class Environment:
    """An installation of one wheel: the command that starts its Python, and what it needs around it."""

    python: list[str]
    scripts: Path
    """The folder of its console scripts, each to be started as an argument of `python`."""
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, arguments: Sequence[str | Path], **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments, and return what it said. Raises CalledProcessError."""
        return subprocess.run(
            [*self.python, *map(str, arguments)],
            env=self.clean(**variables),
            check=True,
            text=True,
            capture_output=True,
            timeout=_SECONDS,
        )

    def clean(self, **variables: str) -> dict[str, str]:
        """Return an environment in which nothing of this checkout, and no compiler, is found."""
        return {
            "PATH": str(self.scripts),
            "CC": "false",
            "HOME": os.environ["HOME"],
            **self.variables,
            **variables,
        }


def install(target: Target, requirements: Sequence[str], folder: Path, cache: Path) -> Environment:
    """Install these requirements, wheels alone, for the target's Python into `folder`. Raises CannotTryError."""
    if target.library.name != "gnu":
        message = f"no package has a CPython that is linked to {target.library.name}"
        raise CannotTryError(message)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = interpreter(target.python) if target.processor == platform.machine() else None
    if found is not None:
        return _in_virtual_environment(found, requirements, folder)
    return _in_unpacked_system(target, requirements, folder, cache)


def _in_virtual_environment(found: Path, requirements: Sequence[str], folder: Path) -> Environment:
    subprocess.run([found, "-m", "venv", folder / "venv"], check=True, timeout=_SECONDS)
    scripts = folder / "venv" / "bin"
    environment = Environment([str(scripts / "python")], scripts)
    pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
        *requirements,
    ]
    environment.run(pip, **_of_pip())
    return environment


def _in_unpacked_system(
    target: Target, requirements: Sequence[str], folder: Path, cache: Path
) -> Environment:
    root = unpacked_system(target, cache)
    site = folder / "site"
    platforms = [
        option
        for version in _GLIBC_OF_DEPENDENCIES
        for option in ("--platform", f"manylinux_{version}_{target.processor}")
    ]
    subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--target",
                site,
            ),
            *("--only-binary=:all:", "--implementation", "cp", "--python-version", target.python),
            *("--abi", target.abi, "--abi", "abi3", *platforms),
            # pip judges `python_full_version < "3.11.3"` by its own interpreter; Debian 12 has 3.11.2.
            *("--platform", f"manylinux2014_{target.processor}", *requirements, "async-timeout"),
        ],
        check=True,
        timeout=_SECONDS,
    )
    libraries = root / "usr" / "lib" / f"{target.processor}-linux-gnu"
    python = root / "usr" / "bin" / f"python{target.python}"
    if target.processor == platform.machine():
        # The program's own name, or Python would look for its library beside the loader.
        command = [
            str(root / _LOADERS[target.processor]),
            "--library-path",
            str(libraries),
            "--argv0",
            str(python),
        ]
    else:
        emulator = shutil.which(f"qemu-{target.processor}-static")
        if emulator is None:
            message = f"no qemu-{target.processor}-static: scripts/system-deps --wheels installs it"
            raise CannotTryError(message)
        command = [emulator, "-L", str(root)]
    variables = {"PYTHONHOME": str(root / "usr"), "PYTHONPATH": str(site)}
    return Environment([*command, str(python)], site / "bin", variables)


def unpacked_system(target: Target, cache: Path) -> Path:
    """Return a folder with Debian's packages of that Python and all that it needs. Raises CannotTryError."""
    release = DEBIAN_RELEASES.get(target.python)
    if release is None or shutil.which("apt-get") is None:
        message = f"no interpreter of Python {target.python} on this machine, and Debian's packages have none"
        raise CannotTryError(message)
    root = cache / f"system-{target.python}-{target.processor}"
    done = root / ".unpacked"
    if not done.exists():
        architecture = DEBIAN_ARCHITECTURES[target.processor]
        packages = Packages(cache / f"apt-{release}-{architecture}-whole", release, architecture)
        packages.unpack_whole([f"python{target.python}"], root)
        # Since Debian 13 the packages expect /lib to be /usr/lib; where they do not, the loader stays in /lib.
        for name in ("lib", "lib64"):
            _merge(root, name)
        done.touch()
    return root


def _merge(root: Path, name: str) -> None:
    """Make /lib a link to /usr/lib, as Debian's systems have it; packages alone leave two folders."""
    top = root / name
    if top.is_dir() and not top.is_symlink():
        shutil.copytree(top, root / "usr" / name, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(top)
    if not top.exists():
        top.symlink_to(f"usr/{name}")


def _of_pip() -> dict[str, str]:
    """Return what pip takes from the caller's environment: where its packages are, and certificates."""
    return {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "XDG_"))}

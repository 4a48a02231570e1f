"""A machine with a whole Debian of its own: this host's, with a layer over it for all that is written and installed.

`Machine` has this host's /usr as it is. Here packages can be installed, upgraded and removed, since all changes are in
the layer, which is gone with the machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.machine import PACKAGES, Machine, site_packages
from support.process import ROOT

DEBIAN_PYTHON = "/usr/bin/python3"
BUILDER = Path("/opt/builder")
FILES = Path("/opt/files")
_SECONDS = 300

_LAYER = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
rm -rf "$1/root/etc/systemd/system" "$1/root/etc/glidecached" "$1/root/usr/sbin/policy-rc.d"
mkdir "$1/root/etc/systemd/system"
directory=$1/root
shift
exec systemd-nspawn --directory="$directory" "$@"
"""
"""The mounts are in a namespace of their own, and end with it. None of this host's own services is enabled, and
packages may start theirs, which container images forbid by policy-rc.d."""


def why_no_package() -> str | None:
    """Why no package can be built here from what the tests have, or None."""
    for program in ("dpkg-buildpackage", "dh"):
        if shutil.which(program) is None:
            return f"{program} is not installed: scripts/system-deps installs it"
    program = "import ensurepip, sys; print(sys.version_info[:2])"
    found = subprocess.run([DEBIAN_PYTHON, "-c", program], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        return f"python3-venv of {DEBIAN_PYTHON} is not installed: scripts/system-deps installs it"
    if found.stdout.strip() != str(sys.version_info[:2]):
        return f"the tests' Python is not of the version of {DEBIAN_PYTHON}, which the package is for"
    return None


class PackagedHost(Machine):
    """The machine. `directory` is the caller's own; its folder `files` is `FILES` there."""

    def _container(self) -> list[str]:
        layer = self._directory / "layer"
        layer.mkdir()
        return ["unshare", "--mount", "sh", "-c", _LAYER, "sh", str(layer)]

    def _binds(self) -> dict[Path, Path]:
        return {
            site_packages(): PACKAGES,
            self._directory / "builder": BUILDER,
            self._directory / "files": FILES,
        }


def make_builder(directory: Path) -> Path:
    """Debian's Python with pip, in an environment of its own; the path of its interpreter."""
    subprocess.run([DEBIAN_PYTHON, "-m", "venv", directory], check=True, timeout=_SECONDS)
    return directory / "bin" / "python"


def make_wheel(directory: Path) -> Path:
    """The project's wheel, with the modules that are compiled already."""
    command = [
        "make",
        "--silent",
        "--old-file=builder",
        f"BUILDER={sys.prefix}",
        "wheel",
        f"WHEEL_DIR={directory}",
    ]
    subprocess.run(command, cwd=ROOT, check=True, timeout=_SECONDS)
    (wheel,) = directory.glob("*.whl")
    return wheel


def make_package(directory: Path, wheel: Path, builder: Path) -> Path:
    """The Debian package of a wheel, quickly: without what the wheel depends on, and hardly compressed."""
    settings = {
        "DEB_WHEEL": str(wheel),
        "DEB_BUILDER": str(builder),
        "PIP_ARGS": "--no-deps",
        # `glidecached` runs once for the completions.
        "PYTHONPATH": str(site_packages()),
        "DPKG_DEB_COMPRESSOR_TYPE": "gzip",
        "DPKG_DEB_COMPRESSOR_LEVEL": "1",
    }
    made = directory / "made"
    made.mkdir()
    subprocess.run(
        ["make", "--silent", "deb", f"DEB_DIR={directory / 'build'}", f"DEB_OUTPUT={made}"],
        cwd=ROOT,
        env={**os.environ, **settings},
        check=True,
        timeout=_SECONDS,
    )
    (package,) = made.glob("*.deb")
    return package


def next_revision(package: Path, directory: Path, revision: str) -> Path:
    """The same package as another revision of itself."""
    tree = directory / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True, timeout=_SECONDS)
    control = tree / "DEBIAN" / "control"
    before = control.read_text()
    (line,) = [line for line in before.splitlines() if line.startswith("Version: ")]
    control.write_text(before.replace(line, f"{line.rpartition('-')[0]}-{revision}"))
    made = directory / f"{package.stem}-{revision}.deb"
    subprocess.run(["dpkg-deb", "--build", "-Znone", tree, made], check=True, timeout=_SECONDS)
    shutil.rmtree(tree)
    return made

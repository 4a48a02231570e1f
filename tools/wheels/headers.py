"""CPython's headers, for a version and processor that this machine need not have.

Debian's packages come first, since they are the same on every machine. A version that Debian lacks comes from an
interpreter of this machine: its headers serve other processors, too, since all of them here are 64-bit, little-endian
Linux. The build asserts the sizes that they state.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from wheels.debian import Packages
from wheels.targets import DEBIAN_ARCHITECTURES, DEBIAN_RELEASES

_ASK = "import sysconfig as s; print(s.get_path('include'), s.get_config_var('Py_DEBUG') or 0)"


class NoHeadersError(Exception):
    """Headers of that version are not to be had here."""


def include_folders(python: str, processor: str, cache: Path) -> list[Path]:
    """Return the folders that `#include <Python.h>` needs. Raises NoHeadersError."""
    release = DEBIAN_RELEASES.get(python)
    if release is not None and shutil.which("apt-get") and shutil.which("dpkg"):
        architecture = DEBIAN_ARCHITECTURES[processor]
        target = cache / f"headers-{python}-{processor}"
        include = target / "usr" / "include"
        if not (include / f"python{python}" / "Python.h").exists():
            packages = Packages(cache / f"apt-{release}-{architecture}", release, architecture)
            packages.unpack([f"libpython{python}-dev:{architecture}"], target)
        return [include / f"python{python}", include]
    return [_of_interpreter(python)]


def interpreter(python: str) -> Path | None:
    """Return an interpreter of that version on this machine, or None.

    Looked for in PATH, and where pyenv and uv keep theirs.
    """
    kept = [
        Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions",
        Path(os.environ.get("UV_PYTHON_INSTALL_DIR", "~/.local/share/uv/python")).expanduser(),
    ]
    candidates = [
        *(path for folder in kept for path in sorted(folder.glob(f"*{python}.*/bin/python{python}"))),
        *filter(None, [shutil.which(f"python{python}")]),
    ]
    for candidate in candidates:
        asked = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        if asked.stdout.strip() == python:
            return Path(candidate)
    return None


def _of_interpreter(python: str) -> Path:
    found = interpreter(python)
    if found is None:
        message = (
            f"no package of Debian's and no interpreter on this machine has the headers of Python {python}"
        )
        raise NoHeadersError(message)
    include, debug = subprocess.run(
        [found, "-c", _ASK], capture_output=True, text=True, check=True, timeout=30
    ).stdout.split()
    if debug != "0" or not (Path(include) / "Python.h").exists():
        message = f"{found} has no headers of a release build in {include}"
        raise NoHeadersError(message)
    return Path(include)

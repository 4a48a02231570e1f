"""Debian's packages of any release and architecture, unpacked into folders: nothing of this machine changes.

apt-get works on a state of its own, so that neither root nor the machine's own releases matter. Archives are checked
against Debian's keys where this machine has them (the package debian-archive-keyring).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SECONDS = 600


class Packages:
    """The packages of one release and architecture. Its files are in `folder`, which later runs use again."""

    def __init__(self, folder: Path, release: str, architecture: str) -> None:
        self._folder = folder.absolute()
        self._release = release
        self._architecture = architecture

    def unpack(self, names: list[str], target: Path) -> None:
        """Unpack these packages alone into `target`."""
        self._prepare()
        downloads = self._folder / "downloads"
        downloads.mkdir(exist_ok=True)
        self._apt("download", *names, within=downloads)
        self._unpack_all(downloads, target)

    def unpack_whole(self, names: list[str], target: Path) -> None:
        """Unpack these packages into `target`, and all that they depend on, down to the C library."""
        self._prepare()
        self._apt("install", "--yes", "--no-install-recommends", "--download-only", *names)
        self._unpack_all(self._folder / "cache" / "archives", target)

    def _prepare(self) -> None:
        for part in ("state/lists/partial", "cache/archives/partial", "parts"):
            (self._folder / part).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").touch()
        trust = f"signed-by={_KEYS}" if _KEYS.exists() else "trusted=yes"
        (self._folder / "sources.list").write_text(f"deb [{trust}] {MIRROR} {self._release} main\n")
        (self._folder / "apt.conf").write_text(
            f'Dir::State "{self._folder}/state";\n'
            f'Dir::State::status "{self._folder}/status";\n'
            f'Dir::Cache "{self._folder}/cache";\n'
            f'Dir::Etc::sourcelist "{self._folder}/sources.list";\n'
            f'Dir::Etc::sourceparts "{self._folder}/parts";\n'
            f'Dir::Etc::preferencesparts "{self._folder}/parts";\n'
            f'APT::Architecture "{self._architecture}";\n'
            f'APT::Architectures {{"{self._architecture}";}};\n'
            'APT::Sandbox::User "root";\n'
            "Debug::NoLocking true;\n"
        )
        if not (self._folder / ".updated").exists():
            self._apt("update")
            (self._folder / ".updated").touch()

    def _apt(self, *arguments: str, within: Path | None = None) -> None:
        subprocess.run(
            ["apt-get", "--quiet", "--quiet", *arguments],
            cwd=within or self._folder,
            env={**os.environ, "APT_CONFIG": str(self._folder / "apt.conf"), "LC_ALL": "C"},
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=_SECONDS,
        )

    @staticmethod
    def _unpack_all(archives: Path, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for archive in sorted(archives.glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(archive), str(target)], check=True, timeout=_SECONDS)

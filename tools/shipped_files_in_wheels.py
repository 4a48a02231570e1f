"""The files for a host in a wheel, which `glidecached --install-units` lays down (glidecached.host.shipped_files)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from extensions import BuildPythonModules

FOLDER = Path("glidecached/host/shipped")
SOURCES = (
    "systemd/*.service",
    "systemd/*.mount",
    "systemd/*.toml",
    "systemd/*.d/*.conf",
    "man/*.[1-9]",
    "*.toml.example",
)


def packed_name(path: Path) -> str:
    """Return a source's path in the wheel: installers refuse or change names with a backslash."""
    return str(path).replace("\\x2d", "_x2d_")


class BuildWithShippedFiles(BuildPythonModules):
    """setuptools' command, which copies the files beside the module that reads them.

    An editable installation reads the checkout's own.
    """

    def run(self) -> None:
        """Copy the packages, then the files."""
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib, FOLDER)
        shutil.rmtree(folder, ignore_errors=True)
        for source, target in self._shipped():
            self.mkpath(os.path.dirname(target))  # noqa: PTH120 - setuptools' own are strings
            self.copy_file(source, target, preserve_mode=False)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return what it makes."""
        made: list[str] = super().get_outputs(include_bytecode)
        return made if self.editable_mode else [*made, *(target for _, target in self._shipped())]

    def _shipped(self) -> list[tuple[str, str]]:
        """Return each file's source and target. Their sources are read at once: none of them may be missing."""
        pairs = []
        for pattern in SOURCES:
            found = sorted(Path().glob(pattern))
            if not found:
                message = f"{pattern}: no such file in {Path.cwd()}, and a wheel needs it"
                raise FileNotFoundError(message)
            pairs += [
                (str(source), str(Path(self.build_lib, FOLDER, packed_name(source)))) for source in found
            ]
        return pairs

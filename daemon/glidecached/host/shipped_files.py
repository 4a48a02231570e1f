"""The files that the project ships for a host: found in an installed wheel, or in the checkout.

Their sources are the checkout's folders `systemd` and `man` and its `glidecached.toml.example`. A wheel has copies in
the folder `shipped` beside this module; tools/shipped_files_in_wheels.py puts them there. An editable installation
reads the checkout's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from glidecached.host.host_errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIT_PATTERNS = ("*.service", "*.mount")
_HERE = Path(__file__).resolve().parent
_IN_A_WHEEL = _HERE / "shipped"
_CHECKOUT = _HERE.parents[2]

# systemd writes a `-` within a part of a mount's path as \x2d. A wheel is a zip archive, and installers may refuse or
# change names with a backslash.
_DASH, _DASH_IN_A_WHEEL = "\\x2d", "_x2d_"


def _unpacked_name(name: str) -> str:
    return name.replace(_DASH_IN_A_WHEEL, _DASH)


class ShippedFiles:
    """The shipped files of one installation. Raises HostError where it has none."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or (_IN_A_WHEEL if _IN_A_WHEEL.is_dir() else _CHECKOUT)
        if not (self._folder / "systemd" / "glidecached.service").is_file():
            message = f"this installation has no units in {self._folder}: install its wheel again"
            raise HostError(message)

    def units(self) -> Iterator[tuple[str, str]]:
        """Yield each unit's name and text."""
        for pattern in UNIT_PATTERNS:
            for path in sorted((self._folder / "systemd").glob(pattern)):
                yield _unpacked_name(path.name), path.read_text()

    def manual_pages(self) -> Iterator[tuple[str, str]]:
        """Yield each page's name, which ends with its section, and its text."""
        for path in sorted((self._folder / "man").glob("*.[1-9]")):
            yield path.name, path.read_text()

    def text(self, name: str) -> str:
        """Return the text of a file, by its path in the checkout."""
        return (self._folder / name).read_text()

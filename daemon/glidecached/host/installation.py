"""This installation of glidecached: its commands, and whether the service could reach what it runs."""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from glidecached.host.host_errors import HostError
from glidecached.host.places import check_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.host.places import Places

COMMANDS = ("glidecached", "glidecache")

HIDDEN = {
    "/root": "ProtectHome=yes",
    "/home": "ProtectHome=yes",
    "/run/user": "ProtectHome=yes",
    "/tmp": "PrivateTmp=yes",  # noqa: S108 - nothing is made there
    "/var/tmp": "PrivateTmp=yes",  # noqa: S108 - nothing is made there
}
"""The directories that the shipped unit hides from the service, by setting."""

_ELSEWHERE = (
    "install glidecached where it can, for example by `/usr/bin/python3 -m venv /opt/glidecached`, or by "
    "`make install PYTHON=/usr/bin/python3`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The environment that glidecached is installed in: paths as they are now, with DESTDIR."""

    scripts: str
    """The directory of its commands."""
    parts: tuple[str, ...]
    """The paths in it that the service needs: commands, interpreter, standard library, packages."""

    @classmethod
    def current(cls) -> Installation:
        """Return the one that this process runs from. Raises HostError where it has no commands."""
        scripts = sysconfig.get_path("scripts")
        command = os.path.join(scripts, COMMANDS[0])  # noqa: PTH118
        if not os.path.lexists(command):
            message = (
                f"this installation has no command {command}, which the unit would start: install the wheel into a "
                "virtual environment, with pip, pipx or uv"
            )
            raise HostError(message)
        parts = (command, sys.executable, os.path.realpath(sys.executable), os.__file__, __file__)
        return cls(scripts=scripts, parts=parts)

    def command(self, name: str, places: Places) -> str:
        """Return the path by which the host names a command of this installation.

        Below the prefix that is its link in `bin`, which is the same after every upgrade.
        """
        own = places.on_host(os.path.join(self.scripts, name))  # noqa: PTH118
        check_path("the paths of commands", own)
        return places.command(name) if own.startswith(f"{places.prefix}/") else own

    def link(self, name: str, places: Places) -> str | None:
        """Return where the prefix's link to a command leads; None where the command lies there itself."""
        own = places.on_host(os.path.join(self.scripts, name))  # noqa: PTH118
        link = places.command(name)
        if own == link:
            return None
        return os.path.relpath(own, os.path.dirname(link)) if own.startswith(f"{places.prefix}/") else own  # noqa: PTH120

    def hindrances(self, places: Places) -> Iterator[str]:
        """Yield why the service could not run from here, and what would help: nothing where it can.

        Of what is staged, the place that it is meant for counts, and its rights are those that the package gives.
        """
        for part in dict.fromkeys(self.parts):
            path = places.on_host(part)
            for hidden, setting in HIDDEN.items():
                if path.startswith(f"{hidden}/"):
                    yield (
                        f"the service could not reach {path}, since {setting} of its unit hides {hidden}: "
                        f"{_ELSEWHERE}"
                    )
                    break
            else:
                closed = None if path != part else _closed_to_others(part)
                if closed is not None:
                    yield (
                        f"the service could not reach {path}, since only some users may enter or read {closed}: "
                        f"chmod o+rX {closed}, or {_ELSEWHERE}"
                    )


def _closed_to_others(path: str) -> Path | None:
    """Return the part of a path that users without special rights cannot pass, or None."""
    for place in (*reversed(Path(path).parents), Path(path)):
        mode = place.stat().st_mode
        needed = stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
        if not mode & needed:
            return place
    return None

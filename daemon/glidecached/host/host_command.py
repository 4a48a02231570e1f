"""The command of `scripts/install` in a checkout, without an environment: `python -m glidecached.host.host_command`.

PREFIX, SYSCONFDIR and DESTDIR come from the environment.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from glidecached.host.activation import disable, forget_units
from glidecached.host.host_errors import HostError, NothingInstalledError
from glidecached.host.laying import take_away
from glidecached.host.places import DEFAULT_PREFIX, DEFAULT_SYSCONFDIR, Places

if TYPE_CHECKING:
    from collections.abc import Mapping


def places_from(environment: Mapping[str, str], prefix: str | None = None) -> Places:
    """Return the places that make's variables choose, with a prefix that was given otherwise. Raises HostError."""
    return Places(
        prefix=prefix or environment.get("PREFIX") or DEFAULT_PREFIX,
        sysconfdir=environment.get("SYSCONFDIR") or DEFAULT_SYSCONFDIR,
        destdir=environment.get("DESTDIR", ""),
    )


def uninstall(places: Places) -> list[str]:
    """Remove what is recorded below the prefix, and return what to say. Raises HostError.

    On the host itself, a service that is enabled or runs is stopped first.
    """
    places.check_writable()
    said = []
    if not places.destdir and places.staged(places.record).exists() and disable():
        said.append("stopped and disabled glidecached.service")
    said += [f"{path} was changed, and stays" for path in take_away(places)]
    if not places.destdir:
        forget_units()
    return said


def main(arguments: list[str]) -> int:
    """Check the places, or remove what is recorded there; return the exit status."""
    try:
        places = places_from(os.environ)
        if arguments == ["check"]:
            places.check_writable()
        elif arguments == ["uninstall"]:
            for line in uninstall(places):
                print(f"uninstall: {line}")  # noqa: T201 - it is a program
        else:
            print("usage: python -m glidecached.host.host_command check|uninstall", file=sys.stderr)  # noqa: T201
            return 2
    except NothingInstalledError as error:
        print(f"uninstall: {error}")  # noqa: T201
    except HostError as error:
        print(f"install: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

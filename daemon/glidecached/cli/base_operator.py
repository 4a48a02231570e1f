"""`glidecache` where the extra `daemon` is not installed, as beside a worker: `ping`, and what the others need."""

from __future__ import annotations

import argparse
import errno

from glidecache_shared import __version__
from glidecached.cli.options import RUNTIME_DIR_HELP, ExitStatus, fail
from glidecached.cli.ping import ping
from glidecached.extras import MODULES_OF_COMMANDS, MissingExtraError, need_modules


def run(arguments: list[str]) -> int:
    """Do what the arguments say, as far as it can be done without click. Return the exit status."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    if command in MODULES_OF_COMMANDS:
        try:
            need_modules(f"glidecache {command}", *MODULES_OF_COMMANDS[command])
        except MissingExtraError as error:
            fail(ExitStatus.FAILED, str(error))
    given = _parser().parse_args(arguments)
    try:
        ping(given.runtime_dir)
    except OSError as error:
        if error.errno == errno.EPIPE:  # a user who has closed a pipe wants no message
            return ExitStatus.FAILED
        fail(ExitStatus.FAILED, f"glidecache: {error.strerror or error}")
    except KeyboardInterrupt:
        return ExitStatus.FAILED
    return ExitStatus.DONE


def _parser() -> argparse.ArgumentParser:
    others = ", ".join(MODULES_OF_COMMANDS)
    parser = argparse.ArgumentParser(
        prog="glidecache",
        description="Query a running glidecached.",
        epilog=f"{others} need more than this environment has: pip install 'glidecached[daemon,top]'",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # a command to paste is not to be wrapped
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"glidecache {__version__}")
    commands = parser.add_subparsers(metavar="ping", required=True)
    about = "Check that the daemon answers, and report how long that took."
    command = commands.add_parser("ping", description=about, help=about, allow_abbrev=False)
    command.add_argument("--runtime-dir", metavar="DIR", help=RUNTIME_DIR_HELP)
    return parser

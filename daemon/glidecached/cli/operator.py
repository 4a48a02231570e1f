"""`glidecache`: ask the running daemon, and tell it what to forget."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from glidecache_shared import protocol
from glidecache_shared.runtime_dir import check_endpoint, endpoint, find_runtime_dir
from glidecached.cli.report import report
from glidecached.version import version

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMEOUT_MS = 3_000
_EXIT_UNREACHABLE = 2
_EXIT_REFUSED = 1


class DaemonUnreachableError(Exception):
    """No daemon answers: `args[0]` says where, and what was found there."""


class RefusedError(Exception):
    """The daemon said no: `args[0]` is its reason."""


def ask(directory: str, operation: int, *body: Any, timeout_ms: int = _TIMEOUT_MS) -> Any:
    """One request to the daemon of this runtime directory, and its answer.

    Raises `DaemonUnreachableError` or `RefusedError`.
    """
    import zmq

    try:
        check_endpoint(directory)
    except (OSError, ValueError) as error:
        message = f"no daemon in {directory}: {error}"
        raise DaemonUnreachableError(message) from error
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(endpoint(directory))
        until_ns = time.monotonic_ns() + timeout_ms * 1_000_000

        def exchange(number: int, *fields: Any) -> Any:
            socket.send(protocol.pack([fields[0], number, fields[1], until_ns, *fields[2:]]))
            remaining_ms = max(0, (until_ns - time.monotonic_ns()) // 1_000_000)
            if not socket.poll(remaining_ms):
                message = f"the daemon at {endpoint(directory)} did not answer within {timeout_ms} ms"
                raise DaemonUnreachableError(message)
            _, status, result = protocol.unpack(socket.recv())
            if status != protocol.STATUS_OK:
                raise RefusedError(result[1])
            return result

        about = exchange(1, protocol.HELLO, 0, protocol.PROTOCOL_VERSION, version())
        if operation == protocol.PING:
            return exchange(2, protocol.PING, 0)
        return exchange(2, operation, about["instance_id"], *body)


def _runtime_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--runtime-dir", metavar="DIR", help="Where the daemon's socket is.")(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(), message="glidecache %(version)s")
def main() -> None:
    """Ask a running glidecached."""


@main.command()
@_runtime_dir_option
def ping(runtime_dir: str | None) -> None:
    """Exit with 0 if the daemon answers."""
    about = _ask(runtime_dir, protocol.PING)
    click.echo(f"glidecached {about['daemon_version']} answers, pid {about['pid']}")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
@_runtime_dir_option
def stats(runtime_dir: str | None, as_json: bool) -> None:
    """Show the daemon's numbers: its caches and its upstreams."""
    numbers = _ask(runtime_dir, protocol.STATS)
    if as_json:
        click.echo(json.dumps(numbers, indent=2))
    else:
        click.echo("\n".join(report(numbers)))


@main.command()
@click.argument("cache")
@_runtime_dir_option
def flush(runtime_dir: str | None, cache: str) -> None:
    """Remove all entries of CACHE, a name or a cache object's id."""
    removed = _ask(runtime_dir, protocol.FLUSH, cache)
    click.echo(f"{removed} entries removed")


@main.command()
@click.argument("cache")
@_runtime_dir_option
def drop(runtime_dir: str | None, cache: str) -> None:
    """End CACHE, a name or a cache object's id; clients that use it get a fresh one."""
    _ask(runtime_dir, protocol.DROP, cache)
    click.echo("dropped")


def _ask(runtime_dir: str | None, operation: int, *body: Any) -> Any:
    try:
        return ask(find_runtime_dir(runtime_dir), operation, *body)
    except DaemonUnreachableError as error:
        click.echo(str(error), err=True)
        sys.exit(_EXIT_UNREACHABLE)
    except RefusedError as error:
        click.echo(str(error), err=True)
        sys.exit(_EXIT_REFUSED)

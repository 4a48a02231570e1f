"""`glidecached`: run the daemon in the foreground."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glidecache_shared import __version__
from glidecache_shared.runtime_dir import endpoint, find_runtime_dir
from glidecached.cli.host_options import HostCommand
from glidecached.config.diff import Source
from glidecached.config.load import SYSTEM_CONFIG, ConfigError
from glidecached.config.model import DEFAULT_UPSTREAM, Config, NamedUpstream
from glidecached.logs import SUMMARY_INTERVAL_MS, LogHandler
from glidecached.upstream.target import Target, parse_address

if TYPE_CHECKING:
    from glidecached.server import Server

logger = logging.getLogger(__name__)

LOG_LEVELS = ("debug", "info", "warning", "error")

EXIT_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h: the same start would fail again."""

_EXIT_FAILURE = 1


@click.command(cls=HostCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"The configuration file. Default: {SYSTEM_CONFIG} if it exists; with --embedded, none.",
)
@click.option(
    "--embedded",
    is_flag=True,
    help='Start a separate Valkey server as the upstream "default"; it ends with the daemon.',
)
@click.option(
    "--runtime-dir", metavar="DIR", help="The directory of the socket; clients find it by the same rule."
)
@click.option("--check-config", is_flag=True, help="Check the configuration and exit.")
@click.option(
    "--log-level",
    type=click.Choice(LOG_LEVELS, case_sensitive=False),
    help="The least severe level that is logged to standard error.",
)
@click.version_option(__version__, message="glidecached %(version)s")
def main(
    config_path: Path | None,
    embedded: bool,
    runtime_dir: str | None,
    check_config: bool,
    log_level: str | None,
) -> None:
    """One shared-memory cache in front of Valkey for all the worker processes of this host."""
    log = LogHandler(sys.stderr, os.environ)
    logging.getLogger().addHandler(log)
    # A trial on a host whose service has a file does not mean that file, and its user may not even read it.
    source = None if embedded and config_path is None else _source(config_path, log_level)
    config = _load(source, log)
    if check_config:
        click.echo(f"{source.path}: correct" if source is not None else "no file: the defaults apply")
        return
    logging.getLogger().setLevel((log_level or config.daemon.log_level).upper())
    log.use(config.daemon.log_format)
    directory = find_runtime_dir(runtime_dir or config.daemon.runtime_dir)
    try:
        status = _serve(config, source, directory, log, embedded=embedded)
    except Exception as error:
        logger.critical("daemon failed", extra={"reason": error}, exc_info=error)
        status = _EXIT_FAILURE
    sys.exit(status)


def _source(path: Path | None, log_level: str | None) -> Source | None:
    if path is None and not SYSTEM_CONFIG.exists():
        return None
    return Source(path or SYSTEM_CONFIG, log_level=log_level)


def _complain(reason: str, log: LogHandler) -> None:
    """Report why the daemon does not start: to programs as an event, to people as a sentence."""
    if log.for_people:
        click.echo(f"glidecached cannot start: {reason}", err=True)
    else:
        logger.error("cannot start", extra={"reason": reason})


def _load(source: Source | None, log: LogHandler) -> Config:
    if source is None:
        return Config()
    try:
        return source.load()
    except ConfigError as error:
        for fault in error.faults:
            if log.in_journal:
                logger.error("configuration fault", extra={"fault": fault})  # noqa: TRY400 - the operator's
            else:
                click.echo(fault, err=True)
        sys.exit(EXIT_CONFIGURATION)


def _serve(config: Config, source: Source | None, directory: str, log: LogHandler, *, embedded: bool) -> int:
    """Run the daemon. Return the exit status."""
    # Imported now, so that --help, --version and --check-config need neither ZeroMQ nor the compiled core.
    from glidecached.embedded import EmbeddedServer, EmbeddedServerError
    from glidecached.pools.pool_dir import PoolDirectoryError
    from glidecached.process.limits import (
        keep_freed_memory,
        prevent_core_dumps,
        raise_descriptor_limit,
        spare_collections,
        take_short_turns,
    )
    from glidecached.process.runtime_lock import DirectoryLockedError, OwnedRuntimeDir
    from glidecached.process.sd_notify import ServiceManager
    from glidecached.server import Server

    service_manager = ServiceManager.from_environment(os.environ)
    keep_freed_memory()
    prevent_core_dumps()
    raise_descriptor_limit()
    take_short_turns()
    # Until the loop takes the signals over, either of them undoes what was done so far.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        # A reload that is asked for now is held back until the daemon can do it: taking pools over may take its time.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
        stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        try:
            owned = OwnedRuntimeDir(directory)
            stack.callback(owned.release)
            if embedded:
                valkey_server = EmbeddedServer(owned.path / "embedded")
                stack.callback(valkey_server.stop)
                config = _with_embedded(config, valkey_server.address)
            # What an embedded server had is gone with it.
            server = Server(
                config,
                owned,
                warm=not embedded,
                source=None if embedded else source,
                service_manager=service_manager,
            )
        except (DirectoryLockedError, EmbeddedServerError, PoolDirectoryError, ValueError, OSError) as error:
            _complain(str(error), log)
            return _EXIT_FAILURE
        except KeyboardInterrupt:
            logger.info("stopped before the start was done")
            return 0
        stack.callback(server.close)
        server.call_regularly(SUMMARY_INTERVAL_MS, log.log_left_out)
        spare_collections()
        announce = _announce if log.for_people else _log_start
        server.run(lambda: announce(config, directory, server, embedded=embedded))
        if server.failure:
            logger.critical("daemon failed", extra={"reason": server.failure})
            return _EXIT_FAILURE
    return 0


def _with_embedded(config: Config, address: str) -> Config:
    target = Target(mode="standalone", addresses=(parse_address(address),))
    upstream = NamedUpstream(name=DEFAULT_UPSTREAM, target=target)
    return dataclasses.replace(config, upstreams={**config.upstreams, DEFAULT_UPSTREAM: upstream})


def _log_start(config: Config, directory: str, server: Server, *, embedded: bool) -> None:
    """Log for programs what `_announce` prints for people."""
    logger.info(
        "started",
        extra={
            "version": __version__,
            "endpoint": endpoint(directory),
            "pool_dir": server.pool_dir,
            "upstreams": ",".join(config.upstreams),
            "caches": ",".join(config.caches),
            "embedded": embedded,
        },
    )


def _announce(config: Config, directory: str, server: Server, *, embedded: bool) -> None:
    click.echo(f"glidecached {__version__} listens on {endpoint(directory)}")
    for name, upstream in config.upstreams.items():
        note = " (embedded Valkey; it ends with the daemon)" if embedded and name == DEFAULT_UPSTREAM else ""
        addresses = ", ".join(str(address) for address in upstream.target.addresses)
        click.echo(f"  upstream {name}: {addresses}{note}")
    for name in config.caches:
        click.echo(f"  cache {name}")
    click.echo(f"  pools in {server.pool_dir}")
    click.echo(f"  try it: glidecache ping --runtime-dir {directory}")
    click.echo("  Ctrl-C stops it")
    sys.stdout.flush()

"""The context as `glidecache doctor` gathers it, once, from outside: the file, the socket, the daemon's answers."""

from __future__ import annotations

import os
import socket
import struct
import time
import tomllib
from pathlib import Path
from typing import Any

from glidecache_shared import protocol
from glidecache_shared.runtime_dir import check_endpoint, find_runtime_dir, socket_path
from glidecached.cli.daemon_client import DaemonClient, DaemonUnreachableError, RefusedError
from glidecached.config.load import SYSTEM_CONFIG, ConfigError, load
from glidecached.doctor.context import Configuration, Contact, DoctorContext, Process
from glidecached.doctor.namespaces import shares_namespace
from glidecached.pools.pool_dir import default_pool_dir

_CREDENTIALS = struct.Struct("3i")
_CONNECT_SECONDS = 3.0


def gather(runtime_dir: str | None, config_path: Path | None) -> DoctorContext:
    """Look for the daemon, ask it, and read its configuration: the given one, else the one that it was started with."""
    configuration = read_configuration(config_path or _system_config())
    directory = find_runtime_dir(runtime_dir or _directory_in(configuration, "runtime_dir"))
    distrust = _distrust(directory)
    process, refusal = (None, None) if distrust is not None else _connect(directory)
    if config_path is None and process is not None:
        configuration = _configuration_of(process, configuration)
    pool_dir = _expected_pool_dir(configuration, directory, process)
    if process is None:
        contact = Contact(distrust=distrust, refusal=refusal, pool_files=_names(pool_dir))
    else:
        contact = _ask(directory, process, pool_dir)
        pool_dir = _reported_pool_dir(contact.stats, pool_dir)
    return DoctorContext(
        configuration=configuration, runtime_dir=directory, pool_dir=pool_dir, contact=contact
    )


def read_configuration(path: Path | None) -> Configuration:
    """Read the file with its faults. For None, which means that there is no file, return the defaults."""
    if path is None:
        from glidecached.config.model import Config

        return Configuration(path=None, config=Config())
    try:
        return Configuration(path=path, config=load(path))
    except ConfigError as error:
        return Configuration(path=path, config=None, faults=tuple(error.faults))


def _directory_in(configuration: Configuration, key: str) -> str | None:
    """Return the directory that the file names, even where the rest of it is wrong."""
    try:
        table = {} if configuration.path is None else tomllib.loads(configuration.path.read_text())["daemon"]
        directory = table.get(key)
    except (OSError, ValueError, KeyError, AttributeError):
        return None  # `check_configuration` reports it
    return directory if isinstance(directory, str) and directory.startswith("/") else None


def _system_config() -> Path | None:
    return SYSTEM_CONFIG if SYSTEM_CONFIG.exists() else None


def _configuration_of(process: Process, default: Configuration) -> Configuration:
    """Return the configuration that the running daemon was started with, as far as it can be seen from here."""
    path = _config_of(process.pid)
    if not shares_namespace(process.pid, "mnt") and not (path or SYSTEM_CONFIG).exists():
        return Configuration(path=None, config=None, unseen=True)
    return default if path is None else read_configuration(path)


def _config_of(pid: int) -> Path | None:
    """Return the `--config` of a running daemon's command line, where it is an absolute path."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        given = following if word == "--config" else word.removeprefix("--config=")
        if given != word and given.startswith("/"):
            return Path(given)
    return None


def _distrust(directory: str) -> OSError | ValueError | None:
    try:
        check_endpoint(directory)
    except (OSError, ValueError) as error:
        return error
    return None


def _connect(directory: str) -> tuple[Process | None, OSError | None]:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_CONNECT_SECONDS)
            probe.connect(socket_path(directory))
            # Those of the process that listens: they are right even where it is too busy to accept a client.
            answer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError as error:
        return None, error
    pid, uid, _gid = _CREDENTIALS.unpack(answer)
    return Process(pid=pid, uid=uid), None


def _expected_pool_dir(configuration: Configuration, directory: str, process: Process | None) -> Path:
    """Return the directory that the daemon would choose, where it does not answer."""
    configured = _directory_in(configuration, "pool_dir")
    if configured is not None:
        return Path(configured)
    uid = os.geteuid() if process is None else process.uid
    return default_pool_dir(Path(directory), uid)


def _ask(directory: str, process: Process, pool_dir: Path) -> Contact:
    about: dict[str, Any] = {}
    try:
        # A daemon that refuses this command as one of another version answers PING all the same.
        with DaemonClient(directory, greet=False) as link:
            asked_ns = time.perf_counter_ns()
            about = link.request(protocol.PING)
            answer_us = (time.perf_counter_ns() - asked_ns) / 1_000
        with DaemonClient(directory) as link:
            # In this order a pool that is made meanwhile cannot look like an orphan.
            names = _names(_reported_pool_dir(link.request(protocol.STATS), pool_dir))
            stats = link.request(protocol.STATS)
    except (DaemonUnreachableError, RefusedError) as error:
        refused = isinstance(error, RefusedError)
        names = _names(pool_dir)
        return Contact(process=process, about=about, silence=str(error), refused=refused, pool_files=names)
    return Contact(process=process, about=about, answer_us=answer_us, stats=stats, pool_files=names)


def _reported_pool_dir(stats: dict[str, Any], expected: Path) -> Path:
    return Path(stats.get("daemon", {}).get("pool_dir", expected))


def _names(directory: Path) -> tuple[str, ...] | None:
    try:
        return tuple(sorted(path.name for path in directory.iterdir()))
    except OSError:
        return None

"""Reading the configuration file: one clear message per fault, and all faults are reported at once."""

from __future__ import annotations

import dataclasses
import os
import stat
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from glidecached.access import Access, find_gid, find_uid
from glidecached.config.model import Config, NamedCache, NamedUpstream
from glidecached.config.schema import (
    AdviceSettings,
    CacheSettings,
    DaemonSettings,
    File,
    MetricsSettings,
    UpstreamSettings,
)
from glidecached.pools.metadata import PoolSettings
from glidecached.upstream.target import (
    Credentials,
    Target,
    TlsMaterial,
    TlsMaterialError,
    UpstreamOptions,
    check_tls,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SECTIONS = {
    "daemon": DaemonSettings,
    "metrics": MetricsSettings,
    "advice": AdviceSettings,
    "upstreams": UpstreamSettings,
    "caches": CacheSettings,
}
_SINGLE = ("daemon", "metrics", "advice")
"""Sections that are one table; the others have one table per name."""


SYSTEM_CONFIG = Path("/etc/glidecached/glidecached.toml")
SERVICES_CREDENTIALS = "/run/credentials/"
"""The directory in which systemd puts a unit's LoadCredential= files, for as long as its service runs."""

_EXPECTED = {
    "tuple_type": "should be an array",
    "dict_type": "should be a table",
    "dataclass_type": "should be a table",
}
"""The terms of pydantic's messages, translated from Python's words to TOML's."""


class ConfigError(Exception):
    """The configuration cannot be used; `faults` has one message per fault: file, key, value, what is allowed."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def load(path: Path) -> Config:
    """Read and check the file, and the files that it names. Raises `ConfigError`."""
    return resolve(path, read(path))


def read(path: Path) -> File:
    """Read the file and check each value by itself. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: not a TOML file: {error}"]) from error
    try:
        return TypeAdapter(File).validate_python(content)
    except ValidationError as error:
        raise ConfigError([f"{path}: {_describe(fault)}" for fault in error.errors()]) from error


def resolve(path: Path, form: File) -> Config:
    """Return the configuration that `form` describes, with the files that it names read. Raises `ConfigError`."""
    resolver = _Resolver(path)
    config = resolver.resolve(form)
    if resolver.faults:
        raise ConfigError(resolver.faults)
    return config


def _describe(fault: Any) -> str:
    """Describe one of pydantic's faults in this file's terms: `[upstreams.default] database_id = "x": …`."""
    location = [str(part) for part in fault["loc"] if part != "[key]"]
    section, key = _split(location)
    place = f"[{'.'.join(section)}] {key}" if section else key
    if fault["type"] == "unexpected_keyword_argument":
        # The value is not shown: it may be a misplaced password.
        return f"{place}: unknown key; allowed are {_allowed_keys(section)}"
    if fault["type"] == "missing":
        return f"{place}: this key is required"
    text = _EXPECTED.get(fault["type"]) or fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if key == "password_file" or "@" in str(fault["input"]):
        return f"{place}: {text}"  # operators may put the password itself there, or a URL with it
    return f"{place} = {fault['input']!r:.80}: {text}"


def _split(location: list[str]) -> tuple[list[str], str]:
    depth = 1 if location[0] in _SINGLE else 2
    if location[0] not in _SECTIONS or len(location) <= depth:
        return [], ".".join(location)
    key, *items = location[depth:]
    return location[:depth], key + "".join(f"[{item}]" for item in items)


def _allowed_keys(section: list[str]) -> str:
    form = _SECTIONS[section[0]] if section else File
    return ", ".join(each.name for each in dataclasses.fields(form))


def _who_brings(path: str) -> str:
    """Return advice about a missing file that systemd should provide; an empty text for any other file."""
    if not path.startswith(SERVICES_CREDENTIALS):
        return ""
    name = path.rpartition("/")[2]
    return f"; systemd puts it there while a service with LoadCredential={name}:FILE runs (systemctl edit)"


class _Resolver:
    """A resolver: turns the file's values into the daemon's objects, and collects their faults."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.faults: list[str] = []

    def resolve(self, form: File) -> Config:
        """Return the resolved configuration; to be used only if there are no faults."""
        config = Config(
            daemon=form.daemon,
            metrics=form.metrics,
            advice=form.advice,
            caches={name: self._cache(name, cache) for name, cache in form.caches.items()},
            admin_uids=frozenset(self._find(find_uid, form.daemon.admin_users, "[daemon] admin_users")),
            form=form,
        )
        if form.upstreams:
            upstreams = {name: self._upstream(name, upstream) for name, upstream in form.upstreams.items()}
            config = dataclasses.replace(config, upstreams=upstreams)
        self._check_caches(config)
        return config

    def _fault(self, place: str, text: str) -> None:
        self.faults.append(f"{self._path}: {place}: {text}")

    def _cache(self, name: str, form: CacheSettings) -> NamedCache:
        settings = PoolSettings(
            max_cache_kb=form.max_cache_kb,
            entry_ttl_ms=form.entry_ttl_ms,
            eviction_policy=form.eviction_policy,
            enable_metrics=form.enable_metrics,
            server_ttl=form.server_ttl,
        )
        access = self._access(f"[caches.{name}]", form)
        return NamedCache(name=name, upstream=form.upstream, settings=settings, access=access)

    def _check_caches(self, config: Config) -> None:
        for cache in config.caches.values():
            if cache.upstream not in config.upstreams:
                known = ", ".join(sorted(config.upstreams))
                self._fault(
                    f"[caches.{cache.name}] upstream = {cache.upstream!r}",
                    f"no such upstream; known: {known}",
                )
            else:
                self._check_narrows(cache, config.upstreams[cache.upstream])
        total_kb = sum(cache.settings.max_cache_kb for cache in config.caches.values())
        if total_kb > config.daemon.max_total_cache_kb:
            self._fault(
                f"[daemon] max_total_cache_kb = {config.daemon.max_total_cache_kb}",
                f"the configured caches alone need {total_kb} KB",
            )
        if len(config.caches) > config.daemon.max_pools:
            self._fault(
                f"[daemon] max_pools = {config.daemon.max_pools}",
                f"{len(config.caches)} caches are configured",
            )

    def _check_narrows(self, cache: NamedCache, upstream: NamedUpstream) -> None:
        """Check that the cache's list is a part of its upstream's: a pool's files have only one list."""
        text = f"may not use the upstream {upstream.name!r}; allow it there as well, or remove it here"
        for uid in sorted(cache.access.uids):
            if not upstream.access.allows_user(uid):
                self._fault(f"[caches.{cache.name}] allow_users", f"uid {uid} {text}")
        for gid in sorted(cache.access.gids):
            if not upstream.access.allows_group(gid):
                self._fault(f"[caches.{cache.name}] allow_groups", f"gid {gid} {text}")

    def _access(self, section: str, form: UpstreamSettings | CacheSettings) -> Access:
        return Access(
            uids=frozenset(self._find(find_uid, form.allow_users, f"{section} allow_users")),
            gids=frozenset(self._find(find_gid, form.allow_groups, f"{section} allow_groups")),
        )

    def _upstream(self, name: str, form: UpstreamSettings) -> NamedUpstream:
        section = f"[upstreams.{name}]"
        credentials = Credentials(
            username=form.username, password=self._password(section, form), tls=self._tls(section, form)
        )
        return NamedUpstream(
            name=name,
            target=Target(
                mode=form.mode, addresses=form.addresses, database=form.database_id, credentials=credentials
            ),
            options=UpstreamOptions(
                connect_timeout_ms=form.connect_timeout_ms,
                reconnect_initial_ms=form.reconnect_initial_ms,
                reconnect_max_ms=form.reconnect_max_ms,
                stall_timeout_ms=form.stall_timeout_ms,
                max_waiting_requests=form.max_waiting_requests,
                max_blocking_connections=form.max_blocking_connections,
                allow_replica=form.allow_replica,
            ),
            request_timeout_ms=form.request_timeout_ms,
            access=self._access(section, form),
        )

    def _password(self, section: str, form: UpstreamSettings) -> str | None:
        content = self._read(f"{section} password_file", form.password_file, secret=True)
        if content is None:
            if form.username is not None and form.password_file is None:
                self._fault(
                    f"{section} username = {form.username!r}", "a username needs a password_file as well"
                )
            return None
        try:
            password = content.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            self._fault(f"{section} password_file = {form.password_file!r}", "the file is not UTF-8 text")
            return None
        if not password:
            self._fault(f"{section} password_file = {form.password_file!r}", "the file is empty")
        return password

    def _tls(self, section: str, form: UpstreamSettings) -> TlsMaterial | None:
        files = {name: getattr(form, name) for name in ("tls_ca_file", "tls_cert_file", "tls_key_file")}
        if not form.use_tls:
            for name in (
                *(name for name, path in files.items() if path),
                *(["tls_insecure"] * form.tls_insecure),
            ):
                self._fault(f"{section} {name}", "has no effect without use_tls = true")
            return None
        if (form.tls_cert_file is None) != (form.tls_key_file is None):
            self._fault(
                f"{section} tls_cert_file, tls_key_file", "a certificate and its key must be given together"
            )
            return None
        ca, certificate, key = (
            self._read(f"{section} {name}", path, secret=name in SECRET_KEYS) for name, path in files.items()
        )
        tls = TlsMaterial(insecure=form.tls_insecure, ca=ca, certificate=certificate, key=key)
        try:
            check_tls(tls)
        except TlsMaterialError as error:
            self._fault(f"{section} {', '.join(name for name, path in files.items() if path)}", str(error))
        return tls

    def _read(self, place: str, path: str | None, *, secret: bool) -> bytes | None:
        if path is None:
            return None
        try:
            return read_file(path, secret=secret)
        except ExposedFileError as error:
            self._fault(f"{place} = {path!r}", str(error))
        except OSError as error:
            self._fault(f"{place} = {path!r}", f"cannot be read: {error.strerror}{_who_brings(path)}")
        return None

    def _find(self, find: Callable[[str], int], names: Iterable[str], place: str) -> list[int]:
        found = []
        for name in names:
            try:
                found.append(find(name))
            except ValueError as error:
                self._fault(f"{place} = {name!r}", str(error))
        return found


SECRET_KEYS = ("password_file", "tls_key_file")
"""The keys of an upstream that name a file with a secret."""

PUBLIC_KEYS = ("tls_ca_file", "tls_cert_file")
"""The keys that name a file that other users may read."""


class ExposedFileError(Exception):
    """A file gives other users a right that they must not have: `args[0]` names it, and what would be right."""


def read_file(path: str, *, secret: bool) -> bytes:
    """Return the contents of the file. Raises `ExposedFileError` and `OSError`.

    Only its owner and its group may be able to write it; for a `secret`, the same applies to reading. A file in a
    directory that is closed to others is closed to them, whatever its own mode. Services' credentials are such files.
    """
    with Path(path).open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        verb = exposure(path, mode, secret=secret)
        if verb is not None:
            message = f"other users can {verb} it (mode {stat.S_IMODE(mode):04o}); chmod o= {path}"
            raise ExposedFileError(message)
        return file.read()


def exposure(path: str, mode: int, *, secret: bool) -> str | None:
    """Return what others can do with a file of that mode, and must not: `"read"` or `"write"`, or None if nothing."""
    exposed = mode & (stat.S_IROTH | stat.S_IWOTH if secret else stat.S_IWOTH)
    if not exposed or not _is_reachable_by_others(path):
        return None
    return "read" if exposed & stat.S_IROTH else "write"


def _is_reachable_by_others(path: str) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in Path(path).resolve().parents)

"""The context of the checks: the configuration, the daemon's process, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from glidecached.config.model import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The daemon's file: `path` None where it has none and its defaults hold; `config` None where it has `faults`.

    `unseen`: the daemon runs in another container, so that nothing is known about its file.
    """

    path: Path | None
    config: Config | None
    faults: tuple[str, ...] = ()
    unseen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The process that listens on the socket, as the kernel reports it; `pid` is 0 for one of another container."""

    pid: int
    uid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """The contact that a client gets: the socket is trusted, it connects, the daemon answers.

    A fault on this way is recorded.
    """

    distrust: OSError | ValueError | None = None
    refusal: OSError | None = None
    process: Process | None = None
    silence: str = ""
    refused: bool = False
    """True if the daemon did answer, with `silence`."""
    about: dict[str, Any] = field(default_factory=dict)
    answer_us: float = 0.0
    stats: dict[str, Any] = field(default_factory=dict)
    pool_files: tuple[str, ...] | None = None
    """Names in the pool directory, read before `stats` were asked for; None where this user may not list it."""

    @property
    def is_absent(self) -> bool:
        """Return whether no daemon runs: there is no socket, or no process listens on it any more."""
        return isinstance(self.distrust, FileNotFoundError) or isinstance(
            self.refusal, ConnectionRefusedError
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorContext:
    """The context of the checks: everything about one daemon, running or not."""

    configuration: Configuration
    runtime_dir: str
    pool_dir: Path
    contact: Contact

    @property
    def bounds_bytes(self) -> dict[str, int]:
        """Return the size limits of the configured caches and of those in use, by their names."""
        config = self.configuration.config
        bounds = (
            {}
            if config is None
            else {name: each.settings.max_cache_kb * 1024 for name, each in config.caches.items()}
        )
        in_use = {
            cache["name"] or cache["id"]: cache["max_bytes"] for cache in self.contact.stats.get("caches", ())
        }
        return bounds | in_use

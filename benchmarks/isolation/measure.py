"""The line of a measure, its table, and the server, daemon and clients that all measures start."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from support.daemon import Daemon
from support.valkey_server import HOST, ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterable

_ABUSED = ("enable-debug-command yes", "busy-reply-threshold 200", "notify-keyspace-events KElz")
_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One line: what was measured, and its target."""

    name: str
    value: float
    unit: str
    asked: str = ""
    met: bool | None = None
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the line for people, with the first of its notes."""
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        value = f"{self.value:,.3f}".rstrip("0").rstrip(".")
        line = f"{self.name:64} {value:>14} {self.unit:10} {self.asked:16} {verdict}"
        return "\n".join([line.rstrip(), *(f"    {note:.200}" for note in self.notes[:_SHOWN])])


def at_most(name: str, value: float, unit: str, bound: float, notes: Iterable[str] = ()) -> Measure:
    """Return a measure that must not exceed a bound."""
    return Measure(
        name=name, value=value, unit=unit, asked=f"at most {bound:g}", met=value <= bound, notes=list(notes)
    )


def plain(name: str, value: float, unit: str, notes: Iterable[str] = ()) -> Measure:
    """Return a measure that has no target."""
    return Measure(name=name, value=value, unit=unit, notes=list(notes))


def as_json(measures: Iterable[Measure]) -> list[dict[str, Any]]:
    """Return the lines for programs."""
    return [asdict(measure) for measure in measures]


class Place:
    """A server that may be abused, and a daemon in front of it. A context manager that ends both."""

    def __init__(self, *directives: str, **daemon: Any) -> None:
        self._directives = directives
        self._daemon_table = daemon

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as ends:
            self.directory = Path(
                ends.enter_context(tempfile.TemporaryDirectory(prefix="glidecached-bench-"))
            )
            self.server = ValkeyServer(self.directory / "valkey", *_ABUSED, *self._directives)
            ends.callback(self.server.stop)
            self.server.start()
            self.daemon = Daemon(
                self.directory / "daemon",
                {
                    "daemon": {"log_level": "warning", **self._daemon_table},
                    "upstreams": {"default": {"addresses": [f"{HOST}:{self.server.port}"]}},
                },
            )
            ends.callback(self.daemon.discard)
            self.daemon.start()
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @property
    def runtime_dir(self) -> str:
        """Return the directory where clients find the daemon."""
        return str(self.daemon.runtime_dir)

"""The paths of the listener as a WSGI application: figures, health, and the status page."""

from __future__ import annotations

import ipaddress
import threading
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from glidecached.formatting import printable
from glidecached.metrics.page_data import Summary
from glidecached.metrics.prometheus import Exposition, preferred
from glidecached.stats.figures import upstream_label, upstream_state
from glidecached.stats.snapshots import LoopSilentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from glidecached.doctor.self_examination import SelfExamination
    from glidecached.stats.history import History
    from glidecached.stats.snapshots import Snapshots

_TEXT = "text/plain; charset=utf-8"

_HEADERS = (
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
    ("Server", "glidecached"),
)

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/status.css": ("status.css", "text/css; charset=utf-8"),
    "/status.js": ("status.js", "text/javascript; charset=utf-8"),
    "/formatting.js": ("formatting.js", "text/javascript; charset=utf-8"),
    "/advice.js": ("advice.js", "text/javascript; charset=utf-8"),
    "/charts.js": ("charts.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: str
    content: bytes
    content_type: str = _TEXT


def _refusal(status: str, text: str) -> _Answer:
    return _Answer(status, f"{text}\n".encode())


class Application:
    """An application that answers GET and HEAD. For any number of threads."""

    def __init__(
        self,
        snapshots: Snapshots,
        history: History,
        health: Health,
        hosts: Hosts,
        examination: SelfExamination,
    ) -> None:
        self._snapshots = snapshots
        self._examination = examination
        self._history = history
        self._health = health
        self._hosts = hosts
        directory = resources.files("glidecached.metrics") / "page"
        self._files = {
            path: _Answer("200 OK", (directory / name).read_bytes(), content_type)
            for path, (name, content_type) in _FILES.items()
        }
        self._exposition = Exposition()
        self._summary = Summary()
        # One thread at a time makes answers: more threads would keep the loop from the interpreter.
        self._rendering = threading.Lock()
        self._routes: dict[str, Callable[[dict[str, Any]], _Answer]] = {
            "/metrics": self._metrics,
            "/healthz": self._healthz,
            "/stats.json": self._stats,
        }

    def __call__(
        self, environment: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
    ) -> Iterable[bytes]:
        """Answer a request, as WSGI defines it."""
        answer = self._answer(environment)
        headers = [
            *_HEADERS,
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.content))),
        ]
        if answer.status.startswith("405"):
            headers.append(("Allow", "GET, HEAD"))
        start_response(answer.status, headers)
        return [] if environment["REQUEST_METHOD"] == "HEAD" else [answer.content]

    def _answer(self, environment: dict[str, Any]) -> _Answer:
        if environment["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _refusal("405 Method Not Allowed", "only GET and HEAD: nothing can be changed here")
        if not self._hosts.admits(environment.get("HTTP_HOST")):
            return _refusal(
                "403 Forbidden",
                "this listener has another name: use its address, or add the name to allowed_hosts in [metrics]",
            )
        path = environment["PATH_INFO"]
        if path in self._files:
            return self._files[path]
        route = self._routes.get(path)
        if route is None:
            return _refusal("404 Not Found", f"there are: {', '.join(('/', *self._routes))}")
        try:
            return route(environment)
        except LoopSilentError as error:
            return _refusal("503 Service Unavailable", str(error))

    def _metrics(self, environment: dict[str, Any]) -> _Answer:
        form = preferred(environment.get("HTTP_ACCEPT", ""))
        snapshot = self._snapshots.get()
        with self._rendering:
            return _Answer("200 OK", self._exposition.render(snapshot, form), form.content_type)

    def _healthz(self, _environment: dict[str, Any]) -> _Answer:
        well, text = self._health.check()
        return _Answer("200 OK" if well else "503 Service Unavailable", text.encode())

    def _stats(self, environment: dict[str, Any]) -> _Answer:
        (after,) = parse_qs(environment.get("QUERY_STRING", "")).get("after", ["0"])[:1]
        if not after.isascii() or not after.isdecimal():
            return _refusal(
                "400 Bad Request", "after is the number of the last sample that you have: 0, 1, 2, …"
            )
        snapshot = self._snapshots.get()
        # Outside the lock: a file system that keeps the look at it waiting does not keep /metrics waiting.
        diagnosis = self._examination.diagnose(snapshot.numbers)
        with self._rendering:
            content = self._summary.render(snapshot, diagnosis, self._history.since(int(after[:20])))
        return _Answer("200 OK", content, "application/json")


_OWN = frozenset(("localhost",))


class Hosts:
    """The names that requests may use: localhost, every IP address, `own`, and `allowed`."""

    def __init__(self, own: str, allowed: tuple[str, ...]) -> None:
        self._names = _OWN | {own.lower(), *(name.lower() for name in allowed)}

    def admits(self, header: str | None) -> bool:
        """Return whether this value of `Host` is allowed. A client that sends none is no browser, and is admitted."""
        if header is None:
            return True
        name = header.strip().lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        return name.removesuffix(".") in self._names or _is_ip_address(name)


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


_LEAST_SECONDS = 2.0


class Health:
    """The health check. It answers from any thread without asking the loop, so also while the loop hangs.

    The daemon is unwell when its loop has not turned for the grace period, but at least for two seconds. After the
    grace period clients do not trust its pools any more (architecture 9).
    """

    def __init__(self, snapshots: Snapshots, grace_ms: int) -> None:
        self._snapshots = snapshots
        self._longest_seconds = max(_LEAST_SECONDS, grace_ms / 1e3)

    def check(self) -> tuple[bool, str]:
        """Return whether the daemon is well, and lines with the reasons."""
        silent_seconds = self._snapshots.silent_seconds
        well = silent_seconds <= self._longest_seconds
        return well, "\n".join([self._loop_line(silent_seconds, well=well), *self._upstream_lines(), ""])

    def _loop_line(self, silent_seconds: float, *, well: bool) -> str:
        if well:
            return f"ok: the loop turned {silent_seconds:.1f} s ago"
        return f"unwell: the loop has not turned for {silent_seconds:.1f} s; {self._longest_seconds:g} s are too long"

    def _upstream_lines(self) -> Iterator[str]:
        latest = self._snapshots.latest
        for upstream in latest.numbers["upstreams"] if latest else ():
            yield f"upstream {printable(upstream_label(upstream))}: {printable(upstream_state(upstream))}"

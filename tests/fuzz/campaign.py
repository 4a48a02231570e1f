"""A campaign: hostile messages from a seed against a real daemon, and what is looked at meanwhile.

All along, a well-behaved client is served, and its values are right. At the end the daemon has not failed inside on any
message, its memory is flat, and its descriptors are those of the beginning.

**Flat** means: of twenty looks at the daemon's own memory (USS), at equal distances, the lowest of the last five is no
more than `SLACK_BYTES` above the highest of the second five. In a million messages a leak of 28 bytes a message shows,
less than the smallest object has; what the allocator keeps comes and goes by 6 MB.
"""

from __future__ import annotations

import collections
import itertools
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from fuzz.messages import Messages
from fuzz.peers import BROKEN_FRAMES, BROKEN_OPENINGS, KEPT_FRAMES, HostilePeer
from glidecache_shared import protocol
from glidecache_shared.protocol import STRING
from glidecache_shared.wire.zmtp import message_header
from support.waiting import wait_until
from support.wire import ReplyRefused, WireClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.daemon import Daemon

SLACK_BYTES = 8 << 20
LOOKS = 20
_MESSAGES_OF_A_PEER = 250
_FLOOD = 100
_UNREAD = 3_000
_MOST_DESCRIPTORS = 400
_PATIENCE_MS = 30_000
_WAITING = 20
_UNFINISHED = 10
_FAR_NS = 3_600_000_000_000
_HEARD_S = 1.0
"""Until then the rule allows that a dead caller's call is still on its way to the server."""
_FORGOTTEN_S = 5.0
"""The rule says one second after the death; a loaded machine may notice the death later."""
JOBS = b"jobs-of-the-dead"
CANCEL: int = getattr(protocol, "CANCEL", 15)

DAEMON_TABLES: dict[str, Any] = {
    "daemon": {
        "log_level": "info",
        "max_sessions": 500,
        "max_total_cache_kb": 4_096,
        "max_message_bytes": 1 << 20,
        "max_requests_per_client": 500,
        "max_upstreams": 16,
    },
    "caches": {"steady": {"max_cache_kb": 64, "entry_ttl_ms": 0}},
}
"""Small bounds, so that a campaign comes to all of them."""


@dataclass
class Report:
    """What a campaign was, and what it saw."""

    seed: int
    sent: collections.Counter[str] = field(default_factory=collections.Counter)
    answered: collections.Counter[str] = field(default_factory=collections.Counter)
    connections: int = 0
    steady_requests: int = 0
    steady_attached_again: int = 0
    own_bytes: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    @property
    def is_flat(self) -> bool:
        """The criterion above."""
        middle, last = self.own_bytes[LOOKS // 4 : LOOKS // 2], self.own_bytes[-LOOKS // 4 :]
        return min(last) <= max(middle) + SLACK_BYTES

    def __str__(self) -> str:
        megabytes = " ".join(f"{value / 2**20:.1f}" for value in self.own_bytes)
        return "\n".join(
            [
                f"seed {self.seed}: {self.sent.total()} messages by {self.connections} connections",
                *(f"  {count:>9} {name}" for name, count in sorted(self.sent.items())),
                f"answers: {dict(sorted(self.answered.items()))}",
                f"well-behaved requests meanwhile: {self.steady_requests}, all answered rightly",
                f"  (attached again {self.steady_attached_again} times: others of its user had detached it)",
                f"own memory in MB: {megabytes}",
                f"descriptors: {self.descriptors[0]}, then up to {max(self.descriptors)}, {self.descriptors[-1]} last",
            ]
        )


class SteadyClient:
    """A client that keeps to the protocol, and that the others must not disturb."""

    def __init__(self, daemon: Daemon) -> None:
        self._wire = WireClient(daemon.runtime_dir)
        self._values = itertools.count()
        self.attached_again = -1
        self.instance_id = 0
        self._jobs: dict[bytes, int] = {}
        self._attach()

    def close(self) -> None:
        self._wire.close()

    def new_session(self) -> int:
        """One more session, for whoever wants to misuse it."""
        number: int = self._ask(protocol.ATTACH, {"mode": "standalone", "cache": {"name": "steady"}})[
            "session_id"
        ]
        return number

    def drop_what_others_named(self) -> None:
        """Pools with names stay for ever, so that an operator has to end them."""
        for cache in self._ask(protocol.STATS)["caches"]:
            if cache["name"] not in {None, "steady"}:
                self._ask(protocol.DROP, cache["name"])

    def check(self) -> int:
        """Ask for several things, and look at the answers; how many there were."""
        value = b"%d" % next(self._values)
        assert self._ask(protocol.PING)["instance_id"] == self.instance_id
        try:
            assert self._ask(protocol.COMMAND, self._session, [b"SET", b"steady", value]) in {b"OK", "OK"}
            assert self._ask(protocol.COMMAND, self._session, [b"GET", b"steady"]) == value
            assert self._ask(protocol.READ, self._session, STRING, b"steady-cached") == b"for ever"
        except ReplyRefused as refusal:
            if not _was_detached(refusal):
                raise
            self._attach()
        return 4

    def push_jobs(self, key: bytes, jobs: int) -> None:
        """Push jobs when no caller waits for them any more. All must stay: see `count_jobs`."""
        wait_until(
            lambda: not self._blocked(), "the server has forgotten callers that are gone", _FORGOTTEN_S
        )
        assert self._command(b"RPUSH", key, *(b"job" for _ in range(jobs))) == jobs
        self._jobs[key] = jobs
        self.count_jobs()

    def count_jobs(self) -> None:
        """Check that every job that was ever pushed is still there."""
        left = {key: self._command(b"LLEN", key) for key in self._jobs}
        assert left == self._jobs, "jobs were popped for callers that were gone"

    def _blocked(self) -> bool:
        text = self._command(b"INFO", b"clients")
        return b"blocked_clients:0" not in (text if isinstance(text, bytes) else str(text).encode())

    def _command(self, *arguments: bytes) -> Any:
        try:
            return self._ask(protocol.COMMAND, self._session, list(arguments))
        except ReplyRefused as refusal:
            if not _was_detached(refusal):
                raise
            self._attach()
            return self._ask(protocol.COMMAND, self._session, list(arguments))

    def _attach(self) -> None:
        self.attached_again += 1
        self.instance_id = self._wire.hello()["instance_id"]
        self._session = self.new_session()
        self._ask(protocol.COMMAND, self._session, [b"SET", b"steady-cached", b"for ever"])

    def _ask(self, operation: int, *body: object) -> Any:
        return self._wire.result(self._wire.send(operation, *body, timeout_ms=_PATIENCE_MS), _PATIENCE_MS)


def _was_detached(refusal: ReplyRefused) -> bool:
    """Return whether another process of the same user has detached the session, before or during the request."""
    return refusal.code in {protocol.ERROR_UNKNOWN_SESSION, protocol.ERROR_CLOSING}


class Campaign:
    """`run` it once. `say` is told of the progress; with `settle` it waits for all that is kept for a while only."""

    def __init__(
        self,
        daemon: Daemon,
        port: int,
        *,
        messages: int,
        seed: int,
        settle: bool = True,
        say: Callable[[str], object] = len,
    ) -> None:
        self.report = Report(seed)
        self._daemon = daemon
        self._socket_path = str(daemon.runtime_dir / "glidecached.sock")
        self._random = random.Random(seed)
        self._messages = Messages(self._random, port)
        self._count = messages
        self._say = say
        self._settle = settle
        self._process = psutil.Process(daemon.pid)

    def run(self) -> Report:
        """Send everything. Raises `AssertionError` for what must not be."""
        report = self.report
        steady = self._steady = SteadyClient(self._daemon)
        steady.check()
        report.descriptors.append(self._process.num_fds())
        rare = [self._break, self._flood, self._never_read, self._die_waiting, self._leave_unfinished]
        first = list(rare)  # once each, however short the campaign is
        try:
            while report.sent.total() < self._count:
                self._messages.instance_id = steady.instance_id
                self._messages.sessions = [steady.new_session() for _ in range(3)]
                act = first.pop() if first else self._random.choice([self._talk] * 60 + rare)
                act()
                report.steady_requests += steady.check()
                if len(report.own_bytes) < report.sent.total() * LOOKS // self._count:
                    self._look()
            steady.count_jobs()
            report.steady_attached_again = steady.attached_again
            steady.drop_what_others_named()
            # Unnamed pools and connections for commands that block stay for a while; one connection to each of the
            # clients' own servers stays as long as the daemon remembers a session there.
            kept = DAEMON_TABLES["daemon"]["max_upstreams"]
            most = report.descriptors[0] + kept if self._settle else _MOST_DESCRIPTORS
            wait_until(lambda: self._process.num_fds() <= most, f"at most {most} descriptors are open", 120)
            report.descriptors.append(self._process.num_fds())
        finally:
            steady.close()
        log = self._daemon.log_text()
        assert "a request failed inside the daemon" not in log, log[-6_000:]
        assert "Traceback" not in log, log[-6_000:]
        assert report.is_flat, report.own_bytes
        return report

    def _look(self) -> None:
        report = self.report
        report.own_bytes.append(self._process.memory_full_info().uss)
        report.descriptors.append(self._process.num_fds())
        self._say(
            f"{report.sent.total()} of {self._count} messages, {report.own_bytes[-1] / 2**20:.1f} MB, "
            f"{report.descriptors[-1]} descriptors"
        )

    def _connect(self, opening: bytes | None = None) -> HostilePeer:
        self.report.connections += 1
        return HostilePeer(self._socket_path) if opening is None else HostilePeer(self._socket_path, opening)

    def _talk(self) -> None:
        """Messages of all sorts; in the end the connection is closed, often in the middle of one."""
        peer = self._connect()
        for number in range(_MESSAGES_OF_A_PEER):
            if peer.broken:
                break
            name, body = self._messages.next()
            peer.send(body)
            self.report.sent[name] += 1
            if number % 50 == 0:
                self._count_answers(peer)
        if self._random.random() < 0.5:
            peer.send_raw(b"\x00\xff" + self._random.randbytes(40), self._random)
            self.report.sent["half a message"] += 1
        self._count_answers(peer)
        peer.close()

    def _break(self) -> None:
        """Openings and frames that are none, one connection each, after a right message or none."""
        for opening in self._random.sample(BROKEN_OPENINGS, 4):
            peer = self._connect(opening)
            peer.send_raw(self._random.randbytes(20), self._random)
            peer.close()
            self.report.sent["broken opening"] += 1
        for frame in (*self._random.sample(BROKEN_FRAMES, 4), *KEPT_FRAMES):
            peer = self._connect()
            peer.send(self._messages.right())
            peer.send_raw(frame, self._random)
            peer.send(self._messages.right())
            self.report.sent["broken frame"] += 1
            self.report.sent["right request"] += 2
            self._count_answers(peer)
            peer.close()

    def _flood(self) -> None:
        """Many connections at once that say nothing, or little."""
        peers = [self._connect(self._random.choice((b"", *BROKEN_OPENINGS[3:6]))) for _ in range(_FLOOD)]
        self.report.sent["silent connection"] += len(peers)
        for peer in peers:
            peer.close()

    def _never_read(self) -> None:
        """Requests whose answers pile up: the daemon keeps so many, and lets the rest go."""
        peer = self._connect()
        request = protocol.pack([protocol.PING, 1, 0, 2**62])
        for _ in range(_UNREAD):
            peer.send(request)
        self.report.sent["request whose answer is not read"] += _UNREAD
        peer.close()

    def _die_waiting(self) -> None:
        """Send calls that wait for jobs, from peers that end at once or cancel them: no job may be lost."""
        peer = self._connect()
        key = b"%s:%d" % (JOBS, self.report.connections)
        for number in range(1, _WAITING + 1):
            far_ns = time.monotonic_ns() + _FAR_NS
            session = self._messages.sessions[0]
            instance = self._messages.instance_id
            peer.send(
                protocol.pack([protocol.COMMAND, number, instance, far_ns, session, [b"BLPOP", key, b"0"]])
            )
            if number % 2:
                peer.send(protocol.pack([CANCEL, _WAITING + number, instance, far_ns, number]))
        self.report.sent["waiting call whose caller is gone"] += _WAITING
        peer.close()
        time.sleep(_HEARD_S)
        self._steady.push_jobs(key, _WAITING)

    def _leave_unfinished(self) -> None:
        """Send frames that lack their ends, over connections that stay for a while."""
        peers = [self._connect() for _ in range(_UNFINISHED)]
        for peer in peers:
            peer.send_raw(message_header(1 << 20) + bytes(200_000), self._random)
        self.report.sent["unfinished frame"] += len(peers)
        self._steady.check()
        for peer in peers:
            peer.close()

    def _count_answers(self, peer: HostilePeer) -> None:
        for answer in peer.answers():
            _, status, body = protocol.unpack(answer)
            self.report.answered["result" if status == protocol.STATUS_OK else f"error {body[0]}"] += 1

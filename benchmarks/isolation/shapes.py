"""Wrong and failed calls of a victim beside every shape of every command (see `support.shapes`)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from glidecache_shared import protocol
from isolation.measure import Measure, Place, at_most, plain
from support.clients import KINDS, at, close_all, open_client
from support.sentinel import Sentinel, Watchman
from support.shapes import LEFT_OUT, Shape, lay_out, shapes_of, undo
from support.wire import WireClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from support.clients import AnyClient

_LAID_OUT_EVERY = 12
_ABUSER_TIMEOUT_MS = 1_500
_PATIENCE_MS = 5_000


def measure(share: float, say: Callable[[str], object]) -> list[Measure]:
    """Try that share of all shapes, with both clients in turn; a thread of the victim calls all along."""
    with Place() as place:
        shapes = _every(shapes_of(_ask(place)), share)
        abusers = [
            open_client(kind, **at(place.daemon, place.server, request_timeout=_ABUSER_TIMEOUT_MS))
            for kind in KINDS
        ]
        victims = [
            open_client("blocking", **at(place.daemon, place.server, request_timeout=_PATIENCE_MS))
            for _ in range(2)
        ]
        try:
            found, calls, replaced = _sweep(place, shapes, abusers, victims, say)
        finally:
            close_all([*abusers, *victims])
    left_out = [f"left out: {command}: {why}" for command, why in LEFT_OUT.items()]
    return [
        at_most(
            f"a victim's wrong or failed calls beside {len(shapes):,} command shapes",
            len(found),
            "",
            0,
            found,
        ),
        plain("... of how many calls", calls, ""),
        at_most("... connections that shapes made the daemon replace", len(replaced), "", 0, replaced),
        plain("... commands left out, by name", len(left_out), "", left_out),
    ]


def _sweep(
    place: Place,
    shapes: list[Shape],
    abusers: list[AnyClient],
    victims: list[AnyClient],
    say: Callable[[str], object],
) -> tuple[list[str], int, list[str]]:
    found: list[str] = []
    replaced: list[str] = []
    beside, behind = Sentinel(victims[0]), Sentinel(victims[1])
    with WireClient(place.daemon.runtime_dir) as wire:
        wire.hello()
        before = _reconnects(wire)
        with Watchman(beside, reads_only=True) as watchman:
            for number, shape in enumerate(shapes):
                if number % _LAID_OUT_EVERY == 0:
                    lay_out(place.server.admin)
                if number % 500 == 0:
                    undo(place.server.admin)
                    say(f"  shape {number} of {len(shapes)}: {shape}")
                with contextlib.suppress(Exception):
                    abusers[number % len(abusers)].call("custom_command", shape.encoded)
                problems = behind.check(erased=shape.erases)
                meanwhile, watchman.problems = watchman.problems, []
                if shape.erases:
                    meanwhile = [each for each in meanwhile if "answered by None" not in each]
                    beside.restore()
                found += [f"{shape}: {problem}" for problem in (*problems, *meanwhile)]
                now = _reconnects(wire)
                if now != before:
                    replaced.append(str(shape))
                    before = now
    return found, 3 * behind.rounds + beside.rounds, replaced


def _every(shapes: list[Shape], share: float) -> list[Shape]:
    """Return that share of the shapes, spread evenly."""
    step = max(1, round(1 / share))
    return shapes[::step] if step > 1 else shapes


def _reconnects(wire: WireClient) -> int:
    return sum(upstream["reconnects"] for upstream in wire.request(protocol.STATS)["upstreams"])


def _ask(place: Place) -> Callable[..., Any]:
    def ask(*command: object) -> Any:
        connection = place.server.admin.connection_pool.get_connection("ask")
        try:
            connection.send_command(*command)
            return connection.read_response()
        finally:
            place.server.admin.connection_pool.release(connection)

    return ask

"""Commands through the daemon while more processes than processors read hits without a pause."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import valkey

import glidecache.sync
from comparison import data
from comparison.crew import crew
from comparison.peers import own
from comparison.rows import OWN, Group, Target, against_own
from comparison.timing import P50, P90, one_by_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from comparison.scale import Scale
    from comparison.stand import Stand

READERS = 16
COMMANDS = 50
DIRECT = "valkey-py, direct"


def measure(stand: Stand, scale: Scale) -> Group:
    """Measure EXISTS, which no cache answers, beside the readers; the candidates take turns."""
    with ExitStack() as stack:
        cache = own.new_cache()
        readers = stack.enter_context(crew(READERS, spin, stand.runtime_dir, cache))
        client = own.open_client(stand, stack, cache)
        direct = valkey.Valkey(*stand.address)
        stack.callback(direct.close)
        calls: dict[str, Callable[[], object]] = {
            OWN: lambda: client.exists([data.STRING_KEY]),
            DIRECT: lambda: direct.exists(data.STRING_KEY),
        }
        with readers.at_work(scale.spin_s * 1000):
            samples = one_by_one(calls, COMMANDS, scale.crew_rounds)
    return Group(
        title=f"EXISTS, one blocking client, beside {READERS} processes that read hits without a pause",
        ratio_is="ours / theirs",
        rows=against_own(
            samples, {DIRECT: Target(text="≤ 0.5", at_most=0.5)}, shares={"p90": P90, "median": P50}
        ),
    )


def spin(_number: int, runtime_dir: str, cache: Any) -> Callable[[int], object]:
    """Return a hit, again and again."""
    client = glidecache.sync.GlideClient.create(own.settings(runtime_dir, cache))
    assert client.get(data.STRING_KEY) == data.STRING
    return lambda _: client.get(data.STRING_KEY)

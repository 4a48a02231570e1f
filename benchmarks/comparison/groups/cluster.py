"""A miss in front of a cluster, beside a client that knows the slots itself."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import valkey

import glidecache
import glidecache.sync
from comparison import data
from comparison.groups.misses import counted_keys
from comparison.peers import own
from comparison.rows import OWN, Group, Target, against_own
from comparison.timing import one_by_one
from support.cluster import Cluster
from support.daemon import Daemon

if TYPE_CHECKING:
    from comparison.scale import Scale
    from comparison.stand import Stand

DIRECT = "valkey-py's ValkeyCluster, direct"
PART = 1000


def measure(_stand: Stand, scale: Scale) -> Group:
    """Measure GETs of keys all over a cluster of three primaries and three replicas, started for this group."""
    keys = scale.misses * scale.process_rounds
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="glidecached-bench-")))
        cluster = Cluster(directory / "cluster")
        stack.callback(cluster.stop)
        cluster.start()
        seeds = [node.address for node in cluster.nodes]
        daemon = Daemon(
            directory / "daemon",
            {
                "daemon": {"log_level": "warning"},
                "upstreams": {"default": {"mode": "cluster", "addresses": seeds}},
            },
        )
        stack.callback(daemon.discard)
        daemon.start()
        client = glidecache.sync.GlideClusterClient.create(
            glidecache.GlideClusterClientConfiguration(
                runtime_dir=str(daemon.runtime_dir),
                request_timeout=own.REQUEST_TIMEOUT_MS,
                client_side_cache=own.new_cache(max_cache_kb=keys),
            )
        )
        stack.callback(client.close)
        host, port = seeds[0].rsplit(":", 1)
        direct = valkey.ValkeyCluster(host=host, port=int(port))
        stack.callback(direct.close)
        for first in range(0, keys, PART):
            numbers = range(first, min(first + PART, keys))
            direct.mset_nonatomic({data.many_key(number): data.many_value(number) for number in numbers})
        new, same = counted_keys(), counted_keys()
        samples = one_by_one(
            {OWN: lambda: client.get(next(new)), DIRECT: lambda: direct.get(next(same))},
            scale.misses,
            scale.process_rounds,
        )
        assert client.get_cache_hit_rate() == 0
    return Group(
        title="GET miss, 100 bytes, one blocking client, a cluster",
        ratio_is="ours / theirs",
        rows=against_own(samples, {DIRECT: Target(text="≤ 1.4", at_most=1.4)}),
    )

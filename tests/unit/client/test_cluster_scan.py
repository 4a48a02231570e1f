"""The scan over a cluster, against a model of one whose slots move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glidecache import ClusterScanCursor, ConnectionError, ObjectType, RequestError
from glidecache.commands.cluster_scan import ClusterScan
from glidecache.sync.connection import run_blocking

if TYPE_CHECKING:
    from glidecache.commands.command import Command
    from glidecache.routes import Route

SLOTS = 16_384
SLOTS_PER_STEP = 3
INTERESTING = (0, 1, 2, 5_000, 5_461, 9_000, 10_922, 16_382, 16_383)
"""The slots that have keys, one each: a node's scan goes through these alone."""


class ModelCluster:
    """A cluster that answers `CLUSTER SLOTS` and `SCAN`. A slot's key goes with its slot.

    owner: whose each stretch of slots is; a slot with a key is a stretch of its own, named by its number.
    """

    def __init__(self, *nodes: str) -> None:
        share = -(-SLOTS // len(nodes))
        bounds = sorted({bound for slot in INTERESTING for bound in (slot, slot + 1)} - {SLOTS})
        self.last = dict(zip(bounds, (*(bound - 1 for bound in bounds[1:]), SLOTS - 1), strict=True))
        self.owner = {first: nodes[first // share] for first in bounds}
        self.gone: set[str] = set()
        self.sent: list[tuple[list[bytes], Any]] = []

    async def run(self, command: Command[Any], route: Route | None) -> Any:
        self.sent.append((command.args, None if route is None else route.as_wire()))
        if route is None:
            return self._slots()
        _, host, port = route.as_wire()
        node = f"{host}:{port}"
        if node in self.gone or node not in self.owner.values():
            message = f"the cluster has no node {node}"
            raise RequestError(message)
        return self._scan(node, int(command.args[1]))

    def _slots(self) -> list[list[Any]]:
        rows: list[list[Any]] = []
        for first, owner in self.owner.items():
            host, _, port = owner.rpartition(":")
            rows.append([first, self.last[first], [host.encode(), int(port), b"id"], [b"replica", 1, b"id"]])
        return rows

    def _scan(self, node: str, cursor: int) -> list[Any]:
        step = INTERESTING[cursor : cursor + SLOTS_PER_STEP]
        after = cursor + SLOTS_PER_STEP
        keys = [key_of(slot) for slot in step if self.owner.get(slot) == node]
        return [b"%d" % (after if after < len(INTERESTING) else 0), keys]


def key_of(slot: int) -> bytes:
    return b"key-%d" % slot


ALL_KEYS = {key_of(slot) for slot in INTERESTING}
A, B, C = "a:1", "b:2", "::1:3"


def step(
    cluster: ModelCluster, cursor: ClusterScanCursor, *, allow: bool = False
) -> tuple[ClusterScanCursor, list[bytes]]:
    scan = ClusterScan(cluster.run, None, None, None)
    following, keys = run_blocking(scan.step(cursor, allow_non_covered_slots=allow))
    # What the cursor says is all in its text.
    return ClusterScanCursor(following.get_cursor()), keys


def scan_all(cluster: ModelCluster, *, allow: bool = False) -> list[bytes]:
    cursor, found = ClusterScanCursor(), []
    while not cursor.is_finished():
        cursor, keys = step(cluster, cursor, allow=allow)
        found += keys
    return found


def test_each_key_comes_once_from_a_cluster_at_rest() -> None:
    cluster = ModelCluster(A, B, C)
    assert sorted(scan_all(cluster)) == sorted(ALL_KEYS)
    assert {route[1] for _, route in cluster.sent if route} == {"a", "b", "::1"}


def test_options_go_to_every_node() -> None:
    cluster = ModelCluster(A)
    scan = ClusterScan(cluster.run, "k*", 10, ObjectType.HASH)
    run_blocking(scan.step(ClusterScanCursor(), allow_non_covered_slots=False))
    assert cluster.sent[1] == (b"SCAN 0 MATCH k* COUNT 10 TYPE Hash".split(), ["address", "a", 1])


MOVES = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(INTERESTING), st.sampled_from((A, B, C, "d:4"))),
    max_size=12,
)


@given(MOVES)
def test_every_key_comes_however_slots_move(moves: list[tuple[int, int, str]]) -> None:
    cluster = ModelCluster(A, B, C)
    # A slot that comes back to a node within that node's scan is the one move that is not noticed.
    homes = {slot: {cluster.owner[slot]} for slot in INTERESTING}
    cursor, found = ClusterScanCursor(), set()
    for number in range(200):
        for when, slot, node in moves:
            if when == number and node not in homes[slot]:
                homes[slot].add(node)
                cluster.owner[slot] = node
        cursor, keys = step(cluster, cursor)
        found |= set(keys)
        if cursor.is_finished():
            break
    assert cursor.is_finished()
    assert found == ALL_KEYS


def test_who_has_a_lost_nodes_slots_is_scanned_instead() -> None:
    cluster = ModelCluster(A, B)
    cursor, found = step(cluster, ClusterScanCursor())
    cluster.gone.add(A)
    cluster.owner = {slot: B if owner == A else owner for slot, owner in cluster.owner.items()}
    while not cursor.is_finished():
        cursor, keys = step(cluster, cursor)
        found += keys
    assert set(found) == ALL_KEYS


def test_the_error_of_a_node_that_has_its_slots_is_the_callers() -> None:
    cluster = ModelCluster(A, B)
    cursor, _ = step(cluster, ClusterScanCursor())
    cluster.gone.add(A)
    with pytest.raises(RequestError, match="has no node a:1"):
        step(cluster, cursor)


def test_an_error_of_the_connection_is_the_callers_too() -> None:
    async def run(command: Command[Any], _route: Route | None) -> Any:
        if command.args[0] == b"SCAN":
            message = "cut"
            raise ConnectionError(message)
        return ModelCluster(A)._slots()

    with pytest.raises(ConnectionError, match="cut"):
        run_blocking(
            ClusterScan(run, None, None, None).step(ClusterScanCursor(), allow_non_covered_slots=False)
        )


def test_slots_without_a_node_end_the_scan_unless_they_are_allowed() -> None:
    cluster = ModelCluster(A, B)
    for slot in (0, 1, 16_383):
        del cluster.owner[slot]
    with pytest.raises(RequestError, match="no node has slot 0, and 2 more"):
        scan_all(cluster)
    assert set(scan_all(cluster, allow=True)) == ALL_KEYS - {key_of(0), key_of(1), key_of(16_383)}


def test_a_cluster_without_any_slot_has_no_keys() -> None:
    cluster = ModelCluster(A)
    cluster.owner.clear()
    assert scan_all(cluster, allow=True) == []


@pytest.mark.parametrize(
    ("cursor", "error", "message"),
    [
        (b"0", TypeError, "cursor must be a ClusterScanCursor, not bytes"),
        (ClusterScanCursor("finished"), RequestError, "the scan is over"),
        (ClusterScanCursor("17"), RequestError, "not a cursor of a cluster's scan: '17'"),
        (ClusterScanCursor("a x 0 1 1"), RequestError, "not a cursor"),
        (ClusterScanCursor("a 1 0 0 0"), RequestError, "not a cursor"),
        (ClusterScanCursor("a 1 0 1" + 4096 * "0" + " 0"), RequestError, "not a cursor"),
        (ClusterScanCursor("a 1 0 1 2"), RequestError, "not a cursor"),
    ],
)
def test_what_is_no_cursor_is_refused(cursor: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        step(ModelCluster(A), cursor)


def test_a_cursor_is_made_of_text() -> None:
    with pytest.raises(TypeError, match="new_cursor must be a str, not int"):
        ClusterScanCursor(0)  # type: ignore[arg-type]
    assert ClusterScanCursor().get_cursor() == ClusterScanCursor("0").get_cursor() == "0"

"""Fronts of both libraries, blocking and asyncio, for a server and for a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.front_clients import FRONT_KINDS, FrontCalls, FrontKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.cluster import Cluster
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


@pytest.fixture(params=FRONT_KINDS, ids=str)
def front_kind(request: pytest.FixtureRequest) -> FrontKind:
    """A library's front, and one of its two faces."""
    kind: FrontKind = request.param
    return kind


@pytest.fixture
def calls(
    front_kind: FrontKind, mode: str, valkey: ValkeyServer | Cluster, daemon: Daemon
) -> Iterator[FrontCalls]:
    """Clients at the common server or cluster, and the common daemon."""
    with FrontCalls(front_kind, valkey.port, daemon.runtime_dir, cluster=mode == "cluster") as made:
        yield made

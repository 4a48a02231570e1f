"""`forget` of the fronts (contract C25), on top of the clients' own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import DaemonUnavailableError
from support.front_clients import FrontCalls, FrontKind

if TYPE_CHECKING:
    from pathlib import Path

    from glidecache import ClientSideCache
    from support.cluster import Cluster
    from support.valkey_server import ValkeyServer


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_c25_a_forgotten_key_is_read_anew_by_all(
    calls: FrontCalls, valkey: ValkeyServer | Cluster, cache: ClientSideCache
) -> None:
    first, second = calls.front(cache), calls.front(cache)
    for key in ("k", "l", "7"):
        calls.call(first, "set", key, "old")
        assert calls.call(first, "get", key) == calls.call(second, "get", key) == b"old"
        calls.call(first, "set", key, "new")
    assert calls.call(first, "forget", "k", b"l", 7, "missing") == 3
    for client in (first, second):
        assert [calls.call(client, "get", key) for key in ("k", "l", "7")] == [b"new"] * 3
    assert calls.call(first, "forget") == 0
    assert valkey.calls("get") == 6


@pytest.mark.parametrize("keys", [["k", "l"], ("k",), {"k"}, frozenset("k"), {"k": 1}], ids=repr)
def test_c25_a_list_of_keys_is_an_error_that_shows_the_call(
    front_kind: FrontKind, valkey: ValkeyServer, tmp_path: Path, keys: Any
) -> None:
    with FrontCalls(front_kind, valkey.port, tmp_path / "run") as calls:
        front = calls.front("catalog")
        for arguments in ((keys,), ("m", keys)):
            text = rf"forget\(\*keys\) takes each key as an argument, and got a {type(keys).__name__}: "
            with pytest.raises(TypeError, match=text):
                calls.call(front, "forget", *arguments)


def test_c25_without_a_daemon_forget_raises_the_librarys_connection_error(
    front_kind: FrontKind, valkey: ValkeyServer, tmp_path: Path
) -> None:
    library = front_kind.module(front=False)
    with FrontCalls(front_kind, valkey.port, tmp_path / "run") as calls:
        front = calls.front("catalog")
        with pytest.raises(DaemonUnavailableError) as caught:
            calls.call(front, "forget", "k")
        assert isinstance(caught.value, library.ConnectionError)
        with pytest.raises(library.DataError):
            calls.call(front, "forget", object())

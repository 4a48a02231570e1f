"""Words of GLIDE's errors that programs look for, where a server does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glidecache import AdvancedGlideClientConfiguration, Batch, ClosingError, NodeAddress, RequestError
from glidecache import TimeoutError as GlideTimeoutError
from support.clients import at
from support.valkey_server import HOST

if TYPE_CHECKING:
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

SOON = AdvancedGlideClientConfiguration(connection_timeout=300)


def test_what_is_not_answered_in_time_says_timed_out(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    client = connect(**at(daemon, own_valkey), request_timeout=200)
    client.get("k")
    own_valkey.pause()
    try:
        for method, arguments in (
            ("get", ("k",)),
            ("set", ("k", "v")),
            ("custom_command", (["ECHO", "x"],)),
            ("exec", (Batch(True).get("k"), True)),
            ("get_many", (["k"],)),
        ):
            with pytest.raises(GlideTimeoutError, match="timed out"):
                client.call(method, *arguments)
        with pytest.raises(ClosingError, match="timed out"):
            connect(
                addresses=[NodeAddress(HOST, own_valkey.port)],
                runtime_dir=str(daemon.runtime_dir),
                client_name="another",
                database_id=1,
                request_timeout=200,
                advanced_config=SOON,
            )
    finally:
        own_valkey.resume()


def test_one_request_too_many_says_maximum_inflight_requests(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    client = connect(**at(daemon, own_valkey), request_timeout=2_000, inflight_requests_limit=2)
    results = client.call_together([("blpop", [f"none{number}"], 1) for number in range(8)])
    refused = [result for result in results if isinstance(result, RequestError)]
    assert {type(error) for error in refused} == {RequestError}
    assert all("maximum inflight requests" in str(error) for error in refused)
    assert 1 <= results.count(None) <= 2
    assert len(refused) + results.count(None) == len(results)
    assert client.call("echo", "x") == b"x"

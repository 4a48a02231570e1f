"""Which values of `Host` are answered: defence against DNS rebinding."""

from __future__ import annotations

import pytest

from glidecached.metrics.application import Hosts

HOSTS = Hosts("Metrics.Example", ("cache-1.internal",))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "localhost",
        "LOCALHOST:9464",
        "127.0.0.1:9464",
        "192.0.2.7",
        "[::1]:9464",
        "metrics.example:9464",
        "metrics.example.",
        "cache-1.internal",
    ],
)
def test_own_names_and_addresses_are_admitted(header: str | None) -> None:
    assert HOSTS.admits(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "evil.example",
        "evil.example:9464",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "[evil",
        "[]",
        "1",
    ],
)
def test_any_other_name_is_not(header: str) -> None:
    assert not HOSTS.admits(header)

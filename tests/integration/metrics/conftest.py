"""Daemons that can be seen over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.browser import Browser
from support.pages import SeenDaemon
from support.valkey_server import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


@pytest.fixture
def start_seen(start_daemon: Callable[..., Daemon]) -> Iterator[Callable[..., SeenDaemon]]:
    """Start a daemon with a listener, in front of a server or of nothing. More keys are of its upstream's table."""
    seen: list[SeenDaemon] = []

    def start(server: ValkeyServer | None = None, **upstream: Any) -> SeenDaemon:
        port = free_port()
        cache = {"max_cache_kb": 64, "entry_ttl_ms": 0, "enable_metrics": True}
        daemon = start_daemon(
            metrics={"listen": f"{HOST}:{port}"},
            upstreams={
                "default": {"addresses": [f"{HOST}:{server.port if server else free_port()}"], **upstream}
            },
            caches={"catalog": cache, '"<b>bold</b>"': {**cache, "enable_metrics": False}},
        )
        seen.append(SeenDaemon(daemon, port))
        return seen[-1]

    yield start
    for each in seen:
        assert "Traceback" not in each.daemon.log_text(), each.daemon.log_text()


@pytest.fixture
def kind() -> str:
    """One client is enough: what is counted does not depend on which."""
    return "blocking"


@pytest.fixture(scope="session")
def running_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests: its start takes longer than they do."""
    made = Browser(tmp_path_factory.mktemp("chromium"))
    yield made
    made.close()


@pytest.fixture
def browser(running_browser: Browser) -> Browser:
    """The browser with nothing left of an earlier test."""
    running_browser.driver.get("about:blank")
    running_browser.console()
    return running_browser

"""Lists that an operator changes while the daemon serves: who is left out loses the cache, and the cache nothing."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from glidecache import ClientSideCache, RequestError
from security.conftest import LISTED, MATE, MEMBER, TEAM
from security.test_other_users import connect, files_of, of_all, opened
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from security.conftest import OwnedDaemon
    from support.users import User
    from support.valkey_server import ValkeyServer
    from support.workers import Worker

    StartWorker = Callable[[User], Worker]

PATIENCE_S = 60


def reload_with(daemon: OwnedDaemon, old: str, new: str) -> None:
    text = daemon.configuration.read_text()
    assert old in text
    daemon.configuration.write_text(text.replace(old, new))
    seen = len(daemon.log_text())
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reload finished" in daemon.log_text()[seen:], "the reload is over", PATIENCE_S)
    assert "configuration fault" not in daemon.log_text()[seen:]


def test_c18_a_cache_changes_hands_without_losing_an_entry(
    daemon: OwnedDaemon, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    member, mate = start_worker(MEMBER), start_worker(MATE)
    for worker in (member, mate):
        connect(worker, daemon, ClientSideCache.named("common"))
    mate.call("set", "k", "v")
    for worker in (member, mate):
        assert [worker.call("get", "k") for _ in range(2)] == [b"v"] * 2
    asked = valkey.calls("get")
    reload_with(daemon, "[caches.common]\n", f'[caches.common]\nallow_groups = ["{TEAM}"]\n')
    assert mate.call("get", "k") == b"v"
    with pytest.raises(RequestError, match=f"uid {MEMBER.uid} may not use cache 'common'"):
        member.call("get", "k")
    files = files_of(daemon, "common")
    assert opened(member, files, os.O_RDONLY) == of_all("EACCES")
    assert opened(mate, files, os.O_RDONLY) == of_all(None)
    reload_with(daemon, f'allow_groups = ["{TEAM}"]\nmax', f'allow_users = ["{MEMBER.uid}"]\nmax')
    assert member.call("get", "k") == b"v"
    with pytest.raises(RequestError, match=f"uid {MATE.uid} may not use cache 'common'"):
        mate.call("get", "k")
    assert valkey.calls("get") == asked, "every one of these was a hit"


def test_c18_an_upstreams_list_reaches_the_caches_that_its_clients_have_made(
    daemon: OwnedDaemon, start_worker: StartWorker
) -> None:
    listed = start_worker(LISTED)
    connect(listed, daemon, ClientSideCache.create(64, 0, name="theirs"), upstream="private")
    listed.call("set", "k", "v")
    assert [listed.call("get", "k") for _ in range(2)] == [b"v"] * 2
    reload_with(daemon, f'allow_users = ["{LISTED.uid}"]', f'allow_users = ["{MATE.uid}"]')
    with pytest.raises(RequestError, match=f"uid {LISTED.uid} may not use the upstream 'private'"):
        listed.call("get", "k")
    assert opened(listed, files_of(daemon, "theirs"), os.O_RDONLY) == of_all("EACCES")
    mate = start_worker(MATE)
    connect(mate, daemon, ClientSideCache.create(64, 0, name="theirs"), upstream="private")
    assert mate.call("get", "k") == b"v"
    for suffix, path in files_of(daemon, "theirs").items():
        assert path.exists(), suffix

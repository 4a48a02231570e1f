"""Wrong settings are errors when the cache is made; `manage.py check` reports a missing daemon and a refused cache."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from django.core.exceptions import ImproperlyConfigured

from glidecache.django import SharedCache
from glidecache_shared.pool.reader import LAYOUT_VERSION
from support.django_caches import DjangoCaches, url_of
from support.other_daemon import OtherDaemon
from support.process import child_environment
from support.refusals import refusal_of
from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

_URL = "valkey://localhost:6379/0"
WRONG: list[tuple[Any, dict[str, Any], str]] = [
    ("localhost:6379", {}, "LOCATION has 'localhost:6379'; it must be a URL"),
    ("http://localhost", {}, "LOCATION has 'http://localhost'"),
    ("", {}, "LOCATION has ''"),
    (None, {}, "LOCATION has None"),
    ([], {}, "LOCATION has ''"),
    ([_URL, "localhost"], {}, "LOCATION has 'localhost'"),
    ("upstream:", {}, "upstream:NAME"),
    ("upstream:a", {"upstream": "b"}, "leave one out"),
    ("unix:///run/valkey.sock", {}, "add OPTIONS['upstream']"),
    (_URL + "?shared_cache=x", {}, "shared_cache in its query; put it into OPTIONS"),
    (_URL + "?cache_prefix=a", {}, "LOCATION has cache_prefix in its query, which valkey-py does not know"),
    (_URL + "?decode_responses=1", {}, "decode_responses"),
    ("valkey://localhost:port/0", {}, "LOCATION, OPTIONS: "),
    ("valkeys://localhost:6379?ssl_certfile=c", {}, "ssl_certfile"),
    (_URL, {"cache": None}, "OPTIONS['cache'] is missing"),
    (_URL, {"cache": 7}, "OPTIONS['cache'] is 7"),
    (_URL, {"name": "x", "size": 1}, "OPTIONS has 'name', 'size'; a shared cache knows cache, max_cache_kb"),
    (_URL, {"ttl_ms": -1}, "OPTIONS: ttl_ms must be non-negative"),
    (_URL, {"ttl_ms": "60"}, "OPTIONS: ttl_ms must be an int"),
    (_URL, {"max_cache_kb": 0}, "OPTIONS: max_cache_kb"),
    (_URL, {"eviction_policy": "MRU"}, "OPTIONS['eviction_policy'] is 'MRU'"),
    (_URL, {"server_ttl": 1}, "OPTIONS: server_ttl must be a bool"),
    (_URL, {"prefixes": "a:"}, "OPTIONS['prefixes'] is 'a:'; it must be a list"),
    (_URL, {"prefixes": [1]}, "OPTIONS['prefixes'] is [1]"),
    (_URL, {"serializer": "yaml"}, "OPTIONS['serializer'] is 'yaml'"),
    (_URL, {"serializer": "no.such.Module"}, "OPTIONS['serializer'] is 'no.such.Module'"),
    (_URL, {"serializer": object}, "a serializer has the methods dumps and loads"),
    (_URL, {"runtime_dir": 7}, "OPTIONS['runtime_dir'] is 7"),
]


@pytest.mark.parametrize(("location", "options", "text"), WRONG, ids=[text for _, _, text in WRONG])
def test_a_wrong_setting_is_named_when_the_cache_is_made(
    location: Any, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=re.escape(text)):
        SharedCache(location, {"OPTIONS": {"cache": "site", **options}})


class Refused(NamedTuple):
    """Settings that the daemon refuses while another cache holds the name, and a part of the text."""

    options: dict[str, Any]
    text: str
    database: int = 0


REFUSED = {
    "settings": Refused({"max_cache_kb": 128}, "in use with other settings: max_cache_kb"),
    "time to live": Refused({"ttl_ms": 1_000}, r"in use with other settings: .*\bttl_ms 60000, not 1000"),
    "database": Refused({}, "in use for another server, database or user: .*database", database=1),
    "of the configuration": Refused({"cache": "configured"}, "defined by the daemon's configuration"),
    "unknown upstream": Refused({"upstream": "nowhere"}, "the daemon's configuration has no upstream"),
    "the upstream's database": Refused({"upstream": "database-one"}, "is of database 1; this client is for"),
}


@pytest.mark.parametrize("refused", REFUSED)
def test_what_the_daemon_refuses_is_an_error_when_the_cache_is_made(
    caches: DjangoCaches, valkey: ValkeyServer, refused: str
) -> None:
    case = REFUSED[refused]
    caches.made()
    caches.location = url_of(valkey.port, case.database)
    for _ in range(2):
        refusal_of(partial(caches.made, options=case.options), ImproperlyConfigured, case.text)


def test_what_the_daemon_refuses_is_an_error_by_an_upstreams_name_too(caches: DjangoCaches) -> None:
    caches.location = "upstream:nowhere"
    text = "the daemon's configuration has no upstream 'nowhere'"
    refusal_of(caches.made, ImproperlyConfigured, text)


@pytest.mark.parametrize("upstream", [{}, {"upstream": "default"}])
def test_a_daemon_without_forget_is_an_error_when_the_cache_is_made(
    valkey: ValkeyServer, tmp_path: Path, upstream: dict[str, str]
) -> None:
    daemon = OtherDaemon(tmp_path, (1, LAYOUT_VERSION))
    daemon.start()
    try:
        with DjangoCaches("blocking", url_of(valkey.port), daemon, "site", **upstream) as caches:
            text = r"speaks protocol 1, .*upgrade the daemon"
            refusal_of(caches.made, ImproperlyConfigured, text)
    finally:
        daemon.discard()


@pytest.mark.parametrize(
    "given", [{"ttl_ms": 1_000}, {"max_cache_kb": 64}, {"max_cache_kb": 64, "server_ttl": False}]
)
def test_a_cache_of_the_daemons_configuration_refuses_settings(
    valkey: ValkeyServer, daemon: Daemon, given: dict[str, Any]
) -> None:
    with DjangoCaches("blocking", url_of(valkey.port), daemon, "configured") as caches:
        cache = caches.made()
        cache.set("k", 1)
        assert cache.get("k") == 1
        text = f"defined by the daemon's configuration, .*: leave {', '.join(given)} out of OPTIONS"
        refusal_of(partial(caches.made, options=given), ImproperlyConfigured, text)


def run_django(tmp_path: Path, caches: dict[str, Any], *arguments: str) -> tuple[int, str]:
    """Run Python in a project with these `CACHES`; return its exit status, and what it prints."""
    (tmp_path / "settings_to_check.py").write_text(
        f"SECRET_KEY = 'x'\nINSTALLED_APPS = ['glidecache.django']\nCACHES = {caches!r}\n"
    )
    command = [sys.executable, *arguments]
    environment = child_environment(DJANGO_SETTINGS_MODULE="settings_to_check")
    paths = [str(tmp_path), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = ":".join(filter(None, paths))
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    return ended.returncode, ended.stdout + ended.stderr


CHECK = ("-m", "django", "check")
USE = """
import django
from django.core.cache import caches
django.setup()
caches["default"].set("k", 1)
try:
    caches["differs"]
except django.core.exceptions.ImproperlyConfigured as error:
    print("raised:", error)
"""


class Fault(NamedTuple):
    """Settings that a check reports under this number, a part of the text, and a part of the hint."""

    number: str
    text: str
    hint: str
    location: str | None = None
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed


_CORRECT = "Correct LOCATION and OPTIONS, or the daemon's configuration. Until then this error is raised"
_SERVER = "Check that the server runs, and its address, user, password and TLS settings in "
REFUSALS = {
    "differs": Fault(
        "E001", "in use with other settings: max_cache_kb", _CORRECT, options={"max_cache_kb": 128}
    ),
    "life": Fault("E001", "in use with other settings: ttl_ms", _CORRECT, options={"ttl_ms": 7}),
    "upstream": Fault("E001", "has no upstream 'nope'; it has: ", _CORRECT, "upstream:nope"),
    "by-option": Fault("E001", "has no upstream 'nope'; it has: ", _CORRECT, options={"upstream": "nope"}),
    "configured": Fault(
        "E001",
        "leave max_cache_kb out of OPTIONS",
        _CORRECT,
        options={"cache": "configured", "max_cache_kb": 64},
    ),
}
WARNINGS = {
    "dead": Fault(
        "W002",
        "the daemon cannot use the server: ",
        _SERVER + "LOCATION;",
        "valkey://127.0.0.1:1/0",
        {"cache": "d"},
    ),
    "dead-upstream": Fault(
        "W002",
        "the daemon cannot use the server: ",
        _SERVER + "the daemon's configuration ([upstreams.dead])",
        "upstream:dead",
        {"cache": "u"},
    ),
    "password": Fault(
        "W002", "(WRONGPASS)", _SERVER + "LOCATION;", "valkey://u:wrong@{address}/0", {"cache": "p"}
    ),
    "no-daemon": Fault(
        "W001",
        "is not running",
        "Until a daemon answers, values come from the server itself, uncached.",
        options={"runtime_dir": "/nowhere/at/all"},
    ),
    "no-daemon-upstream": Fault(
        "W001",
        "is not running",
        "Until a daemon answers, calls fail: an upstream:NAME is reached by way of the daemon alone.",
        "upstream:nope",
        {"runtime_dir": "/nowhere/at/all"},
    ),
}
MEMORY = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


@pytest.fixture
def checked_daemon(valkey: ValkeyServer, start_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon with an upstream whose server does not run, and a cache of its configuration."""
    return start_daemon(
        upstreams={
            "default": {"addresses": [f"{HOST}:{valkey.port}"]},
            "dead": {"addresses": ["127.0.0.1:1"]},
        },
        caches={"configured": {"max_cache_kb": 64, "entry_ttl_ms": 60_000}},
    )


def settings_of(valkey: ValkeyServer, daemon: Daemon, faults: dict[str, Fault]) -> dict[str, Any]:
    """`CACHES` with a right one, and these."""
    right = {"cache": "site", "runtime_dir": str(daemon.runtime_dir)}
    found: dict[str, Any] = {"memory": MEMORY}
    for alias, fault in {"default": Fault("", "", ""), **faults}.items():
        location = fault.location or url_of(valkey.port)
        found[alias] = {
            "BACKEND": "glidecache.django.SharedCache",
            "LOCATION": location.format(address=f"{HOST}:{valkey.port}"),
            "OPTIONS": {**right, **fault.options},
        }
    return found


@pytest.mark.parametrize(
    ("faults", "status"), [({}, 0), (WARNINGS, 0), (REFUSALS, 1), (REFUSALS | WARNINGS, 1)]
)
def test_a_check_fails_for_a_refusal_alone_and_each_fault_has_one_text_and_its_hint(
    valkey: ValkeyServer, checked_daemon: Daemon, tmp_path: Path, faults: dict[str, Fault], status: int
) -> None:
    ended, said = run_django(tmp_path, settings_of(valkey, checked_daemon, faults), *CHECK)
    assert ended == status, said
    assert "Traceback" not in said, said
    lines = said.splitlines()
    for alias, fault in faults.items():
        (at,) = [number for number, line in enumerate(lines) if f"CACHES['{alias}']" in line]
        assert f"(glidecache.{fault.number}) " in lines[at], lines[at]
        assert fault.text in lines[at], lines[at]
        assert fault.hint in lines[at + 1], lines[at + 1]
        assert "only the daemon can do this" not in lines[at]
    # No text comes a second time, as a line of the log.
    assert said.count("is not running") == sum(fault.number == "W001" for fault in faults.values()), said
    count = f"identified {len(faults)} issue" if faults else "identified no issues"
    assert count in said, said


def test_a_refused_cache_is_an_error_where_it_is_used(
    valkey: ValkeyServer, checked_daemon: Daemon, tmp_path: Path
) -> None:
    wrong = settings_of(valkey, checked_daemon, REFUSALS)
    _, used = run_django(tmp_path, wrong, "-c", USE)
    assert re.fullmatch(r"raised: LOCATION, OPTIONS: .*max_cache_kb.*\n", used), used


def test_a_daemon_that_gives_no_cache_for_now_is_a_warning_of_its_own(
    valkey: ValkeyServer, start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = start_daemon(daemon={"max_upstreams": 1})
    full = Fault("W003", "", "", url_of(valkey.port, 1), {"cache": "other"})
    ended, said = run_django(tmp_path, settings_of(valkey, daemon, {"full": full}), *CHECK)
    assert ended == 0
    assert re.search(r"W003\) CACHES\['full'\]: the daemon gives no cache: .*max_upstreams", said), said
    assert "in the daemon's configuration. Until then values come from the server itself" in said

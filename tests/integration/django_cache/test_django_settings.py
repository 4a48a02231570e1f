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

if TYPE_CHECKING:
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
    "time to live": Refused({"ttl_ms": 1_000}, "in use with other settings: .*entry_ttl_ms"),
    "database": Refused({}, "in use with another upstream identity: .*database", database=1),
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


@pytest.mark.parametrize("given", [{"ttl_ms": 1_000}, {"max_cache_kb": 64}, {"server_ttl": False}])
def test_a_cache_of_the_daemons_configuration_refuses_settings(
    valkey: ValkeyServer, daemon: Daemon, given: dict[str, Any]
) -> None:
    with DjangoCaches("blocking", url_of(valkey.port), daemon, "configured") as caches:
        cache = caches.made()
        cache.set("k", 1)
        assert cache.get("k") == 1
        text = "defined by the daemon's configuration"
        refusal_of(partial(caches.made, options=given), ImproperlyConfigured, text)


def run_django(tmp_path: Path, caches: dict[str, Any], *arguments: str) -> str:
    """Run Python in a project with these `CACHES`; return what it prints."""
    (tmp_path / "settings_to_check.py").write_text(
        f"SECRET_KEY = 'x'\nINSTALLED_APPS = ['glidecache.django']\nCACHES = {caches!r}\n"
    )
    command = [sys.executable, *arguments]
    environment = child_environment(DJANGO_SETTINGS_MODULE="settings_to_check")
    paths = [str(tmp_path), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = ":".join(filter(None, paths))
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    return ended.stdout + ended.stderr


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


def test_system_checks(valkey: ValkeyServer, daemon: Daemon, tmp_path: Path, unique_name: str) -> None:
    def backend(**options: Any) -> dict[str, Any]:
        given = {"cache": unique_name, "max_cache_kb": 64, "runtime_dir": str(daemon.runtime_dir), **options}
        return {
            "BACKEND": "glidecache.django.SharedCache",
            "LOCATION": url_of(valkey.port),
            "OPTIONS": given,
        }

    right = {"default": backend(), "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    assert "no issues" in run_django(tmp_path, right, *CHECK)
    wrong = {
        **right,
        "differs": backend(max_cache_kb=128),
        "nowhere": backend(runtime_dir=str(tmp_path / "none")),
    }
    said = run_django(tmp_path, wrong, *CHECK)
    assert "Traceback" not in said, said
    assert re.search(r"\(glidecache\.W002\) CACHES\['differs'\]: .*max_cache_kb", said), said
    assert "(glidecache.W001) CACHES['nowhere']: " in said
    assert said.count("(glidecache.") == 2
    used = run_django(tmp_path, wrong, "-c", USE)
    assert re.fullmatch(r"raised: LOCATION, OPTIONS: .*max_cache_kb.*\n", used), used

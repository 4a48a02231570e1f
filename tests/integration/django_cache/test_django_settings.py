"""Wrong settings are errors when the cache is made; `manage.py check` says what is wrong with the surroundings."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from glidecache import ConfigurationError
from glidecache.django import SharedCache
from support.django_caches import DjangoCaches, url_of
from support.process import child_environment

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


@pytest.mark.parametrize("given", [{"ttl_ms": 1_000}, {"max_cache_kb": 64}, {"server_ttl": False}])
def test_a_cache_of_the_daemons_configuration_refuses_settings(
    valkey: ValkeyServer, daemon: Daemon, given: dict[str, Any]
) -> None:
    with DjangoCaches("blocking", url_of(valkey.port), daemon, "configured") as caches:
        cache = caches.made()
        cache.set("k", 1)
        assert cache.get("k") == 1
        with pytest.raises(ConfigurationError, match="configur"):
            caches.made(options=given).get("other")


def checked(tmp_path: Path, caches: dict[str, Any]) -> str:
    """Run `django-admin check` with these `CACHES`; return what it prints."""
    (tmp_path / "settings_to_check.py").write_text(
        f"SECRET_KEY = 'x'\nINSTALLED_APPS = ['glidecache.django']\nCACHES = {caches!r}\n"
    )
    command = [sys.executable, "-m", "django", "check", "--settings", "settings_to_check"]
    environment = child_environment()
    paths = [str(tmp_path), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = ":".join(filter(None, paths))
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.stdout + ended.stderr


def test_system_checks(valkey: ValkeyServer, daemon: Daemon, tmp_path: Path, unique_name: str) -> None:
    def backend(**options: Any) -> dict[str, Any]:
        given = {"cache": unique_name, "max_cache_kb": 64, "runtime_dir": str(daemon.runtime_dir), **options}
        return {
            "BACKEND": "glidecache.django.SharedCache",
            "LOCATION": url_of(valkey.port),
            "OPTIONS": given,
        }

    right = {"default": backend(), "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    assert "no issues" in checked(tmp_path, right)
    said = checked(
        tmp_path,
        {
            **right,
            "differs": backend(max_cache_kb=128),
            "nowhere": backend(runtime_dir=str(tmp_path / "none")),
        },
    )
    assert re.search(r"\(glidecache\.W002\) CACHES\['differs'\]: .*max_cache_kb", said), said
    assert "(glidecache.W001) CACHES['nowhere']: " in said
    assert said.count("(glidecache.") == 2

"""The cost of a hit through frameworks: with their library's own client, with its front, and in local memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

    Caches = tuple[Any, Any, Any]

KEY = "product:1"
VALUE = "x" * 100
NAMES = ("library", "front", "local")
MANY, FEW = 20_000, 2_000


def framework_rows(server: ValkeyServer, daemon: Daemon, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each framework: its `cache.get` of a small value by each of three caches, by turns."""
    makers: dict[str, Callable[[ValkeyServer, Daemon], Caches]] = {
        "Flask-Caching": flask_caches,
        "Django's Redis backend, SharedCache": lambda *given: django_caches(*given, "plain", "default"),
        "Django, django-valkey": lambda *given: django_caches(*given, "django-valkey", "front"),
    }
    rows = []
    for name, make in makers.items():
        best = least([cache.get for cache in prepared(make(server, daemon))], rounds)
        figures = dict(zip((f"{each}_us" for each in NAMES), best, strict=True))
        rows.append({"library": name, "call": "cache.get", **figures, "times": best[0] / best[1]})
    return rows


def prepared(caches: Caches) -> Caches:
    """Return the caches with the value in each."""
    for cache in caches:
        cache.set(KEY, VALUE, timeout=600)
        for _ in range(3):
            assert cache.get(KEY) == VALUE
    return caches


def least(gets: list[Callable[[str], object]], rounds: int) -> list[float]:
    """Return the least processor time of a call, in µs, for each; the first is the slow one."""
    best = [float("inf")] * len(gets)
    for _ in range(rounds):
        for index, get in enumerate(gets):
            count = MANY if index else FEW
            began = time.process_time()
            for _ in range(count):
                get(KEY)
            best[index] = min(best[index], (time.process_time() - began) / count * 1e6)
    return best


def flask_caches(server: ValkeyServer, daemon: Daemon) -> Caches:
    """Flask-Caching with redis-py, with its front, and with SimpleCache."""
    from flask import Flask
    from flask_caching import Cache

    from glidecache.redis import Redis

    front = Redis(
        host=HOST,
        port=server.port,
        shared_cache="flask",
        cache_prefixes=["flask:"],
        forget_writes=True,
        runtime_dir=str(daemon.runtime_dir),
    )
    settings: list[dict[str, Any]] = [
        {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": HOST, "CACHE_REDIS_PORT": server.port},
        {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": front},
        {"CACHE_TYPE": "SimpleCache"},
    ]
    plain, shared, local = (
        Cache(Flask("bench"), config={**each, "CACHE_KEY_PREFIX": "flask:"}) for each in settings
    )
    return plain, shared, local


def django_caches(server: ValkeyServer, daemon: Daemon, plain: str, shared: str) -> Caches:
    """Two caches of Django by their names, and its local memory."""
    from django.conf import settings
    from django.core.cache import caches

    address, runtime_dir = f"{HOST}:{server.port}/0", str(daemon.runtime_dir)
    front = {
        "BASE_CLIENT_CLASS": "glidecache.valkey.Valkey",
        "CONNECTION_POOL_KWARGS": {
            "shared_cache": "django-valkey",
            "cache_prefixes": ["site:"],
            "forget_writes": True,
            "runtime_dir": runtime_dir,
        },
    }
    configured = {
        "default": {
            "BACKEND": "glidecache.django.SharedCache",
            "LOCATION": f"valkey://{address}",
            "OPTIONS": {"cache": "site", "runtime_dir": runtime_dir},
        },
        "plain": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://{address}",
            "KEY_PREFIX": "plain",
        },
        "django-valkey": {
            "BACKEND": "django_valkey.cache.ValkeyCache",
            "LOCATION": f"valkey://{address}",
            "KEY_PREFIX": "plain",
        },
        # django-valkey keeps one pool of connections for each location.
        "front": {
            "BACKEND": "django_valkey.cache.ValkeyCache",
            "LOCATION": f"valkey://{address}?",
            "KEY_PREFIX": "site",
            "OPTIONS": front,
        },
        "local": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }
    if not settings.configured:
        settings.configure(CACHES=configured)
    return caches[plain], caches[shared], caches["local"]

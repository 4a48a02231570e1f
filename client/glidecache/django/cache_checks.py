"""System checks (`manage.py check`) of the shared caches of `CACHES`."""

from __future__ import annotations

from django.conf import settings
from django.core.cache import caches
from django.core.checks import Warning

from glidecache.django.shared_cache import SharedCache
from glidecache.errors import ConfigurationError, GlideError
from glidecache.sync.connection import run_blocking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check_shared_caches(**_: Any) -> list[Any]:
    """Return a warning for each shared cache that has no daemon, or that the daemon refuses."""
    return [found for alias in settings.CACHES for found in _check(alias)]


def _check(alias: str) -> list[Any]:
    cache = caches[alias]  # wrong settings are raised here, as by Django's own checks
    if not isinstance(cache, SharedCache):
        return []
    try:
        run_blocking(cache._blocking().attach())
    except ConfigurationError as error:
        # This one was made for a check: the program is to get the error.
        del caches[alias]
        return [
            Warning(
                f"CACHES[{alias!r}]: {error}",
                hint="Something else uses the cache of this name with other settings or for another server: use "
                "another name in OPTIONS['cache'], or the same settings.",
                id="glidecache.W002",
            )
        ]
    except GlideError as error:
        return [
            Warning(
                f"CACHES[{alias!r}]: {error}",
                hint="Start glidecached on this host. Until then values come from the server, uncached.",
                id="glidecache.W001",
            )
        ]
    return []

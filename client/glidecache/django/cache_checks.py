"""System checks (`manage.py check`) of the shared caches of `CACHES`."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager

from django.conf import settings
from django.core.cache import caches
from django.core.checks import Error, Warning

from glidecache.core.session import ONLY_THE_DAEMON
from glidecache.django.shared_cache import SharedCache
from glidecache.errors import ClosingError, ConfigurationError, DaemonUnavailableError, GlideError
from glidecache.sync.connection import run_blocking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_UNCACHED = "values come from the server itself, uncached."
_FAILS = "calls fail: an upstream:NAME is reached by way of the daemon alone."
_UNTIL_SERVER = {
    True: "Until then nothing is cached, and values come from the server if this program reaches it.",
    False: "Until then calls fail, except for what is in the cache.",
}
"""By whether the program has an address of the server itself."""


def check_shared_caches(**_: Any) -> list[Any]:
    """Return what is wrong with each shared cache: an error if the daemon refuses it, else a warning."""
    return [found for alias in settings.CACHES for found in _check(alias)]


def _check(alias: str) -> list[Any]:
    cache = caches[alias]  # wrong settings are raised here, as by Django's own checks
    if not isinstance(cache, SharedCache):
        return []
    options = cache._clients.options
    meanwhile = _UNCACHED if options.url else _FAILS
    try:
        with _one_text():
            run_blocking(cache._blocking().prove())
    except ConfigurationError as error:
        # This one was made for a check: the program is to get the error.
        del caches[alias]
        hint = (
            "Correct LOCATION and OPTIONS, or the daemon's configuration. Until then this error is raised where the "
            "cache is used."
        )
        return [Error(f"CACHES[{alias!r}]: {options.refusal(error)}", hint=hint, id="glidecache.E001")]
    except DaemonUnavailableError as error:
        text, number = str(error).removesuffix(ONLY_THE_DAEMON), 1
        hint = f"Until a daemon answers, {meanwhile}"
    except (OSError, ClosingError) as error:
        text, number = f"the daemon cannot use the server: {error}", 2
        where = (
            "LOCATION"
            if options.upstream is None
            else f"the daemon's configuration ([upstreams.{options.upstream}])"
        )
        hint = (
            f"Check that the server runs, and its address, user, password and TLS settings in {where}; the daemon "
            f"connects from its own host or container. {_UNTIL_SERVER[bool(options.url)]}"
        )
    except GlideError as error:
        text, number = f"the daemon gives no cache: {error}", 3
        hint = f"See who may use it, and how much, in the daemon's configuration. Until then {meanwhile}"
    else:
        return []
    return [Warning(f"CACHES[{alias!r}]: {text}", hint=hint, id=f"glidecache.W{number:03}")]


@contextmanager
def _one_text() -> Iterator[None]:
    """Keep this thread's log lines back: the check reports the same."""
    thread = threading.get_ident()

    def is_another_threads(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger = logging.getLogger("glidecache")
    logger.addFilter(is_another_threads)
    try:
        yield
    finally:
        logger.removeFilter(is_another_threads)

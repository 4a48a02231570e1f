"""A cache backend for Django whose reads come from the shared pool of this host.

`CACHES = {"default": {"BACKEND": "glidecache.django.SharedCache", "LOCATION": "valkey://localhost:6379/0",
"OPTIONS": {"cache": "site"}}}`. `"glidecache.django"` among `INSTALLED_APPS` adds its system checks. Settings, and what
stays stale for how long: docs/integrations.md.
"""

from __future__ import annotations

try:
    import django as _django  # noqa: F401
    import valkey as _valkey  # noqa: F401
except ModuleNotFoundError as _error:
    _message = (
        f"glidecache.django is built on Django and valkey-py: {_error}: pip install 'glidecached[django]'"
    )
    raise ModuleNotFoundError(_message, name=_error.name) from None

from glidecache.django.shared_cache import SharedCache

__all__ = ["SharedCache"]

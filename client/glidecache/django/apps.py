"""The Django application, whose only part is its system checks."""

from __future__ import annotations

from django.apps import AppConfig


class GlidecacheConfig(AppConfig):  # type: ignore[misc]
    """`"glidecache.django"` in `INSTALLED_APPS`."""

    name = "glidecache.django"
    label = "glidecache"
    verbose_name = "glidecache"

    def ready(self) -> None:
        """Register the system checks."""
        from django.core.checks import Tags, register

        from glidecache.django.cache_checks import check_shared_caches

        register(check_shared_caches, Tags.caches)

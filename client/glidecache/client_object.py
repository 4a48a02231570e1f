"""The common base of all four clients: made by `create`, shown without secrets, never copied."""

from __future__ import annotations

from glidecache.commands.unsupported import NotOffered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Never

    from glidecache.core.settings import Configuration, Settings


class ClientObject(NotOffered):
    """The base of the clients."""

    __slots__ = ()

    if TYPE_CHECKING:
        _settings: Settings

    @property
    def config(self) -> Configuration:
        """Return the configuration that the client was created with. Changing it has no effect."""
        return self._settings.config

    def __repr__(self) -> str:
        """Show the client's servers and its cache; never credentials."""
        settings = getattr(self, "_settings", None)
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        if settings is None:
            return f"<{name}, not created>"
        servers = settings.spec["upstream"] or settings.config.addresses or "default"
        parts = [f"servers={servers!r}"]
        if settings.cache is not None:
            parts.append(f"cache={settings.cache.name or settings.cache.cache_id!r}")
        return f"<{name} {' '.join(parts)}>"

    def __reduce_ex__(self, protocol: Any) -> Never:
        """Refuse copying and pickling. Raises `TypeError`."""
        message = (
            f"a {type(self).__name__} cannot be copied or pickled: its connections belong to this process. Create "
            "another one from the same configuration; its cache object can be shared, copied and pickled"
        )
        raise TypeError(message)


def need_settings(client: object, settings: object, *, awaited: bool) -> Settings:
    """Return the settings that a client's `create` gives it. Raises `TypeError` for one that is made otherwise."""
    from glidecache.core.settings import Settings

    if not isinstance(settings, Settings):
        name = type(client).__name__
        message = f"use create: client = {'await ' if awaited else ''}{name}.create(config)"
        raise TypeError(message)
    return settings

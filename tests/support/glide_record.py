"""What the installed GLIDE offers: methods by their parameters, option classes, and all its public names."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from support.signatures import methods, shape


def clients_of(asynchronous: Any, blocking: Any) -> dict[str, type]:
    """The six classes that have commands, by the names that the record gives them; ours are found like GLIDE's."""
    return {
        "standalone": asynchronous.GlideClient,
        "cluster": asynchronous.GlideClusterClient,
        "standalone blocking": blocking.GlideClient,
        "cluster blocking": blocking.GlideClusterClient,
        "batch": asynchronous.Batch,
        "cluster batch": asynchronous.ClusterBatch,
    }


def record() -> dict[str, Any]:
    """The record: `methods` by name and parameters, with the classes that have it so, and `classes` by name."""
    import glide
    import glide_sync

    by_method: dict[str, dict[str, str]] = {}
    for name, subject in clients_of(glide, glide_sync).items():
        for method, signature in methods(subject).items():
            holders = by_method.setdefault(method, {})
            holders[signature] = f"{holders[signature]}; {name}" if signature in holders else name
    classes = {
        name: getattr(glide, name)
        for name in sorted(set(glide.__all__) | set(glide_sync.__all__))
        if hasattr(glide, name)
    }
    return {
        "version": importlib.metadata.version("valkey-glide"),
        "methods": dict(sorted(by_method.items())),
        "classes": {name: shape(each) for name, each in classes.items() if isinstance(each, type)},
        "other names": [name for name, each in classes.items() if not isinstance(each, type)],
    }

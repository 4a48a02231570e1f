"""Labels of caches and upstreams in figures and on the page: no key, no credential, and no name twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def cache_label(cache: Mapping[str, Any]) -> tuple[str, str]:
    """Return a cache's name and `"yes"`, or the id of a cache object without a name and `"no"`."""
    return (cache["id"] or "", "no") if cache["name"] is None else (cache["name"], "yes")


def upstream_label(upstream: Mapping[str, Any]) -> str:
    """Return the name in the configuration; for a client's own servers, their addresses and the database."""
    name: str | None = upstream["name"]
    return ",".join(upstream["addresses"]) + f"/{upstream['database']}" if name is None else name


def upstreams_by_label(upstreams: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Group upstreams by label: clients with several users at the same servers have several upstreams of one label."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for upstream in upstreams:
        grouped.setdefault(upstream_label(upstream), []).append(upstream)
    return grouped

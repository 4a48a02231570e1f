"""FastAPI with the asyncio client: the program of docs/integrations.md, in two workers of uvicorn."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from support.waiting import wait_until
from workers.serving import Server, module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.recipe_programs import Recipe

PROGRAM = "fastapi_shop"
WORKERS = 2


@pytest.fixture
def server(recipe: Recipe) -> Iterator[Server]:
    """Uvicorn, as the reader would start it."""
    server = Server(
        recipe.directory / "server",
        recipe.daemon,
        lambda path: module("uvicorn", "--uds", str(path), "--workers", str(WORKERS), "fastapi_shop:app"),
    )
    server.start(**recipe.environment)
    yield server
    server.discard()


def test_all_workers_read_from_one_cache_and_see_changes(recipe: Recipe, server: Server) -> None:
    recipe.server.admin.set("product:7", "spade")
    workers = server.wait_for_workers(WORKERS, path="/product/404", status=HTTPStatus.NOT_FOUND)

    def each() -> list[str]:
        found = []
        for worker in sorted(workers):
            with server.only(worker):
                found.append(json.loads(server.text("/product/7"))["product"])
        return found

    assert each() == ["spade"] * WORKERS
    before = recipe.commands()
    assert each() == ["spade"] * WORKERS
    assert recipe.commands() == before
    recipe.server.admin.set("product:7", "rake")
    assert each() == ["spade"] * WORKERS, "a write past the application is seen after a minute"
    for worker, name in zip(sorted(workers), ("fork", "hoe"), strict=True):
        with server.only(worker):
            server.text("/product/7?name=" + name, method="PUT")
        assert each() == [name] * WORKERS
    recipe.server.admin.set("product:8", "saw", px=1_000)
    assert json.loads(server.text("/product/8")) == {"product": "saw"}
    wait_until(
        lambda: server.status("/product/8") == HTTPStatus.NOT_FOUND, "the value's own time ends it", 20
    )
    (row,) = (row for row in recipe.daemon.stats()["caches"] if row["name"] == "shop")
    assert (row["settings"]["entry_ttl_ms"], row["settings"]["server_ttl"]) == (60_000, True)
    assert server.terminate() == 0
    assert server.warnings() == []

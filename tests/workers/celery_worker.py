"""The tasks, and clients that Celery's prefork pool takes along: `celery --app workers.celery_worker worker`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from glidecache.sync import GlideClient
from workers.application import NAMED_CACHE, UNNAMED_CACHE, answer, configuration
from workers.celery_settings import celery_app

PATIENCE_S = 30
POLL_S = 0.01

app = celery_app(Path(os.environ["CELERY_DIRECTORY"]))
CLIENTS = {
    "named": GlideClient.create(configuration(NAMED_CACHE)),
    "unnamed": GlideClient.create(configuration(UNNAMED_CACHE)),
}


@app.task(name="read")  # type: ignore[untyped-decorator]
def read(cache: str, key: str, meeting: str, number: int) -> dict[str, Any]:
    """Read once `number` children have come to the meeting: so each of them does one of these tasks."""
    place = Path(meeting)
    (place / str(os.getpid())).touch()
    deadline = time.monotonic() + PATIENCE_S
    while len(list(place.iterdir())) < number:
        if time.monotonic() > deadline:
            message = f"{number} children have not met"
            raise TimeoutError(message)
        time.sleep(POLL_S)
    client = CLIENTS[cache]
    return answer(client.get(key), client.get_cache_total_lookups())

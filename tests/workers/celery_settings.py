"""Celery on a broker and a result backend of plain files, for the worker and for the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import Celery

if TYPE_CHECKING:
    from pathlib import Path

_POLLING_S = 0.02


def celery_app(directory: Path) -> Celery:
    """An application whose messages and results are files in `directory`."""
    for name in ("queue", "control", "results"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    files: dict[str, Any] = {
        "data_folder_in": str(directory / "queue"),
        "data_folder_out": str(directory / "queue"),
        "control_folder": str(directory / "control"),
        "polling_interval": _POLLING_S,
    }
    app = Celery(
        "workers", broker="filesystem://", backend=f"file://{directory / 'results'}", set_as_current=False
    )
    app.conf.update(
        broker_transport_options=files,
        broker_connection_retry_on_startup=True,
        worker_prefetch_multiplier=1,
        task_acks_late=True,
    )
    return app

"""The metrics listener as a whole: its parts, its start and its end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from glidecached.metrics.application import Application, Health, Hosts
from glidecached.metrics.http_server import HttpServer
from glidecached.stats.history import History
from glidecached.stats.snapshots import Snapshots

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.config.schema import MetricsSettings
    from glidecached.doctor.self_examination import SelfExamination
    from glidecached.process.loop import Loop
    from glidecached.upstream.target import Address

logger = logging.getLogger(__name__)


class MetricsListener:
    """The listener of `/metrics`, `/healthz` and the status page between `start` and `stop`. For the loop's thread.

    `stats` makes STATS' map, `examination` finds what is wrong by it. While it does not listen, it costs nothing.
    """

    def __init__(
        self,
        loop: Loop,
        stats: Callable[[], dict[str, Any]],
        *,
        grace_ms: int,
        examination: SelfExamination,
    ) -> None:
        self._snapshots = Snapshots(loop, stats)
        self._history = History(loop, self._snapshots)
        self._health = Health(self._snapshots, grace_ms)
        self._examination = examination
        self._server: HttpServer | None = None
        self._address: Address | None = None

    def start(self, settings: MetricsSettings) -> None:
        """Listen at the address of `[metrics]`, if there is one. The old address is closed once the new one is bound.

        Raises `OSError` that says which address cannot be bound, and why; the old listener then continues.
        """
        if settings.listen is None:
            self.stop()
            return
        host, port = settings.listen
        application = Application(
            self._snapshots,
            self._history,
            self._health,
            Hosts(host, settings.allowed_hosts),
            self._examination,
        )
        if self._server is not None and self._address == settings.listen:
            self._server.serve(application)
            return
        try:
            server = HttpServer(host, port, application)
        except OSError as error:
            reason = error.strerror or error
            message = (
                f'[metrics] listen = "{settings.listen}": {reason}; choose another address, or remove it'
            )
            raise OSError(message) from error
        if self._server is None:
            self._snapshots.start()
            self._history.start()
        else:
            self._server.close()
        self._server = server
        self._address = settings.listen
        logger.info("metrics listening", extra={"url": f"http://{settings.listen}/"})

    def stop(self) -> None:
        """Close the address and drop the history. Idempotent."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._history.stop()
            self._snapshots.stop()

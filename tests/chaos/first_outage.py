"""Two threads that go without a daemon for the first time: `python -m chaos.first_outage RUNTIME_DIR PORT`.

The second one comes while the first is half through importing what asking the server directly needs.
"""

from __future__ import annotations

import sys
import threading

from glidecache import GlideClientConfiguration, NodeAddress
from glidecache.sync import GlideClient

HALF_THROUGH = "valkey.asyncio.connection"
AS_FAR_AS_IT_GETS_S = 0.5


def main(runtime_dir: str, port: int) -> None:
    """Say what both were answered."""
    config = GlideClientConfiguration(
        [NodeAddress("127.0.0.1", port)], request_timeout=2_500, runtime_dir=runtime_dir, lazy_connect=True
    )
    client = GlideClient.create(config)  # finds no daemon, and does not ask the server yet
    answers: list[bytes] = []
    second = threading.Thread(target=lambda: answers.append(client.echo("second")))

    def come_half_through(event: str, arguments: tuple[object, ...]) -> None:
        if event == "import" and arguments[0] == HALF_THROUGH and second.ident is None:
            second.start()
            second.join(AS_FAR_AS_IT_GETS_S)

    sys.addaudithook(come_half_through)
    answers.append(client.echo("first"))
    second.join()
    print(sorted(answers))  # noqa: T201 - the answer to the test


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

"""`make fuzz`: a campaign of a million messages, and its report. Ends with 1 where something was found."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from fuzz.campaign import DAEMON_TABLES, Campaign
from support.daemon import Daemon
from support.valkey_server import HOST, ValkeyServer


def main() -> None:
    """Start a server and a daemon of its own, and run."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000, help="how many (default: a million)")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run, to have the same messages")
    options = parser.parse_args()
    seed = secrets.randbits(32) if options.seed is None else options.seed
    sys.stdout.write(f"seed {seed} (repeat with --seed {seed})\n")
    with tempfile.TemporaryDirectory(prefix="glidecached-fuzz-") as place:
        server = ValkeyServer(Path(place) / "valkey")
        server.start()
        upstream = {"upstreams": {"default": {"addresses": [f"{HOST}:{server.port}"]}}}
        daemon = Daemon(Path(place) / "daemon", DAEMON_TABLES | upstream)
        daemon.start()
        began = time.monotonic()
        campaign = Campaign(daemon, server.port, messages=options.messages, seed=seed, say=_say)
        try:
            report = campaign.run()
        except BaseException:
            _say(daemon.log_text()[-6_000:])
            raise
        finally:
            daemon.discard()
            server.stop()
    sys.stdout.write(f"{report}\n{time.monotonic() - began:.0f} s\n")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

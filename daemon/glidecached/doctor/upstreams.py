"""Whether the daemon has its upstreams, by what it tells; of one not used yet, whether it takes connections."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from glidecached.cli.report import upstream_label, upstream_state
from glidecached.cli.units import printable
from glidecached.doctor.finding import fail, ok, skipped
from glidecached.upstream.identity import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.doctor.finding import Finding
    from glidecached.doctor.patient import Patient

_CONNECT_SECONDS = 2.0


def check_upstreams(patient: Patient) -> Iterator[Finding]:
    """One line an upstream."""
    if not patient.contact.stats:
        yield skipped("upstream", "the daemon could not be asked")
        return
    for upstream in patient.contact.stats["upstreams"]:
        label, state = upstream_label(upstream), printable(upstream_state(upstream))
        if upstream["connected_to"]:
            yield ok("upstream", f"{label}: {state}")
            continue
        fault = state if upstream["last_error"] else _fault(upstream)
        if fault is None:
            yield ok("upstream", f"{label}: not used yet, and takes connections")
        else:
            advice = "see that the server runs, that address, password and TLS settings are right, and what is between"
            yield fail("upstream", f"{label}: {fault}", advice)


def _fault(upstream: dict[str, Any]) -> str | None:
    """Why none of its addresses takes a connection from here; None when one does."""
    faults = []
    for text in upstream["addresses"]:
        address = parse_address(text)
        try:
            socket.create_connection((address.host, address.port), _CONNECT_SECONDS).close()
        except OSError as error:
            faults.append(f"{text}: {error.strerror or error}")
        else:
            return None
    return "not used yet, and takes no connections: " + "; ".join(faults)

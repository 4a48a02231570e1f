"""The daemon's upstreams: whether each is connected; for one not used yet, whether it takes connections."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from glidecached.cli.report import upstream_label
from glidecached.doctor.namespaces import shares_namespace
from glidecached.doctor.result import fail, ok, skipped, warn
from glidecached.doctor.vantage import NETWORK_UNSEEN
from glidecached.formatting import printable
from glidecached.stats.figures import upstream_state
from glidecached.upstream.server_version import ServerVersion
from glidecached.upstream.target import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.doctor.context import DoctorContext
    from glidecached.doctor.result import Finding
    from glidecached.upstream.target import Address

_CONNECT_SECONDS = 2.0


def check_upstreams(context: DoctorContext) -> Iterator[Finding]:
    """Yield one finding for each upstream."""
    if not context.contact.stats:
        yield skipped("upstream", "the daemon could not be asked")
        return
    process = context.contact.process
    shares_network = shares_namespace(process.pid if process else None, "net")
    for upstream in context.contact.stats["upstreams"]:
        finding = judge_upstream(upstream)
        if finding is not None:
            yield finding
        elif shares_network:
            yield _try(upstream)
        else:
            yield skipped("upstream", f"{upstream_label(upstream)}: not used yet; {NETWORK_UNSEEN}")


def judge_upstream(upstream: dict[str, Any]) -> Finding | None:
    """Return the finding about an upstream from what the daemon reports; None about one that it has not used yet."""
    label, state = upstream_label(upstream), printable(upstream_state(upstream))
    if upstream["connected_to"]:
        return _judge_role(label, state, upstream) or _judge_software(f"{label}: {state}", upstream)
    return _unreachable(label, state) if upstream["last_error"] else None


def _try(upstream: dict[str, Any]) -> Finding:
    """Report whether an upstream that was not used yet accepts connections from here."""
    label, fault = upstream_label(upstream), _fault(upstream)
    if fault is None:
        return ok("upstream", f"{label}: not used yet, and accepts connections")
    return _unreachable(label, fault)


def _unreachable(label: str, fault: str) -> Finding:
    advice = "check that the server runs, the address, password and TLS settings, and the network between"
    return fail("upstream", f"{label}: {fault}", advice)


def _judge_role(label: str, state: str, upstream: dict[str, Any]) -> Finding | None:
    """Return a warning about a replica that fills no cache; None where nothing is wrong with the server's role."""
    if not upstream.get("is_replica") or upstream.get("fills_cache"):
        return None
    return warn(
        "upstream",
        f"{label}: {state}, a replica: its replies are not cached, and it refuses writes",
        "give the primary's address; or set allow_replica = true, if this is meant to be a read replica",
    )


def _judge_software(state: str, upstream: dict[str, Any]) -> Finding:
    """Report the software of its servers, and whether one of them is too old."""
    # A daemon of another version may not report it.
    found = [ServerVersion(**each) for each in upstream.get("software", ())]
    names = ", ".join(printable(f"{software.name} {software.version}") for software in found)
    seen = f"{state}, {names or 'version not reported'}"
    needed = [
        f"{software.name} {oldest}" for software in found if (oldest := software.oldest_supported) is not None
    ]
    if not needed:
        return ok("upstream", seen)
    return warn("upstream", seen, f"upgrade to {', '.join(needed)} or later: older servers are not tested")


def _fault(upstream: dict[str, Any]) -> str | None:
    """Return why none of its addresses takes a connection from here; None when one does."""
    faults = []
    for text in upstream["addresses"]:
        address = parse_address(text)
        try:
            _connect(address)
        except OSError as error:
            faults.append(f"{text}: {error.strerror or error}")
        except ValueError as error:  # no name that DNS can have, such as one with a label of 64 letters
            faults.append(f"{text}: not a host name: {error}")
        else:
            return None
    return "not used yet, and accepts no connections: " + "; ".join(faults)


def _connect(address: Address) -> None:
    if not address.is_unix:
        socket.create_connection((address.host, address.port), _CONNECT_SECONDS).close()
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_CONNECT_SECONDS)
        probe.connect(address.host)

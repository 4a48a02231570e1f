"""The daemon's upstreams: whether each is connected; for one not used yet, whether it takes connections."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from glidecached.doctor.namespaces import shares_namespace
from glidecached.doctor.result import fail, ok, skipped, warn
from glidecached.doctor.vantage import NETWORK_UNSEEN
from glidecached.formatting import counted, printable
from glidecached.stats.figures import upstream_state
from glidecached.upstream.server_version import ServerVersion
from glidecached.upstream.target import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from glidecached.doctor.context import DoctorContext
    from glidecached.doctor.result import Finding
    from glidecached.upstream.target import Address

_CONNECT_SECONDS = 2.0
_MOST_LABEL = 120
_MOST_USERS = 4


def check_upstreams(context: DoctorContext) -> Iterator[Finding]:
    """Yield one finding for each upstream."""
    if not context.contact.stats:
        yield skipped("upstream", "the daemon could not be asked")
        return
    process = context.contact.process
    shares_network = shares_namespace(process.pid if process else None, "net")
    for upstream in context.contact.stats["upstreams"]:
        finding = judge_upstream(upstream, context.contact.stats)
        if finding is not None:
            yield finding
        elif shares_network:
            yield _try(upstream, context.contact.stats)
        else:
            yield skipped("upstream", f"{_label(upstream)}: not used yet; {NETWORK_UNSEEN}")


def judge_upstream(upstream: dict[str, Any], stats: Mapping[str, Any]) -> Finding | None:
    """Return the finding about an upstream of STATS' map; None about one that the daemon has not used yet."""
    label, state = _label(upstream), printable(upstream_state(upstream))
    if upstream["connected_to"]:
        return _judge_role(label, state, upstream) or _judge_software(f"{label}: {state}", upstream)
    return _unreachable(upstream, stats, state) if upstream["last_error"] else None


def _label(upstream: dict[str, Any]) -> str:
    """Return the name; of a client's own servers all by which the daemon tells them apart: database, user, TLS."""
    return printable(
        upstream["name"] or upstream.get("identity") or ", ".join(upstream["addresses"]), _MOST_LABEL
    )


def _try(upstream: dict[str, Any], stats: Mapping[str, Any]) -> Finding:
    """Report whether an upstream that was not used yet accepts connections from here."""
    fault = _fault(upstream)
    if fault is None:
        return ok("upstream", f"{_label(upstream)}: not used yet, and accepts connections")
    return _unreachable(upstream, stats, fault)


def _unreachable(upstream: dict[str, Any], stats: Mapping[str, Any], fault: str) -> Finding:
    seen = f"{_label(upstream)}: {fault}"
    caches, processes = _users(upstream, stats)
    advice = "check that the server runs, the address, password and TLS settings, and the network between"
    if caches or processes:
        by = [f"cache {printable(name, _MOST_LABEL)}" for name in caches[:_MOST_USERS]]
        if len(caches) > _MOST_USERS:
            by.append(f"{counted(len(caches) - _MOST_USERS, 'more cache')}")
        if processes:
            by.append(counted(processes, "connected process", "connected processes"))
        return fail("upstream", f"{seen} (used by {', '.join(by)})", advice)
    if upstream["name"] is None:
        return skipped("upstream", f"{seen}; no program uses it any more")
    return warn("upstream", f"{seen}; no cache and no program uses it now", advice)


def _users(upstream: dict[str, Any], stats: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return the names of the caches that are at this upstream or were asked for with it, and the processes now."""
    at_it = {
        cache["name"] or cache["id"]
        for cache in stats.get("caches", ())
        if (cache["configured"] or cache["held"]) and cache["identity"] == upstream.get("identity")
    }
    # A daemon of another version may report sessions alone, which outlive their programs.
    processes = upstream.get("processes", upstream.get("sessions", 0))
    return sorted(at_it.union(upstream.get("asked_by", ()))), processes


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

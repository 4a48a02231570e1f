"""All checks, in the order in which one stands on another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glidecached.doctor.configuration import check_configuration, check_secrets
from glidecached.doctor.finding import skipped
from glidecached.doctor.meeting import check_answer, check_runtime_dir, check_socket, check_versions
from glidecached.doctor.pools import check_entries, check_orphans, check_permissions
from glidecached.doctor.process import check_clock, check_limits, check_memory
from glidecached.doctor.room import check_file_system, check_pool_dir, check_room
from glidecached.doctor.service import check_remove_ipc, check_unit
from glidecached.doctor.upstreams import check_upstreams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.doctor.finding import Finding
    from glidecached.doctor.patient import Patient

CHECKS = (
    check_configuration,
    check_secrets,
    check_runtime_dir,
    check_socket,
    check_answer,
    check_versions,
    check_pool_dir,
    check_file_system,
    check_room,
    check_limits,
    check_memory,
    check_clock,
    check_unit,
    check_remove_ipc,
    check_permissions,
    check_orphans,
    check_entries,
    check_upstreams,
)


def examine(patient: Patient) -> Iterator[Finding]:
    """Every check's findings. What this user may not see, or what ends while it is looked at, is skipped."""
    for check in CHECKS:
        try:
            yield from check(patient)
        except OSError as error:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            yield skipped(name, f"it could not be looked at: {error}")
